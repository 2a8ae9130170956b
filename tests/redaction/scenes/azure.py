"""Scenes of the Azure providers."""

from tests.redaction.encodings import go_json
from tests.redaction.planting import Scene, base64_text
from tests.redaction.scenes.kubernetes import kubeconfig


def kubernetes_cluster(s: Scene) -> None:
    """A cluster's kubeconfig as a block and once more as YAML in a string, which nothing marks."""
    password = s.pair("kubeconfig", "hexadecimal", "table")
    key = s.pair("kubeconfig", "pem", "table")
    certificate = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
    s.add(
        "azurerm_kubernetes_cluster",
        lambda v: {
            "name": "aks",
            "kubernetes_version": ("1.28.5", "1.29.2")[v],
            "kube_config": [
                {
                    "host": "https://aks.hcp.westeurope.azmk8s.io:443",
                    "username": "clusterUser_aks",
                    "password": password[v],
                    "client_certificate": base64_text(certificate),
                    "client_key": base64_text(key[v]),
                    "cluster_ca_certificate": base64_text(certificate),
                }
            ],
            "kube_config_raw": kubeconfig("aks", password[v], key[v]),
        },
        marks=("kube_config", "kube_config_raw"),
    )
    s.add(
        "local_file",
        lambda v: {
            "filename": "kubeconfig",
            "content": kubeconfig("aks", password[v], key[v]),
        },
    )


def storage_account(s: Scene) -> None:
    """Keys, the connection strings that are made of them, and an app that was given one."""
    one, two = s.pair("schema", "base64_key", "table"), s.pair("schema", "base64_key", "table")

    def connection(key: str) -> str:
        return (
            "DefaultEndpointsProtocol=https;AccountName=media;"
            f"AccountKey={key};EndpointSuffix=core.windows.net"
        )

    s.add(
        "azurerm_storage_account",
        lambda v: {
            "name": "media",
            "account_replication_type": ("LRS", "GRS")[v],
            "primary_blob_endpoint": "https://media.blob.core.windows.net/",
            "primary_access_key": one[v],
            "secondary_access_key": two[v],
            "primary_connection_string": connection(one[v]),
            "secondary_connection_string": connection(two[v]),
        },
        marks=("primary_access_key", "secondary_access_key", "primary_connection_string"),
    )
    s.add(
        "azurerm_linux_function_app",
        lambda v: {
            "name": "thumbnails",
            "storage_account_name": "media",
            "storage_account_access_key": one[v],
            "app_settings": {
                "AzureWebJobsStorage": connection(one[v]),
                "FUNCTIONS_WORKER_RUNTIME": ("node", "python")[v],
                "WEBSITE_CONTENT": f"container=media;key={two[v]}",
            },
        },
        marks=("storage_account_access_key",),
    )


def web_app(s: Scene) -> None:
    """Settings and connection strings of an app."""
    database = s.pair("connection URL", "words", "format")
    client, session = s.pair("carrier", "plain"), s.pair("carrier", "password")
    s.add(
        "azurerm_linux_web_app",
        lambda v: {
            "name": "portal",
            "https_only": v == 1,
            "app_settings": {
                "AZURE_CLIENT_ID": "11111111-2222-4333-8444-555555555555",
                "AZURE_CLIENT_SECRET": client[v],
                "SessionSecret": session[v],
                "WEBSITE_RUN_FROM_PACKAGE": str(v),
            },
            "connection_string": [
                {
                    "name": "Default",
                    "type": "SQLAzure",
                    "value": "Server=tcp:sql.database.windows.net,1433;Database=portal;"
                    f"User ID=portal;Password={database[v]};Encrypt=true;",
                }
            ],
        },
        marks=("connection_string",),
    )


def key_vault(s: Scene) -> None:
    """A secret of a vault, written by one configuration and read by a data source."""
    value = s.pair("secret store", s.rng.choice(("words", "odd", "plain")), "table")
    for mode in ("managed", "data"):
        s.add(
            "azurerm_key_vault_secret",
            lambda v: {
                "name": "billing-login",
                "content_type": "text/plain",
                "version": s.id(digits=32) if v else "0" * 32,
                "value": value[v],
            },
            mode=mode,
            marks=("value",),
        )


