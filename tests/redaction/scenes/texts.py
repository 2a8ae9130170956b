"""Scenes of texts that people really put into states: one secret each, and a format that tells it.

A template's `@` is the secret; `@64(…)` around a part of it is that part in base64.
"""

import re
from collections.abc import Callable
from typing import Any, Final

from tests.redaction.encodings import go_json, gzip64
from tests.redaction.planting import Scene, base64_text

_BASE64: Final = re.compile(r"@64\((.*?)\)")

_TEMPLATES: Final[dict[str, tuple[str, str]]] = {
    "docker_compose": (
        "services:\n  web:\n    image: web\n    environment:\n      - DB_PASSWORD=@\n      - V=1\n",
        "words",
    ),
    "systemd_unit": ('[Service]\nEnvironment="API_TOKEN=@" "V=1"\nExecStart=/bin/app\n', "plain"),
    "redis_cli": ("redis-cli -h cache -a @ ping\n", "plain"),
    "mysql_glued": ("mysql -h db -u root -p@ shop < schema.sql\n", "plain"),
    "curl_user": ("curl -fsS -u deploy:@ https://repo.example.com/app.tgz -o app.tgz\n", "plain"),
    "docker_login": ("docker login -u robot -p @ registry.example.com\n", "plain"),
    "password_on_stdin": (
        'echo "@" | docker login -u robot --password-stdin registry.example.com\n',
        "plain",
    ),
    "sshpass": ("sshpass -p '@' ssh root\x00host uptime\n", "password"),
    "change_password": ("echo 'root:@' | chpasswd\n", "words"),
    "configure_aws": ("aws configure set aws_secret_access_key @\n", "aws_secret"),
    "extra_vars": ('ansible-playbook site.yml --extra-vars "db_password=@ v=1"\n', "plain"),
    "extra_vars_json": ('ansible-playbook site.yml -e \'{"db_password": "@"}\'\n', "words"),
    "runner": (
        "gitlab-runner register --non-interactive --registration-token @ --url https://x\n",
        "plain",
    ),
    "cluster_join": ("curl -sfL https://get.k3s.io | K3S_TOKEN=@ sh -s - agent\n", "plain"),
    "powershell": (
        '$p = ConvertTo-SecureString "@" -AsPlainText -Force\r\nNew-LocalUser admin\r\n',
        "words",
    ),
    "net_user": ("net user administrator /active:yes\r\n$AdminPassword = '@'\r\n", "words"),
    "npmrc": ("registry=https://npm.example.com\n//npm.example.com/:_authToken=@\n", "plain"),
    "pip_conf": (
        "[global]\nindex-url = https://ci:@@pypi.example.com/simple\n".replace("@@", "@\x00"),
        "plain",
    ),
    "pgpass": ("db.example.com:5432:shop:app:@\n", "plain"),
    "netrc": ("machine repo.example.com\nlogin ci\npassword @\n", "plain"),
    "aws_credentials": (
        "[default]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = @\n",
        "aws_secret",
    ),
    "git_credentials": ("https://ci:@\x00git.example.com\n", "plain"),
    "maven": (
        "<settings><servers><server><id>r</id><password>@</password></server></servers></settings>",
        "words",
    ),
    "web_config": (
        '<add name="Db" connectionString="Server=db;Database=x;User Id=a;Password=@;" />',
        "words",
    ),
    "wordpress": ("<?php\ndefine( 'DB_NAME', 'wp' );\ndefine( 'DB_PASSWORD', '@' );\n", "words"),
    "django": ("DEBUG = False\nSECRET_KEY = '@'\nALLOWED_HOSTS = ['*']\n", "plain"),
    "javascript": ('const host = "db";\nconst password = "@";\nmodule.exports = {};\n', "words"),
    "spring_json": ('{"spring":{"datasource":{"url":"jdbc:x","password":"@"}}}', "words"),
    "kafka_jaas": (
        'sasl.jaas.config=PlainLoginModule required username="app" password="@";\n',
        "words",
    ),
    "wireguard": ("[Interface]\nAddress = 10.8.0.1/24\nPrivateKey = @\n", "short_key"),
    "prometheus": (
        "scrape_configs:\n  - job_name: x\n    basic_auth:\n      username: p\n      password: @\n",
        "words",
    ),
    "alertmanager": (
        "global:\n  slack_api_url: https://hooks.slack.com/services/T0123ABCDEF/B0123ABCDEF/@\n",
        "slack_webhook",
    ),
    "basic_header": ("Authorization: Basic @64(ci:@)\nAccept: */*\n", "words"),
    "nginx_header": ('proxy_set_header Authorization "Bearer @";\n', "plain"),
    "agent": ("api_key: @\nsite: datadoghq.eu\nlogs_enabled: true\n", "hexadecimal"),
    "presigned": (
        "https://b.s3.amazonaws.com/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=@",
        "hexadecimal",
    ),
    "shared_access": ("https://m.blob.core.windows.net/c?sv=2022-11-02&sr=b&sig=@", "plain"),
    "access_token": ("https://api.example.com/v1/items?access_token=@&page=2", "plain"),
    "otpauth": ("otpauth://totp/Shop:admin?secret=@&issuer=Shop", "plain"),
    "telegram": ("https://api.telegram.org/bot123456789:@/sendMessage", "telegram"),
    "dsn_go": (
        "app:@@tcp(db.example.com:3306)/shop?parseTime=true".replace("@@", "@\x00"),
        "words",
    ),
    "dsn_libpq": ("host=db port=5432 user=app password='@' sslmode=require", "words"),
    "dsn_jdbc": ("jdbc:postgresql://db/shop?user=app&password=@&ssl=true", "plain"),
    "dsn_mongo": ("mongodb+srv://app:@\x00shop.abcde.mongodb.net/shop?retryWrites=true", "plain"),
    "dsn_redis": ("rediss://:@\x00cache.example.com:6380/0", "plain"),
    "dsn_odbc": ("Driver={ODBC Driver 18};Server=db;Uid=app;Pwd=@;Encrypt=yes;", "words"),
    "dsn_amqp": ("amqp://guest:@\x00mq:5672/vhost", "plain"),
    "dsn_ldap": ("ldap:\n  bind_dn: cn=admin\n  bind_password: '@'\n", "words"),
    "sentry": ("https://@\x00o1.ingest.sentry.io/42", "dsn_key"),
    "sql_user": ("CREATE USER app WITH PASSWORD '@';\nGRANT ALL ON shop TO app;\n", "words"),
    "sql_identified": (
        "ALTER USER 'app'@'%' IDENTIFIED BY '@';\n".replace("'@'%", "'\x00'%"),
        "words",
    ),
    "kubernetes_env": ('[{"Name":"DB_PASSWORD","Value":"@"},{"Name":"V","Value":"1"}]', "words"),
    "parameters": ('[{"ParameterKey":"DbPassword","ParameterValue":"@"}]', "words"),
    "toml_nested": ('[database]\nhost = "db"\n\n[database.auth]\npassword = "@"\n', "words"),
    "hcl_provider": ('provider "acme" {\n  region = "eu"\n  api_key = "@"\n}\n', "plain"),
    "consul": ('{"datacenter":"dc1","encrypt":"@","server":true}', "short_key"),
    "numeric": ("db:\n  password: @\n  port: 5432\n", "integer"),
    "yaml_flow": ("auth: {user: ci, password: @, retries: 3}\n", "plain"),
    "yaml_comment": ("user: ci\n# password: @\nretries: 3\n", "words"),
    "yaml_list": ("users:\n  - name: ci\n    token: @\n  - name: x\n", "plain"),
    "yaml_anchor": ("base: &b\n  password: @\nprod:\n  <<: *b\n", "plain"),
    "ini_colon": ("[db]\nuser: app\npassword: @\n", "words"),
    "age": ("# created: 2026-01-01\nAGE-SECRET-KEY-1@\n", "age"),
    "vault_agent": ('export VAULT_ADDR=https://vault\nexport VAULT_TOKEN="@"\n', "vault"),
    "heredoc": ("cat > /etc/app.env <<EOF\nAPP_SECRET=@\nEOF\n", "plain"),
    "piped_base64": ("echo @64(DB_PASSWORD=@) | base64 -d > /etc/app.env\n", "words"),
}


