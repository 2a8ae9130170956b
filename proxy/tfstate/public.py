"""Texts that are no secret wherever they stand: references, public keys, ids, common words.

Nothing here may grow so far that a password could be one of these by chance: what is public is
never looked for elsewhere, although a mark may have called it secret.
"""

import re
from typing import Final

from proxy.tfstate.entropy import RANDOM, score

_SEGMENT: Final = r"(?:[A-Za-z_.-]++[0-9]{0,3}+)++"
_REFERENCE: Final = re.compile(
    r"arn:[\w-]+:[^\s]*"
    r"|(?:projects|organizations|folders|billingAccounts)/[\w.:~-]+(?:/[^\s]*)?"
    r"|/subscriptions/[^\s]*|/providers/Microsoft\.[^\s]*"
    r"|https://[\w.-]+\.vault\.(?:azure\.net|usgovcloudapi\.net|azure\.cn)/[^\s]*"
    r"|https://(?:secretmanager|www|cloudkms)\.googleapis\.com/[\w./:-]*/projects/[^\s]*"
    r"|//[a-z]+\.googleapis\.com/projects/[^\s]*"
    r"|ocid1\.[a-z0-9.-]+"
    rf"|(?=[^A-Za-z]*(?:[A-Za-z]{{1,2}}[^A-Za-z]+)*+[A-Za-z]{{3}})(?P<path>(?:/{_SEGMENT}){{2,}}+/?)"
    rf"|(?:secret|secrets|kv|kv-v[12]|cubbyhole)(?:/{_SEGMENT})++(?:[#:.]\w+)?"
    r"|(?:vault|ssm|aws-ssm|awssm|secretsmanager|keyvault|gcpsm|gcp-secret|sops|ref\+[a-z]+|secretref"
    r"|keyvaultref|k8s|doppler)(?:://?|:)[\w.-]*[/#][\w./#:?=&-]*|op://[\w ./-]+|env:[A-Z_]+"
    r"|@Microsoft\.KeyVault\([^()\s]*\)"
    r"|\{\{\s*resolve:[^{}]*\}\}|\{\{[^{}]*\}\}|\$\{[^{}]*\}|\$\([A-Za-z][^()\s]*\)"
    r"|\$[A-Z_]{3,}|%[A-Z_]{3,}%|<[A-Za-z][A-Za-z _-]*>|\$\{\{[^{}]*\}\}"
    r"|\((?:sensitive(?: value)?|known after apply|redacted)\)|\*{3,}|\[?(?:REDACTED|redacted)\]?",
)

_LONGEST_SCORED: Final = 400


def is_reference(text: str) -> bool:
    """Whether a text only says where a secret is kept; names alone never hide such a one.

    ARNs, resource names of Google Cloud and Azure, paths of parameters and of Vault, the places of
    a template, and what stands for a value that is not shown.
    """
    match = _REFERENCE.fullmatch(text)
    if match is None:
        return False
    return match["path"] is None or score(text[:_LONGEST_SCORED]) < RANDOM


def _words(text: str) -> frozenset[str]:
    """A set written as text, many words a line."""
    return frozenset(text.split())


