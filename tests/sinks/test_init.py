"""The types of sinks: ours, those that packages add, and what is said of a wrong one."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from proxy import sinks
from proxy.fields import FieldError
from proxy.sinks import default_filter, open_sink, read_options, sink_class, sink_types
from proxy.sinks.contract import Batch, Context, Limits, Options, Receipt
from proxy.sinks.describing import describe
from tests.forwarded import a_context, batch_of

MODULE = "acme_sink_of_a_test"
SOURCE = """
from tests.sinks.test_init import Acme
"""


class AcmeOptions(Options, frozen=True, kw_only=True):
    """What a package's sink can be told.

    Attributes:
        where: place that events go to.
    """

    where: str


class Acme:
    """A sink of somebody else."""

    options_type: ClassVar[type[Options]] = AcmeOptions

    def __init__(self, options: AcmeOptions, context: Context) -> None:
        self.limits = Limits(events=1)
        self._said = f"{context.name} to {options.where}"

    async def send(self, batch: Batch) -> Receipt:
        """Take all."""
        return Receipt(f"{len(batch.events)} from {self._said}")

    async def probe(self) -> str:
        """Be there."""
        return "there"

    async def aclose(self) -> None:
        """Hold nothing."""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Install a distribution with entry points, as pip leaves it."""
    (tmp_path / f"{MODULE}.py").write_text(SOURCE)
    info = tmp_path / "acme_sink-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-sink\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        f"[{sinks.GROUP}]\nacme = {MODULE}:Acme\nbroken = {MODULE}:Nothing\n"
        f"webhook = {MODULE}:Acme\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    sinks._installed.cache_clear()
    yield tmp_path
    sinks._installed.cache_clear()
    sys.modules.pop(MODULE, None)


@pytest.mark.usefixtures("package")
async def test_a_package_adds_a_type() -> None:
    """By an entry point alone."""
    assert "acme" in sink_types()
    sink = open_sink("acme", {"where": "there"}, a_context(name="siem"))
    assert "2 from siem to there" == (await sink.send(batch_of(2))).said
    assert (__doc__, ["where"]) == (
        describe("acme").summary,
        [option.name for option in describe("acme").options],
    )
    assert {} == default_filter("acme")


@pytest.mark.usefixtures("package")
def test_a_package_replaces_none_of_ours() -> None:
    """It can't read the events that somebody sends elsewhere."""
    assert "proxy.sinks.webhook" == sink_class("webhook").__module__
    assert 1 == sink_types().count("webhook")


@pytest.mark.usefixtures("package")
def test_a_package_that_is_broken_is_named() -> None:
    """With what is wrong with it."""
    with pytest.raises(FieldError, match="the sink 'broken' of the package acme-sink can't be lo"):
        sink_class("broken")


def test_a_type_that_there_is_not() -> None:
    """All that there are are told."""
    with pytest.raises(FieldError, match="no type 'datadog' of sink: choose one") as caught:
        read_options("datadog", {})
    assert "type" == caught.value.field
    for of in sink_types():
        assert of in str(caught.value)


@pytest.mark.parametrize(
    ("of", "options", "field", "said"),
    [
        ("slack", {}, "options.url_secret", "slack options: the field url_secret is missing"),
        ("slack", {"url_secrets": "x"}, "options.url_secrets", "did you mean url_secret"),
        ("slack", {"url_secret": 1}, "options.url_secret", "must be a text"),
        ("slack", {"url_secret": "x", "timeout": 61}, "options.timeout", "<= 60"),
    ],
)
def test_an_option_that_is_wrong_is_named(
    of: str, options: dict[str, Any], field: str, said: str
) -> None:
    """With its path in the sink's record."""
    with pytest.raises(FieldError, match=said) as caught:
        read_options(of, options)
    assert field == caught.value.field


@pytest.mark.parametrize("of", sink_types())
def test_every_option_says_what_it_is_for(of: str) -> None:
    """In the lists that people choose from."""
    found = describe(of)
    assert found.summary.endswith(".")
    for option in found.options:
        assert option.meaning.endswith((".", "`")), option.name
