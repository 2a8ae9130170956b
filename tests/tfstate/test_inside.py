"""What is found inside strings, and that they keep their shape when parts are replaced."""

import base64
import gzip
import json
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.tfstate.inside import Carrier, Place, look, splice
from tests.strategies import Json, json_values, names, texts

REDACTED = "[redacted hmac-sha256:AAAAAAAAAAA=]"


def found(text: str) -> Carrier:
    """What is inside a text in which there must be something."""
    carrier = look(text)
    assert carrier is not None
    assert text == splice(text, [])
    assert list(carrier.places) == sorted(carrier.places, key=lambda place: place.start)
    ends = [place.end for place in carrier.places]
    starts = [place.start for place in carrier.places]
    assert all(end <= start for end, start in zip(ends, starts[1:], strict=False))
    return carrier


def values(text: str) -> dict[tuple[str | int, ...], str]:
    """The values inside a text by their paths; of two at one path, the last."""
    return {place.path: place.value for place in found(text).places if not place.is_key}


def reasons(text: str) -> dict[str, str]:
    """The values inside a text of which the format says that they are secret, with the reason."""
    return {place.value: place.why for place in found(text).places if place.why}


def labels(text: str) -> dict[str, str]:
    """The values inside a text that a sibling names, with the name."""
    return {place.value: place.label for place in found(text).places if place.label}


def redacted(text: str) -> str:
    """The text with every value replaced, keys kept."""
    return splice(text, [(place, REDACTED) for place in found(text).places if not place.is_key])


def all_redacted(value: Json) -> Any:
    """Decoded JSON with every value replaced in which a secret could be."""
    if isinstance(value, dict):
        return {key: all_redacted(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [all_redacted(inner) for inner in value]
    return value if value is None or value == "" else REDACTED


# ---------------------------------------------------------------- JSON


@given(st.dictionaries(texts, json_values, min_size=1, max_size=4), st.sampled_from([None, 1]))
def test_json_stays_json(value: dict[str, Json], indent: int | None) -> None:
    """With every value replaced, the same members hold strings instead."""
    text = json.dumps(value, indent=indent)
    carrier = found(text)

    assert "json" == carrier.kind
    changes = [(place, REDACTED) for place in carrier.places if not place.is_key]
    assert all_redacted(value) == json.loads(splice(text, changes))


@given(st.dictionaries(texts, json_values, min_size=1, max_size=4))
def test_json_with_its_own_values_is_the_same_json(value: dict[str, Json]) -> None:
    """What a place's value says is what its encoding writes."""
    text = json.dumps(value)
    strings = [place for place in found(text).places if text[place.start - 1] == '"']

    assert value == json.loads(splice(text, [(place, place.value) for place in strings]))


def test_both_members_of_one_name_are_places() -> None:
    """A parser that keeps the last would leave the first readable."""
    text = '{"password": "first", "password": "second"}'

    assert ["first", "second"] == [place.value for place in found(text).places if not place.is_key]


def test_keys_are_places_too() -> None:
    """A key can hold a secret, and can be replaced."""
    text = '{"a": {"b\\"": 1}}'
    keys = [place for place in found(text).places if place.is_key]

    assert [("a",), ("a", 'b"')] == [place.path for place in keys]
    assert {"k": {"k": 1}} == json.loads(splice(text, [(place, "k") for place in keys]))


def test_the_path_of_a_value_in_json() -> None:
    """Keys and indexes lead to it; its text is decoded, a number stays as written."""
    text = '{"a": [1.50, {"b": "x\\u003c"}], "c": null, "d": true}'

    assert {("a", 0): "1.50", ("a", 1, "b"): "x<", ("d",): "true"} == values(text)


@pytest.mark.parametrize(
    "text",
    [
        '[{"name": "DB_PASSWORD", "value": "hunter2"}]',
        '{"value": "hunter2", "name": "DB_PASSWORD"}',
        '{"Key": "DB_PASSWORD", "Value": {"inner": "hunter2"}}',
        '{"key_name": "DB_PASSWORD", "values": ["hunter2"]}',
        '{"id": "x", "name": "DB_PASSWORD", "default": "hunter2"}',
        '["--DB_PASSWORD", "hunter2"]',
    ],
)
def test_a_sibling_names_a_value(text: str) -> None:
    """The name that says what it is stands beside it."""
    assert "DB_PASSWORD" == labels(text)["hunter2"]


def test_the_nearest_sibling_names_a_value() -> None:
    """An outer name speaks only for what has no name of its own."""
    text = '{"name": "outer", "value": {"name": "inner", "value": "x", "other": "y"}}'

    assert {"inner": "outer", "x": "inner", "y": "outer"} == labels(text)


def test_several_documents_of_json() -> None:
    """JSON lines: the number of the document leads their paths."""
    assert {(0, "a"): "1", (1, "a"): "2"} == values('{"a": 1}\n{"a": 2}\n')


@pytest.mark.parametrize(
    "text",
    [
        '{"user": "bob", "password": "hunter2", "list": [1, ',
        '{"user": "bob", "password": "hunter2", oops "list": []}',
        '{"user": "bob", {{ if .x }} "password": "hunter2"}',
        '{user: bob, "password": "hunter2"',
        '{"user": "bob"} and then password=hunter2',
        '{\n  // a comment\n  "user": "bob",\n  "password": "hunter2",\n}',
    ],
)
def test_broken_json_still_tells_its_members(text: str) -> None:
    """A value is found by its key, wherever the rest breaks."""
    assert "hunter2" in {
        place.value for place in found(text).places if place.path[-1:] == ("password",)
    }


def test_the_secret_members_of_known_documents_in_json() -> None:
    """Some formats say themselves what is secret, and what is not."""
    secret = {"kind": "Secret", "metadata": {"name": "n"}, "data": {"a": "eA=="}}
    docker = {"auths": {"registry.example.com": {"username": "u", "auth": "dTpw"}}}
    account = {"type": "service_account", "project_id": "p", "private_key": "-----BEGIN"}

    assert {"eA==": "kubernetes-secret"} == reasons(json.dumps(secret))
    assert {"dTpw": "docker-config"} == reasons(json.dumps(docker))
    assert {"-----BEGIN": "service-account"} == reasons(json.dumps(account))


# ---------------------------------------------------------------- URLs and accounts

passwords = st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0x17F, exclude_categories=["Cc", "Zs"]),
    min_size=1,
    max_size=12,
).filter(lambda text: "$" not in text and not set("*x<") >= set(text.lower()))


