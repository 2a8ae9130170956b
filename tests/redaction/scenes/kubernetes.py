"""Scenes of the kubernetes, helm and kubectl providers."""

from typing import Any

from tests.redaction.encodings import go_json
from tests.redaction.planting import Scene, base64_text


def kubeconfig(name: str, token: str, key: str) -> str:
    """A kubeconfig with a token and a client's key in base64."""
    authority = base64_text("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n")
    return (
        f"apiVersion: v1\nkind: Config\ncurrent-context: {name}\n"
        "clusters:\n"
        f"- name: {name}\n  cluster:\n    certificate-authority-data: {authority}\n"
        "    server: https://10.0.0.1:6443\n"
        f"contexts:\n- name: {name}\n  context:\n    cluster: {name}\n    user: admin\n"
        "users:\n- name: admin\n  user:\n"
        f"    client-certificate-data: {authority}\n"
        f"    client-key-data: {base64_text(key)}\n"
        f"    token: {token}\n"
    )


def secret(s: Scene) -> None:
    """A Secret with plain values, a configuration that quotes one, and a deployment's variables."""
    password, key = s.pair("Kubernetes Secret", "words", "table"), s.pair("Kubernetes Secret")
    s.add(
        "kubernetes_secret",
        lambda v: {
            "id": "shop/database",
            "metadata": [{"name": "database", "labels": {"release": str(v)}}],
            "type": "Opaque",
            "data": {"username": "shop", "password": password[v], "signing": key[v]},
            "binary_data": None,
        },
        marks=("data", "binary_data"),
    )
    s.add(
        "kubernetes_config_map",
        lambda v: {
            "metadata": [{"name": "shop"}],
            "data": {
                "application.yaml": (
                    "spring:\n  datasource:\n"
                    "    url: jdbc:postgresql://db/shop\n    username: shop\n"
                    f"    password: {password[v]}\n  profiles: prod{v}\n"
                ),
                "README": f"the first login was shop with {password[v]}",
            },
        },
    )
    s.add(
        "kubernetes_deployment",
        lambda v: {
            "metadata": [{"name": "shop"}],
            "spec": [
                {
                    "replicas": str(2 + v),
                    "template": [
                        {
                            "spec": [
                                {
                                    "container": [
                                        {
                                            "args": ["--db", f"shop:{password[v]}@db"],
                                            "env": [{"name": "SIGNING", "value": key[v]}],
                                        }
                                    ]
                                }
                            ]
                        }
                    ],
                }
            ],
        },
    )


def manifest(s: Scene) -> None:
    """A Secret as an object and as YAML, in base64 and not, whose copy nothing marks."""
    one, two = (s.pair("Kubernetes Secret", shape, "format") for shape in ("words", "odd"))

    def document(version: int) -> dict[str, Any]:
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "mail", "namespace": "default"},
            "type": "Opaque",
            "data": {"login": base64_text(one[version])},
            "stringData": {"relay": two[version]},
        }

    def yaml(version: int) -> str:
        data = document(version)
        return (
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: other\n---\n"
            "apiVersion: v1\nkind: Secret\nmetadata:\n  name: mail\n  namespace: default\n"
            f"type: Opaque\ndata:\n  login: {data['data']['login']}\n"
            f"stringData:\n  relay: {go_json(two[version])}\n"
        )

    s.add(
        "kubernetes_manifest",
        lambda v: {"manifest": document(v), "object": document(v) | {"immutable": v == 1}},
    )
    s.add(
        "kubectl_manifest",
        lambda v: {
            "id": "/api/v1/namespaces/default/secrets/mail",
            "force_new": False,
            "yaml_body": yaml(v),
            "yaml_body_parsed": yaml(v).replace(base64_text(one[v]), "(sensitive value)"),
            "yaml_incluster": yaml(v),
        },
        marks=("yaml_body", "yaml_incluster", "live_manifest_incluster"),
    )


