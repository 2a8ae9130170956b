"""Scenes in states of version 3, up to Terraform 0.11: flat maps of texts, and no marks at all."""

import json
import random
from dataclasses import dataclass, field
from typing import Any

from tests.redaction.encodings import go_json
from tests.redaction.forge import Forge
from tests.redaction.planting import NEW, OLD, Canary, Scene, Stack, base64_text, lineage
from tests.redaction.scenes.kubernetes import kubeconfig


@dataclass(slots=True)
class FlatStack(Stack):
    """A workspace whose two versions are states of version 3."""

    modules: tuple[dict[str, Any], dict[str, Any]] = field(default_factory=lambda: ({}, {}))
    values: tuple[dict[str, Any], dict[str, Any]] = field(default_factory=lambda: ({}, {}))

    def state(self, version: int) -> bytes:
        """A version as Terraform 0.11 writes it."""
        document = {
            "version": 3,
            "terraform_version": self.writers[version],
            "serial": version + 1,
            "lineage": lineage(self.workspace),
            "modules": [
                {
                    "path": ["root"],
                    "outputs": self.values[version],
                    "resources": self.modules[version],
                    "depends_on": [],
                },
            ],
        }
        return (json.dumps(document, indent=4) + "\n").encode()


class FlatScene(Scene):
    """What a scene of version 3 is played with; see Scene."""

    stack: FlatStack

    def put(self, key: str, old: dict[str, str], new: dict[str, str]) -> None:
        """Put an object into both versions, each number of whose lists and maps is made here."""
        for version, attributes in ((OLD, old), (NEW, new)):
            self.stack.modules[version][f"{key}_{self.number}"] = {
                "type": key.removeprefix("data.").partition(".")[0],
                "depends_on": [],
                "primary": {"id": "i-1", "attributes": attributes, "meta": {}, "tainted": False},
                "deposed": [],
                "provider": "provider.main",
            }


def database(s: FlatScene) -> None:
    """A password, and a function's environment that was given it."""
    password = s.pair("version 3", "words")
    old, new = (
        {"engine": "mysql", "allocated_storage": str(10 + v), "password": password[v]}
        for v in (OLD, NEW)
    )
    s.put("aws_db_instance.main", old, new)
    old, new = (
        {
            "environment.#": "1",
            "environment.0.variables.%": "2",
            "environment.0.variables.STAGE": f"s{v}",
            "environment.0.variables.DATABASE_URL": f"mysql://root:{password[v]}@db/shop",
        }
        for v in (OLD, NEW)
    )
    s.put("aws_lambda_function.main", old, new)


def cluster(s: FlatScene) -> None:
    """A kubeconfig in a list of blocks, and once more as a text."""
    password, key = s.pair("version 3", "hexadecimal", "table"), s.pair("version 3", "pem", "table")
    old, new = (
        {
            "kubernetes_version": f"1.{10 + v}",
            "kube_config.#": "1",
            "kube_config.0.host": "https://aks:443",
            "kube_config.0.password": password[v],
            "kube_config.0.client_key": base64_text(key[v]),
            "kube_config_raw": kubeconfig("aks", password[v], key[v]),
        }
        for v in (OLD, NEW)
    )
    s.put("azurerm_kubernetes_cluster.main", old, new)


def stores(s: FlatScene) -> None:
    """Data sources of stores, pairs of name and value, JSON and scripts."""
    parameter, pair = s.pair("version 3", "words", "store"), s.pair("version 3", "plain")
    script, token = s.pair("version 3", "plain", "format"), s.pair("version 3", "github", "shape")
    old, new = (
        {"name": "/config/mail", "type": "SecureString", "value": parameter[v], "version": str(v)}
        for v in (OLD, NEW)
    )
    s.put("data.aws_ssm_parameter.main", old, new)
    old, new = (
        {
            "setting.#": "1",
            "setting.1039973377.name": "API_TOKEN",
            "setting.1039973377.namespace": "aws:elasticbeanstalk:application:environment",
            "setting.1039973377.value": pair[v],
            "tier": f"t{v}",
        }
        for v in (OLD, NEW)
    )
    s.put("aws_elastic_beanstalk_environment.main", old, new)
    old, new = (
        {
            "user_data": f"#!/bin/sh\nexport APP_PASSWORD={script[v]}\nrun {v}\n",
            "tags.%": "1",
            "tags.Deploy": token[v],
        }
        for v in (OLD, NEW)
    )
    s.put("aws_instance.main", old, new)


def values(s: FlatScene) -> None:
    """Outputs, marked and named, and what a template and another state gave."""
    one, two = s.pair("version 3", "words", "mark"), s.pair("version 3", "plain")
    remote = s.pair("version 3", "plain", "table")
    for v in (OLD, NEW):
        s.stack.values[v][f"login_{s.number}"] = {
            "sensitive": True,
            "type": "string",
            "value": one[v],
        }
        s.stack.values[v][f"admin_password_{s.number}"] = {
            "sensitive": False,
            "type": "string",
            "value": two[v],
        }
    old, new = (
        {"backend": "s3", "config.%": "2", "config.bucket": f"b{v}", "config.secret_key": remote[v]}
        for v in (OLD, NEW)
    )
    s.put("data.terraform_remote_state.main", old, new)
    old, new = (
        {"template": "${a}", "rendered": go_json({"title": v, "text": f"use {one[v]}"})}
        for v in (OLD, NEW)
    )
    s.put("data.template_file.main", old, new)


SCENES = (database, cluster, stores, values)


def play(stack: FlatStack, rounds: int, forge: Forge, canaries: list[Canary], seed: int) -> None:
    """Play all scenes so many times in a stack."""
    for number in range(rounds):
        for scene in SCENES:
            rng = random.Random(f"{seed} {stack.workspace} {scene.__name__} {number}")
            player = FlatScene(scene.__name__, number, stack, forge, canaries=canaries, rng=rng)
            player.fate = "update"
            scene(player)