@given(passwords)
def test_an_encoded_password_of_a_url(password: str) -> None:
    """It is found decoded, and the URL stays one."""
    text = f"postgres://bob:{quote(password, safe='')}@db.example.com:5432/app?sslmode=require"

    assert {password: "url-password"} == reasons(text)
    parts = urlsplit(redacted(text))
    assert ("db.example.com", 5432, "/app") == (parts.hostname, parts.port, parts.path)
    assert [("sslmode", REDACTED)] == parse_qsl(parts.query)


@given(passwords.filter(lambda text: "@" not in text and "%" not in text))
def test_an_unencoded_password_of_a_url(password: str) -> None:
    """People don't encode what they should: all up to the host is the password."""
    text = f"postgres://bob:{password}@db.example.com:5432/app"
    if "=" in password and ("#" in password or "?" in password):
        return  # it could as well be a host with a parameter

    assert {password: "url-password"} == reasons(text)


@pytest.mark.parametrize(
    ("text", "password"),
    [
        ("redis://:hunter2@cache:6379/0", "hunter2"),
        ("amqps://u:a@b/c#d?e@mq.example.com:5671/vhost", "a@b/c#d?e"),
        ("mongodb://u:p@h1.example.com:27017,h2.example.com:27018/db?replicaSet=x", "p"),
        ("mongodb+srv://u:p%40ss@c.example.net/?retryWrites=true", "p@ss"),
        ("https://bob:hunter2@example.com/path/@scope", "hunter2"),
        ("postgresql://u:p]w[@[::1]:5432/db", "p]w["),
        ("jdbc:postgresql://u:p@db.example.com/db", "p"),
        ("jdbc:oracle:thin:scott/tiger@db:1521:x", "tiger"),
        ("user:pa:ss@tcp(db:3306)/app?parseTime=true", "pa:ss"),
        ("user:hunter2@db.example.com:5432/app", "hunter2"),
    ],
)
def test_the_password_of_an_account(text: str, password: str) -> None:
    """However it is written, from the first colon to the host."""
    assert {password: "url-password"} == reasons(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "Server=tcp:x.example.net,1433;User ID=sa;Password={a;b}}c};Encrypt=True",
            {"User ID": "sa", "Password": "a;b}c"},
        ),
        ("AccountName=x;AccountKey=abc+/==;EndpointSuffix=e", {"AccountKey": "abc+/=="}),
        ('Data Source=x;Password="a"";b";', {"Password": 'a";b'}),
        ("x.example.net:6380,password=abc=,ssl=True", {"password": "abc=", "ssl": "True"}),
        ("host=h user=u password='p w' dbname=x", {"password": "p w", "dbname": "x"}),
        ("jdbc:sqlserver://h:1433;user=sa;password=x y;encrypt=true", {"password": "x y"}),
        ("https://x.example.com/p?a=1&sig=ab%2Bc#token=t", {"sig": "ab+c", "token": "t"}),
    ],
)
def test_the_parameters_of_a_connection(text: str, expected: dict[str, str]) -> None:
    """Pairs in one line, whatever parts them."""
    inside = {path[-1]: value for path, value in values(text).items()}

    assert expected.items() <= inside.items()
    again = {path[-1]: value for path, value in values(redacted(text)).items()}
    assert dict.fromkeys(inside, REDACTED) == again