def pull_secret(s: Scene) -> None:
    """Credentials of a registry as Docker keeps them, in JSON in base64 in JSON."""
    password = s.pair("Kubernetes Secret", "plain", "format")

    def docker(version: int) -> str:
        return go_json(
            {
                "auths": {
                    "https://index.docker.io/v1/": {
                        "username": "robot",
                        "password": password[version],
                        "auth": base64_text(f"robot:{password[version]}"),
                    }
                }
            }
        )

    s.add(
        "kubernetes_secret",
        lambda v: {
            "metadata": [{"name": "pull", "annotations": {"v": str(v)}}],
            "type": "kubernetes.io/dockerconfigjson",
            "data": {".dockerconfigjson": docker(v)},
        },
        marks=("data",),
    )
    s.add(
        "kubernetes_manifest",
        lambda v: {
            "manifest": {
                "apiVersion": "v1",
                "kind": "Secret",
                "type": "kubernetes.io/dockerconfigjson",
                "data": {".dockerconfigjson": base64_text(docker(v))},
            }
        },
        name="pull",
    )


def release(s: Scene) -> None:
    """A chart's values three times: as pairs, as YAML, and as JSON of all, which nothing marks."""
    admin, token = s.pair("carrier", "words"), s.pair("carrier", "plain")
    hidden = s.pair("copy", "password", "table")
    s.add(
        "helm_release",
        lambda v: {
            "name": "grafana",
            "chart": "grafana",
            "version": ("7.3.0", "8.0.1")[v],
            "set": [
                {"name": "adminPassword", "value": admin[v], "type": ""},
                {"name": "replicas", "value": str(1 + v), "type": ""},
            ],
            "set_sensitive": [{"name": "smtp.login", "value": hidden[v], "type": ""}],
            "values": [
                (
                    f"persistence:\n  enabled: true\nldap:\n  bindPassword: {admin[v]}\n"
                    f"plugins:\n  token: {token[v]}\n"
                )
            ],
            "metadata": [
                {
                    "app_version": "10.1",
                    "revision": v + 1,
                    "values": go_json(
                        {
                            "adminPassword": admin[v],
                            "ldap": {"bindPassword": admin[v]},
                            "smtp": {"login": hidden[v]},
                            "plugins": {"token": token[v]},
                        }
                    ),
                }
            ],
        },
        marks=("set_sensitive[0].value", "repository_password"),
    )


def service_account_token(s: Scene) -> None:
    """A token of a service account that a data source reads, in a file and in an output."""
    token, key = s.pair("copy", "jwt", "table"), s.pair("kubeconfig", "pem", "format")
    s.add(
        "kubernetes_secret",
        lambda v: {
            "metadata": [{"name": "ci-token", "resource_version": str(1000 + v)}],
            "type": "kubernetes.io/service-account-token",
            "data": {"namespace": "ci", "token": token[v], "ca.crt": "-----BEGIN CERTIFICATE-----"},
        },
        mode="data",
        marks=("data", "binary_data"),
    )
    s.add(
        "local_file",
        lambda v: {
            "filename": "/home/ci/.kube/config",
            "file_permission": "0600",
            "content": kubeconfig("ci", token[v], key[v]),
            "content_base64": None,
        },
        name="kubeconfig",
    )
    s.output(
        "kubeconfig",
        lambda v: kubeconfig("ci", token[v], key[v]),
        sensitive=s.stack.marked[0],
    )


def config_files(s: Scene) -> None:
    """Properties, INI, dotenv and TOML in a configuration map."""
    shapes = ("words", "plain", "password", "plain", "words")
    a, b, c, d, e = (s.pair("carrier", shape, "format") for shape in shapes)
    s.add(
        "kubernetes_config_map_v1",
        lambda v: {
            "metadata": [{"name": "files"}],
            "data": {
                "app.properties": f"# settings\ndb.user=app\ndb.password={a[v]}\nlevel=INFO\n",
                "php.ini": f"[mysql]\nhost = db\npassword = {b[v]}\n[mail]\nport = {25 + v}\n",
                ".env": f"STAGE=prod\nAPP_SECRET='{c[v]}'\nexport NPM_TOKEN={d[v]}\n",
                "agent.toml": f'[outputs]\n  urls = ["http://influx"]\n  password = "{e[v]}"\n',
            },
        },
    )


SCENES = (
    secret,
    manifest,
    pull_secret,
    release,
    service_account_token,
    config_files,
)