def machines(s: Scene) -> None:
    """Machines' passwords, custom data, and settings of an extension as JSON."""
    admin, extension = s.pair("schema", "password", "table"), s.pair("schema", "plain", "table")
    s.add(
        "azurerm_windows_virtual_machine",
        lambda v: {
            "name": "jump",
            "size": ("Standard_B2s", "Standard_B4ms")[v],
            "admin_username": "azureuser",
            "admin_password": admin[v],
            "custom_data": base64_text(f"$ErrorActionPreference='Stop'\r\n$Password='{admin[v]}'"),
        },
        marks=("admin_password", "custom_data"),
    )
    s.add(
        "azurerm_virtual_machine_extension",
        lambda v: {
            "name": "script",
            "settings": go_json({"timestamp": 123456789 + v}),
            "protected_settings": go_json(
                {"commandToExecute": f"./setup.sh --token {extension[v]}", "managedIdentity": {}}
            ),
        },
        marks=("protected_settings",),
    )


def messaging(s: Scene) -> None:
    """Keys and connection strings of a namespace; an instrumentation key that is a UUID."""
    key, insight = s.pair("schema", "short_key", "table"), s.pair("copy", "uuid", "table")
    s.add(
        "azurerm_servicebus_namespace_authorization_rule",
        lambda v: {
            "name": "app",
            "listen": True,
            "send": v == 1,
            "primary_key": key[v],
            "primary_connection_string": "Endpoint=sb://bus.servicebus.windows.net/;"
            f"SharedAccessKeyName=app;SharedAccessKey={key[v]}",
        },
        marks=("primary_key", "primary_connection_string"),
    )
    s.add(
        "azurerm_application_insights",
        lambda v: {
            "name": "portal",
            "retention_in_days": (30, 90)[v],
            "instrumentation_key": insight[v],
            "connection_string": f"InstrumentationKey={insight[v]};"
            "IngestionEndpoint=https://westeurope-5.in.applicationinsights.azure.com/",
        },
        marks=("connection_string", "instrumentation_key"),
    )
    s.add(
        "azurerm_windows_web_app",
        lambda v: {"name": "old", "app_settings": {"APPINSIGHTS_INSTRUMENTATIONKEY": insight[v]}},
    )


def databases(s: Scene) -> None:
    """Databases of several kinds, and a SAS in a data source."""
    sql, cosmos = s.pair("database password", "words"), s.pair("schema", "base64_key", "table")
    signature = s.pair("token", "short_key", "shape")
    s.add(
        "azurerm_mssql_server",
        lambda v: {
            "name": "sql",
            "minimum_tls_version": ("1.1", "1.2")[v],
            "administrator_login": "sqladmin",
            "administrator_login_password": sql[v],
        },
        marks=("administrator_login_password",),
    )
    s.add(
        "azurerm_cosmosdb_account",
        lambda v: {
            "name": "catalog",
            "primary_key": cosmos[v],
            "connection_strings": [
                f"AccountEndpoint=https://catalog.documents.azure.com:443/;AccountKey={cosmos[v]};"
            ],
        },
        marks=("primary_key", "connection_strings"),
    )
    s.add(
        "azurerm_storage_account_sas",
        lambda v: {
            "start": "2026-01-01",
            "https_only": True,
            "sas": "?sv=2022-11-02&ss=b&srt=o&sp=r&se=2027-01-01&sig="
            + signature[v].replace("+", "%2B").replace("/", "%2F").replace("=", "%3D"),
        },
        mode="data",
        marks=("sas",),
    )


def containers(s: Scene) -> None:
    """A group of containers with open and protected variables, and an application's password."""
    secure, open_ = s.pair("carrier", "plain"), s.pair("carrier", "words")
    principal = s.pair("schema", "password", "table")
    s.add(
        "azurerm_container_group",
        lambda v: {
            "name": "batch",
            "os_type": "Linux",
            "container": [
                {
                    "name": "job",
                    "image": f"registry.example.com/job:{v}",
                    "environment_variables": {"REDIS_PASSWORD": open_[v], "WORKERS": "4"},
                    "secure_environment_variables": {"LICENSE": secure[v]},
                }
            ],
        },
        marks=("container[0].secure_environment_variables",),
    )
    s.add(
        "azuread_application_password",
        lambda v: {
            "display_name": "terraform",
            "key_id": s.id(digits=32),
            "value": principal[v],
        },
        marks=("value",),
    )


SCENES = (
    kubernetes_cluster,
    storage_account,
    web_app,
    key_vault,
    machines,
    messaging,
    databases,
    containers,
)