@pytest.mark.parametrize("reference", ["${db_password}", "$PASSWORD", "{{.Values.pw}}", "***"])
def test_a_reference_in_a_url_is_no_password(reference: str) -> None:
    """It says where the password comes from."""
    assert {} == reasons(f"postgres://bob:{reference}@db.example.com/app")


# ---------------------------------------------------------------- base64

readable = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=9).map(
    lambda text: f"password={text}"
)


@given(readable, st.booleans(), st.booleans(), st.sampled_from([0, 8, 76]))
def test_base64_stays_base64(text: str, url_safe: bool, zipped: bool, width: int) -> None:
    """In the same alphabet, wrapped alike, under gzip or not."""
    data = gzip.compress(text.encode(), mtime=0) if zipped else text.encode()
    encoded = (base64.urlsafe_b64encode if url_safe else base64.b64encode)(data).decode()
    if width:
        encoded = "\n".join(encoded[at : at + width] for at in range(0, len(encoded), width))
    carrier = found(encoded)

    assert ("gzip" if zipped else "base64", [text]) == (
        carrier.kind,
        [place.value for place in carrier.places],
    )
    assert {(): REDACTED} == values(redacted(encoded))


def test_base64_of_utf_16() -> None:
    """PowerShell takes its commands so."""
    encoded = base64.b64encode("Write-Host hi".encode("utf-16-le")).decode()

    assert {(): "Write-Host hi"} == values(encoded)
    assert base64.b64encode("x".encode("utf-16-le")).decode() == splice(
        encoded, [(found(encoded).places[0], "x")]
    )


@pytest.mark.parametrize(
    "text",
    [
        "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
        "MIIDdzCCAl+gAwIBAgIEAgAAuTANBgkqhkiG9w0BAQUFADBaMQswCQYDVQQGEwJJRTES",
        "H4sIAAAAAAAAA_broken_gzip_",
        base64.b64encode(gzip.compress(bytes(10_000_000))).decode(),
    ],
)
def test_what_base64_of_no_text_is(text: str) -> None:
    """Digests, certificates, broken and endless gzip hold nothing to read."""
    assert look(text) is None


# ---------------------------------------------------------------- pairs

words = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9 _.:/+@!-]{0,10}[A-Za-z0-9]", fullmatch=True).filter(
    lambda text: " -" not in text and " /" not in text and " ." not in text and "//" not in text
)


