"""docs/ says what the code does today."""

from dataclasses import fields

import pytest

from proxy.contracts import LogQuery
from proxy.server.routes import ROUTES
from tests.documents import DOCS, FILES


@pytest.mark.parametrize("name", sorted(FILES))
def test_generated_documents_are_up_to_date(name: str) -> None:
    """What repeats the code was made from this code: else run ``python -m tests.documents``."""
    assert FILES[name]() == (DOCS / name).read_text("utf-8")


def test_every_address_beside_the_states_is_documented() -> None:
    """docs/api.md names each with its method, and each parameter of the log."""
    text = (DOCS / "api.md").read_text("utf-8")
    for method, path, _ in ROUTES:
        if not path.startswith("/state/"):
            assert f"`{method} {path.replace('{ref}', '<ID or name>')}`" in text
    for field in fields(LogQuery):
        if field.name != "workspaces":  # those are the reader's own limits
            assert f"\n| `{field.name}` | " in text
