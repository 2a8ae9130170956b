"""States in two versions, and the secrets that were planted in them.

A *scene* is one small piece of real infrastructure with its secrets and their copies; a *stack* is
a workspace that many scenes were played in. Scenes say what the provider's schema marks; whether
that stands in the state depends on the Terraform that wrote the version.
"""

import base64
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from tests.redaction.encodings import go_json
from tests.redaction.forge import Forge

Attributes = dict[str, Any]
Make = Callable[[int], Attributes]
"""The attributes of an object in version 0 or 1."""

FATES: Final = ("update", "update", "update", "create", "delete", "same", "move")
OLD: Final = 0
NEW: Final = 1

_STEP: Final = re.compile(r"\[(\d+)\]|([^.\[\]]+)")
_PRIVATE: Final = "eyJzY2hlbWFfdmVyc2lvbiI6IjEifQ=="
_BUILT_IN: Final = {"terraform_data", "terraform_remote_state"}
_OWNERS: Final = {
    "auth0": "auth0/auth0",
    "cloudflare": "cloudflare/cloudflare",
    "datadog": "datadog/datadog",
    "digitalocean": "digitalocean/digitalocean",
    "github": "integrations/github",
    "gitlab": "gitlabhq/gitlab",
    "grafana": "grafana/grafana",
    "kubectl": "gavinbunney/kubectl",
    "mongodbatlas": "mongodb/mongodbatlas",
    "mysql": "petoju/mysql",
    "newrelic": "newrelic/newrelic",
    "okta": "okta/okta",
    "pagerduty": "pagerduty/pagerduty",
    "postgresql": "cyrilgdn/postgresql",
    "rabbitmq": "cyrilgdn/rabbitmq",
    "snowflake": "snowflakedb/snowflake",
}


@dataclass(frozen=True, slots=True)
class Canary:
    """One planted secret.

    Attributes:
        name: which tells it apart without telling it.
        value: the secret, a number as it is written.
        kind: the class of places it stands in.
        shape: how it was made, a name in `forge.SHAPES`.
        found_by: what a reader could tell it by: a mark, the type's schema, a store, a name, a
            format around it, its shape, or another place where the same secret stands.
        scene: where it was planted.
        workspace: of the stack.
    """

    name: str
    value: str = field(repr=False)
    kind: str
    shape: str
    found_by: str
    scene: str
    workspace: str


class Pair(NamedTuple):
    """A secret in both versions; the same in both unless it was rotated."""

    old: str
    new: str


@dataclass(slots=True)
class Stack:
    """A workspace in two versions.

    Attributes:
        workspace: its name.
        writers: the Terraform that wrote each version.
        marked: whether each version lists what the provider's schema marks.
    """

    workspace: str
    writers: tuple[str, str]
    marked: tuple[bool, bool]
    resources: tuple[list[Attributes], list[Attributes]] = field(default_factory=lambda: ([], []))
    outputs: tuple[Attributes, Attributes] = field(default_factory=lambda: ({}, {}))
    checks: tuple[list[Attributes], list[Attributes]] = field(default_factory=lambda: ([], []))

    def state(self, version: int) -> bytes:
        """A version as Terraform writes it."""
        document = {
            "version": 4,
            "terraform_version": self.writers[version],
            "serial": version + 1,
            "lineage": lineage(self.workspace),
            "outputs": self.outputs[version],
            "resources": self.resources[version],
            "check_results": self.checks[version] or None,
        }
        return (go_json(document, indent=2) + "\n").encode()


def lineage(workspace: str) -> str:
    """A lineage that no other workspace has."""
    digits = random.Random(workspace).randbytes(16).hex()
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-8{digits[17:20]}-{digits[20:]}"