@given(st.dictionaries(names, words, min_size=1, max_size=5), st.sampled_from(["=", " = "]))
def test_lines_of_pairs(pairs: dict[str, str], sign: str) -> None:
    """Each key with the rest of its line, and so again with every value replaced."""
    text = "\n".join(f"{key}{sign}{value}" for key, value in pairs.items()) + "\n"
    inside = {path[-1]: value for path, value in values(text).items()}

    assert pairs.items() <= inside.items()
    again = {path[-1]: value for path, value in values(redacted(text)).items()}
    assert dict.fromkeys(pairs, REDACTED).items() <= again.items()


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("A=1\nDB_PASSWORD=hunter2\n", "DB_PASSWORD", "hunter2"),
        ("export DB_PASSWORD='hunter 2'", "DB_PASSWORD", "hunter 2"),
        ('DB_PASSWORD="hun\\"ter2" # comment', "DB_PASSWORD", 'hun"ter2'),
        ("password: hunter2", "password", "hunter2"),
        ("# db password: hunter2", "password", "hunter2"),
        ("db.password = hunter 2 # comment", "db.password", "hunter 2"),
        ("DB_PASSWORD=hunter: 2\n", "DB_PASSWORD", "hunter: 2"),
        ("PGPASSWORD=hunter2 psql -h db", "PGPASSWORD", "hunter2"),
        ("#!/bin/sh\nexport A=b PASSWORD=hunter2; run\n", "PASSWORD", "hunter2"),
        ("#!/bin/sh\ncat > x <<EOF\npassword=hunter2\nEOF\n", "password", "hunter2"),
        ("run --db-password hunter2 --verbose", "db-password", "hunter2"),
        ("run --db-password='hunter 2'", "db-password", "hunter 2"),
        ("# set\n$env:DB_PASSWORD = 'hunter2'\n", "$env:DB_PASSWORD", "hunter2"),
        ("define( 'DB_PASSWORD', 'hunter2' );", "DB_PASSWORD", "hunter2"),
        ("  :password => 'hunter2',", "password", "hunter2"),
        ("PASSWORD='it'\\''s' run -x\n", "PASSWORD", "it's"),
        ("user:bob\npassword:hunter2\n", "password", "hunter2"),
        ("a=1\nurl=jdbc:mysql://h/db?user=a&p=b\n", "url", "jdbc:mysql://h/db?user=a&p=b"),
        ("URL=https://u:p@h/x\n", "URL", "https://u:p@h/x"),
        ("Password=hunter2;", "Password", "hunter2"),
        ("settings = {'password': 'hunter2'}", "password", "hunter2"),
        ('key="first line\nsecond line"\n', "key", "first line\nsecond line"),
        ("kubectl create configmap x --from-literal=p=x", "from-literal", "p=x"),
        ("consul kv put app/db_password hunter2", "db_password", "hunter2"),
        ("etcdctl put /app/password 'hunter2'", "password", "hunter2"),
        ("aws configure set aws_secret_access_key hunter2", "aws_secret_access_key", "hunter2"),
        ("npm config set //registry.npmjs.org/:_authToken hunter2", "_authToken", "hunter2"),
        ("influx setup --password hunter2", "password", "hunter2"),
        ("mount -t cifs -o username=u,password=hunter2,domain=z //h/b /c", "password", "hunter2"),
    ],
)
def test_a_pair(text: str, key: str, value: str) -> None:
    """It is found in whatever way it is written."""
    assert (key, value) in {(path[-1], inside) for path, inside in values(text).items()}