_COMMON: Final = _words(
    """
    true false null none nil yes no on off enabled disabled enable disable default password
    passwords passwd secret secrets token tokens username user users admin administrator root
    credentials credential required optional preferred standard basic premium free enterprise
    localhost opaque string number value values private public internal external active inactive
    postgres postgresql mysql mariadb mssql sqlserver oracle redis mongodb mongo elastic kafka
    rabbitmq guest master main primary secondary replica readonly readwrite production prod
    staging stage development dev test testing qa sandbox demo example changeme unknown pending
    available ready running stopped created deleted succeeded failed enabled allow deny any all
    http https tcp udp tls ssl ssh ftp amqp grpc json yaml text plain base64 utf-8 x509 rsa ecdsa
    ed25519 aes256 aes-256-gcm sha256 sha512 md5 hmac bearer oauth oauth2 saml ldap oidc jwt
    server client service account role group policy database table bucket cluster namespace
    region zone global regional terraform kubernetes docker linux windows ubuntu amazon azure
    google aws gcp managed system custom generic simple kubernetes.io/tls
    kubernetes.io/dockerconfigjson kubernetes.io/service-account-token application/json
    text/plain text/html application/octet-stream
    """
)
_PUBLIC_BEGINNING: Final = re.compile(
    r"-----BEGIN (?:[A-Z0-9]+ ){0,3}(?:CERTIFICATE|CERTIFICATE REQUEST|PUBLIC KEY(?: BLOCK)?"
    r"|X509 CRL|DH PARAMETERS|EC PARAMETERS)-----"
    r"|(?:ssh-(?:rsa|dss|ed25519|ed448)|ecdsa-sha2-nistp[0-9]+|sk-(?:ssh|ecdsa)[\w.@-]+) AAAA"
    r"|LS0tLS1CRUdJTiBDRVJUSUZJQ0FUR|LS0tLS1CRUdJTiBQVUJMSUMgS0VZ|MII[A-Za-z0-9+/]{3}(?:CC|AN)"
)
_PRIVATE: Final = re.compile(r"PRIVATE KEY|UFJJVkFURSBLRV|BSSVZBVEUgS0VZ|QUklWQVRFIEtFW")
_DIRECTION: Final = r"(?:north|south|east|west|central)(?:north|south|east|west|central)?"
_PLAIN: Final = re.compile(
    # small numbers, versions, dates, sizes and durations
    r"-?[0-9]{1,5}|v?[0-9]{1,4}(?:\.[0-9]{1,5}){1,3}(?:-(?:rc|beta|alpha)[.0-9]{0,4})?"
    r"|[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9:.]{5,18}(?:Z|[+-][0-9:]{5})?)?"
    r"|[0-9]{1,4}(?:[smhd]|ms|[KMGT]i?B?)|P(?:[0-9]{1,4}[YMWD])*(?:T(?:[0-9]{1,4}[HMS])+)?"
    # addresses of networks
    r"|[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?:/[0-9]{1,2})?(?::[0-9]{1,5})?"
    # regions and zones of AWS, Google Cloud, Azure, DigitalOcean
    rf"|[a-z]{{2}}(?:-gov|-iso[a-z]?)?-{_DIRECTION}-[0-9][a-z]?"
    rf"|(?:us|europe|asia|northamerica|southamerica|australia|me|africa)-{_DIRECTION}[0-9]{{1,2}}"
    rf"(?:-[a-z])?|{_DIRECTION}(?:us|europe|india|asia|central)[0-9]?"
    r"|(?:nyc|sfo|ams|sgp|lon|fra|tor|blr|syd)[0-9]"
    # instance types and machine sizes
    r"|(?:db\.|cache\.|ml\.|dms\.)?[a-z]{1,3}[0-9]{1,2}[a-z]{0,4}(?:-[a-z0-9]+)?"
    r"\.(?:nano|micro|small|medium|large|[0-9]{0,2}xlarge|metal)"
    r"|Standard_[A-Z][A-Za-z0-9]*(?:_[A-Za-z0-9]+)*|[a-z][0-9][a-z]?-(?:standard|highmem|highcpu|micro"
    r"|small|medium)(?:-[0-9]{1,3})?"
    # identifiers that AWS draws: prefix and 8 or 17 hexadecimal digits, unique ids of IAM, accounts
    r"|[a-z]{1,12}(?:-[a-z]{2,10}){0,2}-[0-9a-f]{17}"
    r"|(?:i|ami|vol|snap|vpc|subnet|sg|sgr|eni|igw|nat|rtb|acl|eipalloc|eipassoc|vgw|cgw|vpn|tgw"
    r"|dopt|pcx|vpce|lt|r|rtbassoc)-[0-9a-f]{8}"
    r"|A(?:KI|SI|ID|RO|GP|IP|NP|NV|PK|SC|CC|BI)A[A-Z0-9]{16,17}|[0-9]{12}",
    re.ASCII,
)
_LONGEST_PLAIN: Final = 64


def is_public(text: str) -> bool:
    """Whether finding a text elsewhere says nothing about a secret, even if a mark calls it one.

    Common words, small numbers, versions, networks, regions, machine sizes, identifiers of clouds,
    certificates and public keys, references. Not: names of hosts, e-mail addresses, UUIDs and
    digests, any of which can be the secret itself.
    """
    if len(text) <= _LONGEST_PLAIN and (
        text.lower() in _COMMON or _PLAIN.fullmatch(text) is not None
    ):
        return True
    if _PUBLIC_BEGINNING.match(text) is not None:
        return _PRIVATE.search(text) is None
    return text == "" or text.isspace() or is_reference(text)