class Scene:
    """What a scene is played with.

    Args:
        name: of the scene.
        number: of the round, from 0.
        stack: where its objects go.
        forge: where its secrets come from.
        canaries: where they are kept.
        rng: for every other choice.

    Attributes:
        fate: what happens to the scene's objects from version 0 to version 1.
    """

    def __init__(
        self,
        name: str,
        number: int,
        stack: Stack,
        forge: Forge,
        *,
        canaries: list[Canary],
        rng: random.Random,
    ) -> None:
        self.name = name
        self.number = number
        self.stack = stack
        self.rng = rng
        self.fate = rng.choice(FATES)
        self._forge = forge
        self._canaries = canaries

    def id(self, prefix: str = "", digits: int = 17) -> str:
        """An identifier that is no secret."""
        return prefix + "".join(self.rng.choices("0123456789abcdef", k=digits))

    def secret(self, kind: str, shape: str = "password", by: str = "name") -> str:
        """Make a new secret; it has to be put into both versions or one."""
        value = self._forge.make(shape)
        name = f"canary-{len(self._canaries):04}"
        self._canaries.append(Canary(name, value, kind, shape, by, self.name, self.stack.workspace))
        return value

    def pair(self, kind: str, shape: str = "password", by: str = "name") -> Pair:
        """Make a secret that was perhaps rotated between the versions."""
        old = self.secret(kind, shape, by)
        if self.fate == "update" and self.rng.random() < 0.5:
            return Pair(old, self.secret(kind, shape, by))
        return Pair(old, old)

    def add(
        self,
        type_: str,
        make: Make,
        *,
        marks: Sequence[str] = (),
        own_marks: Sequence[str] = (),
        name: str = "main",
        mode: str = "managed",
        module: str = "",
        fate: str = "",
        key: str | int | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        """Put an object into the stack.

        Args:
            type_: of the resource.
            make: its attributes in a version.
            marks: paths that the provider's schema marks, listed from Terraform 1.8 on.
            own_marks: paths that got a sensitive value of the configuration, always listed.
            name: in the configuration.
            mode: managed or data.
            module: its address.
            fate: what happens to it; the scene's if empty.
            key: of `count` or `for_each`.
            extra: further members of the instance, such as `deposed`.
        """
        fate = fate or self.fate
        full_name = f"{name}_{self.scene_id}"
        stays = fate in {"same", "move"}
        both = make(OLD), make(OLD if stays else NEW)
        if fate == "update" and both[OLD] == both[NEW]:
            both[OLD]["tags_all"], both[NEW]["tags_all"] = {"Release": "41"}, {"Release": "42"}
        for version, attributes in enumerate(both):
            if fate == ("create", "delete")[version]:
                continue
            marked = [*own_marks, *(marks if self.stack.marked[version] else ())]
            instance: Attributes = {
                **({} if key is None else {"index_key": key}),
                "schema_version": 1,
                "attributes": attributes,
                "sensitive_attributes": [steps(path) for path in marked],
                "private": _PRIVATE,
                **(extra or {}),
            }
            moved = "module.moved" if fate == "move" and version == NEW else module
            header = {
                **({"module": moved} if moved else {}),
                "mode": mode,
                "type": type_,
                "name": full_name,
                "provider": provider(type_),
            }
            self._place(version, header, instance)

    @property
    def scene_id(self) -> str:
        """What makes names of this scene unique in its stack."""
        return f"{self.name}_{self.number}"

    def _place(self, version: int, header: Attributes, instance: Attributes) -> None:
        if "index_key" in instance:
            header["each"] = "map" if isinstance(instance["index_key"], str) else "list"
        resources = self.stack.resources[version]
        for resource in resources:
            if all(resource.get(part) == header.get(part) for part in ("module", *header)):
                resource["instances"].append(instance)
                return
        resources.append({**header, "instances": [instance]})

    def output(
        self, name: str, make: Callable[[int], Any], *, sensitive: bool, type_: Any = "string"
    ) -> None:
        """Put an output into the stack; it follows the scene's fate."""
        for version in (OLD, NEW):
            if self.fate == ("create", "delete")[version]:
                continue
            value = make(OLD if self.fate in {"same", "move"} else version)
            self.stack.outputs[version][f"{name}_{self.scene_id}"] = {
                "value": value,
                "type": type_,
                **({"sensitive": True} if sensitive else {}),
            }

    def check(self, make: Callable[[int], str]) -> None:
        """Put a failed check into both versions, whose message is made for each."""
        address = f"check.{self.scene_id}"
        for version in (OLD, NEW):
            self.stack.checks[version].append(
                {
                    "object_kind": "check",
                    "config_addr": address,
                    "status": "fail",
                    "objects": [
                        {
                            "object_addr": address,
                            "status": "fail",
                            "failure_messages": [make(version)],
                        }
                    ],
                }
            )


def steps(path: str) -> list[Attributes]:
    """A path such as `options[0].secret` as a state lists it."""
    found: list[Attributes] = []
    for index, name in _STEP.findall(path):
        if name:
            found.append({"type": "get_attr", "value": name})
        else:
            found.append({"type": "index", "value": {"value": int(index), "type": "number"}})
    return found


def provider(type_: str) -> str:
    """The provider of a resource type, as a state names it."""
    if type_ in _BUILT_IN:
        return 'provider["terraform.io/builtin/terraform"]'
    name = type_.partition("_")[0]
    return f'provider["registry.terraform.io/{_OWNERS.get(name, f"hashicorp/{name}")}"]'


def base64_text(text: str) -> str:
    """A text in base64."""
    return base64.b64encode(text.encode()).decode()