def _scene(name: str, template: str, shape: str) -> Callable[[Scene], None]:
    """Make the scene of one text; where it stands depends on the round."""
    hidden = "\x00"

    def text(secret: str, version: int) -> str:
        filled = _BASE64.sub(
            lambda match: base64_text(match[1].replace("@", secret)), template
        ).replace("@", secret)
        return f"{filled.replace(hidden, '@')}" + ("\n" * version if "\n" in template else "")

    def scene(s: Scene) -> None:
        secret = s.pair("text", shape, "format")

        def content(v: int) -> str:
            return text(secret[v], v)

        places: tuple[tuple[str, Callable[[int], dict[str, Any]]], ...] = (
            ("local_file", lambda v: {"filename": f"f{v}", "content": content(v)}),
            ("kubernetes_config_map", lambda v: {"data": {"file": content(v), "v": str(v)}}),
            ("aws_launch_template", lambda v: {"user_data": base64_text(content(v)), "v": v}),
            ("aws_s3_object", lambda v: {"key": f"k{v}", "content": content(v)}),
            ("terraform_data", lambda v: {"input": {"value": {"text": content(v), "v": v}}}),
            ("null_resource", lambda v: {"triggers": {"what": go_json({"t": content(v), "v": v})}}),
            ("template_file", lambda v: {"template": f"t{v}", "rendered": content(v)}),
            ("aws_spot_instance_request", lambda v: {"user_data_base64": gzip64(content(v))}),
        )
        type_, make = places[s.number % len(places)]
        s.add(type_, make)

    scene.__name__ = name
    return scene


SCENES: Final = tuple(_scene(name, *each) for name, each in _TEMPLATES.items())
"""One for each text."""
