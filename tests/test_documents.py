"""docs/ says what the code does today."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from proxy.config import load_config
from proxy.contracts import LogQuery
from proxy.server.routes import ROUTES
from tests.documents import DOCS, FILES


@pytest.mark.parametrize("name", sorted(FILES))
def test_generated_documents_are_up_to_date(name: str) -> None:
    """What repeats the code was made from this code: else run ``python -m tests.documents``."""
    assert FILES[name]() == (DOCS / name).read_text("utf-8")


def test_the_policy_of_the_readme_is_taken(tmp_path: Path) -> None:
    """As it stands there."""
    readme = (DOCS.parent / "README.md").read_text("utf-8")
    (block,) = re.findall(r"```toml\n(.*?)```", readme, flags=re.DOTALL)
    path = tmp_path / "tfaudit.toml"
    path.write_text(block, "utf-8")
    policy = load_config(path, {}).redaction.policy()
    assert policy.verdict("output", ("break_glass_root",)) is True
    assert policy.verdict("aws_lambda_function", ("environment", 0, "variables")) is None
    assert [(2, 23)] == policy.find_values("x ACME-0123456789ABCDEF")


def test_every_address_beside_the_states_is_documented() -> None:
    """docs/api.md names each with its method, and each parameter of the log."""
    text = (DOCS / "api.md").read_text("utf-8")
    for method, path, _ in ROUTES:
        if not path.startswith("/state/"):
            assert f"`{method} {path.replace('{ref}', '<ID or name>')}`" in text
    for field in fields(LogQuery):
        if field.name != "workspaces":  # those are the reader's own limits
            assert f"\n| `{field.name}` | " in text