def test_the_section_of_an_ini_leads_its_paths() -> None:
    """So a harmless key in a section of secrets is known."""
    text = "[client]\npassword = hunter2\n\n[other]\nuser=bob\n"

    assert "ini" == found(text).kind
    assert {("client", "password"): "hunter2", ("other", "user"): "bob"} == values(text)


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("mysql -u root -phunter2 app", "hunter2"),
        ("curl -u bob:hunter2 https://example.com/", "hunter2"),
        ('curl --user "bob:hunter2" https://example.com/', "hunter2"),
        ("sshpass -p 'hunter2' ssh bob@example.com", "hunter2"),
        ("redis-cli -h cache -a hunter2 ping", "hunter2"),
        ("docker login -u bob -p hunter2 registry.example.com", "hunter2"),
        ("echo 'root:hunter2' | chpasswd", "hunter2"),
        ("echo hunter2 | docker login -u bob --password-stdin", "hunter2"),
        ("ldapsearch -x -D cn=admin -w hunter2", "hunter2"),
        ("openssl rsa -in key.pem -passin pass:hunter2", "hunter2"),
        ("CREATE USER bob IDENTIFIED BY 'hunter2';", "hunter2"),
        ("ALTER ROLE bob WITH PASSWORD 'hunter2';", "hunter2"),
        ("ConvertTo-SecureString 'hunter2' -AsPlainText -Force", "hunter2"),
        ('curl -H "Authorization: Bearer abcdef" https://example.com', "abcdef"),
        ("Authorization: Basic Ym9iOmh1bnRlcjI=", "Ym9iOmh1bnRlcjI="),
        ("git clone https://bob:hunter2@example.com/x.git", "hunter2"),
        *(
            (command, "hunter2")
            for command in (
                "htpasswd -bc /etc/h admin hunter2",
                "htpasswd -b -c '/etc/a b' \"$USER\" 'hunter2'",
                "htpasswd -nb user hunter2 > /etc/h",
                "htpasswd -n -b -B -C 10 user hunter2",
                "openssl passwd hunter2",
                "openssl passwd -6 -salt xyz 'hunter2'",
                "usermod -p $(openssl passwd -1 hunter2) bob",
                "chpasswd <<< 'root:hunter2'",
                "chpasswd <<EOF\nbob:hunter3\nroot:hunter2\nEOF\n",
                "echo hunter2 | passwd --stdin root",
                "net user bob hunter2 /add",
                "NET USER Administrator hunter2 /active:yes",
                'net user Administrator "hunter2"',
                "psql 'postgres://u:hunter2@db/app' -c x",
                "sqlplus scott/hunter2@db",
                'sqlplus -s "scott/hunter2@//db:1521/x" @a.sql',
                "sqlplus -s scott/hunter2 <<EOF",
                "rabbitmqctl add_user bob hunter2",
                "rabbitmqctl -n rabbit@x change_password bob 'hunter2'",
                "influx setup -p hunter2",
                "smbclient //h/share -U bob%hunter2",
                "net ads join -U 'DOMAIN\\bob%hunter2'",
                "ldapadd -x -w hunter2 -f x.ldif",
                "az login --service-principal -u x -p hunter2 --tenant t",
                "kubectl create secret generic x --from-literal=a=b --from-literal=k=hunter2",
                "kubectl create secret generic x --from-literal='k=hunter2'",
                "vault kv put -mount=secret app any='hunter2'",
                "vault login hunter2",
                "aws ssm put-parameter --name /a --type SecureString --value hunter2",
                "aws ssm put-parameter --value 'hunter2' --name /a --type SecureString",
                "aws secretsmanager create-secret --name x --secret-string hunter2",
                "az keyvault secret set --name a --vault-name v --value hunter2",
                "mysqladmin -u root password hunter2",
                "nmcli -w 5 dev wifi connect x password hunter2",
                "#!/bin/sh\nwpa_passphrase net hunter2 > /etc/wpa_supplicant.conf",
                "port 6379\nrequirepass hunter2\n",
                "plink -ssh bob@h -pw hunter2",
                "docker run -p 80:80 x > y 2>&1; mysql -phunter2",
            )
        ),
    ],
)
def test_a_secret_on_a_command_line(text: str, secret: str) -> None:
    """What the program makes a password is one, whatever it is called."""
    assert secret in reasons(text)


