"""Measures how well names tell secrets, and makes docs/redaction-names.md from it.

`python -m tests.secret_names` prints what is missed and what is taken for a secret wrongly.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from proxy.tfstate.knowledge import FILES, READABLE, parse, rows
from proxy.tfstate.names import is_plain_name, is_secret_name

AWS_NAMES: Final = Path(__file__).parent / "data" / "aws_names.txt"

CREDENTIALS: Final = frozenset(
    {
        "access_key",
        "access_keys",
        "access_token",
        "admin_user_password_wo",
        "api_key",
        "application_key",
        "auth_code",
        "authorization_token",
        "authorizer_credentials",
        "basic_auth",
        "basic_auth_credentials",
        "basic_authentication",
        "client_token",
        "connection_string",
        "connector_profile_credentials",
        "credential",
        "credentials",
        "encrypted_password",
        "encrypted_private_key",
        "encrypted_secret",
        "encrypted_ses_smtp_password_v4",
        "event_source_token",
        "grafana_token",
        "id_token",
        "jwt_token",
        "kerberos_keytab",
        "kerberos_keytab_base64",
        "master_password_wo",
        "oauth2_credential",
        "oauth_credentials",
        "private_key",
        "raw_secret_access_key",
        "refresh_token",
        "registry_credential",
        "secret",
        "secrets",
        "service_account_credentials",
        "token",
        "tokens",
        "xks_proxy_authentication_credential",
    }
)
"""Names of AWS that its schema does not mark, and that are credentials or hold them all the same:
read one by one."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured.

    Attributes:
        rows: how many marked attributes were asked about.
        by_leaf: how many of them their own name tells.
        by_path: how many of them some name on their path tells.
        harmless: how many more are no secret in themselves by their name.
        missed: the names of the rest.
        names: how many different names the AWS provider does not mark.
        taken: which of them are taken for a secret.
    """

    rows: int
    by_leaf: int
    by_path: int
    harmless: int
    missed: Counter[str]
    names: int
    taken: tuple[str, ...]

    @property
    def wrongly(self) -> tuple[str, ...]:
        """Which of `taken` are none."""
        return tuple(name for name in self.taken if name not in CREDENTIALS)


def measure(files: Sequence[str] = FILES) -> Figures:
    """Ask about every name of the table, and every name that AWS does not mark."""
    asked: list[list[str]] = []
    harmless = 0
    for *_, path in rows(*files):
        names = [step for step in parse(path) if isinstance(step, str)]
        if is_plain_name(names[-1]):
            harmless += 1
        else:
            asked.append(names)
    told = [names for names in asked if any(map(is_secret_name, names))]
    missed = Counter(names[-1] for names in asked if not any(map(is_secret_name, names)))
    aws = {name for line in _lines() for name in line.split()}
    return Figures(
        rows=len(asked),
        by_leaf=sum(is_secret_name(names[-1]) for names in asked),
        by_path=len(told),
        harmless=harmless,
        missed=missed,
        names=len(aws),
        taken=tuple(sorted(filter(is_secret_name, aws))),
    )


def recall_of_everything() -> tuple[float, float]:
    """The share of all that the schemas mark that names tell: by leaf, and by path."""
    paths = [[step for step in parse(path) if isinstance(step, str)] for *_, path in rows(FILES[0])]
    by_leaf = sum(is_secret_name(names[-1]) for names in paths)
    return by_leaf / len(paths), sum(any(map(is_secret_name, n)) for n in paths) / len(paths)


def page() -> str:
    """Return docs/redaction-names.md: what is known by type, what names tell, and how well."""
    figures = measure()
    leaf, path = recall_of_everything()
    counts = {
        file: (len(found), len({row[2] for row in found}), len({row[1] for row in found}))
        for file in (*FILES, READABLE)
        for found in [list(rows(file))]
    }
    told = {
        FILES[0]: "marked as sensitive by the provider's own schema",
        FILES[1]: "not marked there, but secret by name and description",
        FILES[2]: "of other providers and later versions; sources in `tests/data`",
        READABLE: "readable, though their name says otherwise",
    }
    by_leaf, by_path = figures.by_leaf / figures.rows, figures.by_path / figures.rows
    wrong, right = len(figures.wrongly), len(figures.taken) - len(figures.wrongly)
    lines = [
        "# What names and types tell",
        "",
        "Made by `python -m tests.documents`; the figures are measured by `tests/secret_names.py`",
        "and held by a test.",
        "",
        "## Known by type",
        "",
        "What a state marks is hidden. So is what is known of a type, whatever its state says:",
        "",
        "| paths | types | providers | |",
        "|---|---|---|---|",
        *(
            f"| {number:,} | {types:,} | {providers} | {told[file]} |"
            for file, (number, types, providers) in counts.items()
        ),
        "",
        "Types whose name says that they store secrets (`…secret…`, `…ssm_parameter…`,",
        "`…password…`, `…credential…`) keep them under names that say nothing; of those, `value`,",
        "`data`, `content`, `payload` and their like are hidden, and the whole `config` of",
        "`terraform_remote_state`. A path fits a block whether the provider keeps it as an object",
        "or as a list of one.",
        "",
        "## Known by name",
        "",
        "Everywhere else names decide: in types that nobody listed, in maps, in environment",
        "variables, in documents inside of texts. Measured on all attributes of the table:",
        "",
        "| | told |",
        "|---|---|",
        f"| of {figures.rows:,} secret attributes, by their own name | {by_leaf:.1%} |",
        f"| the same, or by the name of a block around them | {by_path:.1%} |",
        f"| of all that schemas mark, harmless or not, by their own name | {leaf:.1%} |",
        f"| the same, or by the name of a block around them | {path:.1%} |",
        "",
        f"{figures.harmless:,} marked attributes are no secret in themselves: certificates, IDs,",
        "names of users, hosts. They are hidden where they are marked, since Terraform hides them",
        "as well, but they are not hunted for elsewhere.",
        "",
        "What names miss has names like "
        + ", ".join(f"`{name}`" for name, _ in figures.missed.most_common(10))
        + ":",
        "that is what the table, the look inside and the detectors are for.",
        "",
        f"Of {figures.names:,} different names of attributes and blocks that the AWS provider does",
        f"not mark, {len(figures.taken)} are taken for secrets. {right} of these are credentials",
        f"all the same, {wrong} ({wrong / figures.names:.2%}) are not: "
        + ", ".join(f"`{name}`" for name in figures.wrongly)
        + ".",
        "",
        "Of the different names that are taken for secrets, in the table and of AWS together,",
        f"{precision(figures):.1%} are.",
    ]
    return "\n".join(lines) + "\n"


def precision(figures: Figures) -> float:
    """Of the different names that are taken for secrets, the share that are."""
    right = {
        names[-1]
        for *_, path in rows(*FILES)
        for names in [[step for step in parse(path) if isinstance(step, str)]]
        if is_secret_name(names[-1])
    }.union(CREDENTIALS.intersection(figures.taken))
    return len(right) / (len(right) + len(figures.wrongly))


def _lines() -> list[str]:
    """The names that the AWS provider does not mark."""
    lines = AWS_NAMES.read_text("utf-8").splitlines()
    return [line for line in lines if not line.startswith("#")]


if __name__ == "__main__":
    found = measure()
    print("missed:", *(f"{name} {number}" for name, number in found.missed.most_common()))  # noqa: T201
    print("taken wrongly:", *found.wrongly)  # noqa: T201
    print(page())  # noqa: T201