@pytest.mark.parametrize(
    "text",
    [
        "docker pull x && mkdir -p /opt/app",
        "#!/bin/sh\ndocker run x; mkdir -p /opt/app\n",
        "#!/bin/sh\n# use openssl passwd to hash it, or htpasswd to make the file\n",
        "#!/bin/sh\n# the net user growth rate = 5\n",
        "#!/bin/sh\n# run vault login first and then go on\n",
        "#!/bin/sh\nsqlplus /nolog @x\nsqlplus -s scripts/setup.sql\n",
        "#!/bin/sh\nnet user bob * /add\nnet user bob /delete\n",
        "#!/bin/sh\nhtpasswd -c /etc/h admin\n",
        "#!/bin/sh\nopenssl passwd -6 -stdin < x\n",
        "#!/bin/sh\nvault kv put secret/app key=@file; LANG=C\n",
        "aws ssm put-parameter --name /a --type String --value x",
        "aws configure set region eu-west-1",
        "wget -U Mozilla/5.0%20x http://example.com/x",
        "chpasswd <<EOF\nroot:$PASSWORD\nEOF\n",
    ],
)
def test_a_command_line_without_a_secret(text: str) -> None:
    """Not every argument of such a program is one, nor every sentence about it."""
    carrier = look(text)

    assert not [place for place in (carrier.places if carrier else ()) if place.why]


# ---------------------------------------------------------------- what is no secret


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "ami-0abcdef1234567890",
        "arn:aws:iam::123456789012:role/service-role/app",
        "arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-AbCdEf",
        "2024-01-01T00:00:00Z",
        "2024-01-01 00:00:00 +0000 UTC",
        "f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
        "Managed by Terraform",
        "Note: the password is rotated daily, see the wiki",
        "Reset token: expires in five minutes",
        "cron(0 12 * * ? *)",
        "0 */6 * * 1-5",
        "rate(5 minutes)",
        "10.0.0.0/8, 10.1.0.0/16",
        "C:\\Program Files\\App\\app.exe",
        "https://example.com/path/to/x.html",
        "https://registry.npmjs.org/@scope/package",
        "bob@example.com",
        "user:bob@example.com",
        "serviceAccount:x@p.iam.gserviceaccount.com",
        "git@github.com:owner/repository.git",
        "registry.example.com/app:tag@sha256:" + "a" * 64,
        "aa:bb:cc:dd:ee:ff",
        "$6$rounds=5000$salt$hash",
        "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQC7 bob@example.com",
        "-----BEGIN CERTIFICATE-----\nMIIDdzCCAl+gAwIBAgIEAgAAuTAN\n-----END CERTIFICATE-----\n",
        REDACTED,
    ],
)
def test_ordinary_strings_carry_nothing(text: str) -> None:
    """They are read as a whole."""
    assert look(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQC",
        "v=spf1 include:_spf.google.com ~all",
        "SELECT name FROM users WHERE id = 'x' AND age > 3",
        '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*"}]}',
        "CN=example.com,O=Example,C=US",
        "https://example.com/?page=2",
    ],
)
def test_harmless_formats_say_nothing_of_secrets(text: str) -> None:
    """They have places, of which the caller judges by name."""
    carrier = look(text)

    assert carrier is None or not [place for place in carrier.places if place.why]


# ---------------------------------------------------------------- splicing


def test_only_the_places_change() -> None:
    """Everything between them stays to the letter."""
    text = '{ "a" :\t"x" ,\n"b":"y" }'
    place = next(place for place in found(text).places if place.value == "y")

    assert '{ "a" :\t"x" ,\n"b":"z\\"" }' == splice(text, [(place, 'z"')])


def test_the_first_of_two_overlapping_places_counts() -> None:
    """Nothing is written twice."""
    text = "abcdef"

    assert "aXf" == splice(text, [(Place(2, 4, (), "cd"), "Y"), (Place(1, 5, (), "bcde"), "X")])


@given(st.text(max_size=60))
def test_any_text_survives(text: str) -> None:
    """Looking never raises, and splicing nothing changes nothing."""
    carrier = look(text)
    if carrier is not None:
        found(text)
        for place in carrier.places:
            splice(text, [(place, REDACTED)])


@given(st.lists(st.sampled_from([*list("aA1 \n:=-'\"{}[],@/?&#;|>%$\\<!*."), "://", "--p "])))
def test_any_heap_of_signs_survives(signs: list[str]) -> None:
    """The same for texts that look like formats."""
    text = "".join(signs)
    carrier = look(text)
    if carrier is not None:
        found(text)
        for place in carrier.places:
            splice(text, [(place, REDACTED)])
