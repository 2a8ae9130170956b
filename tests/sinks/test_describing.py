"""Tests of proxy.sinks.describing."""

from typing import Annotated, Literal

import msgspec
import pytest
from msgspec import Meta

from proxy.fields import FieldError
from proxy.sinks import sink_types
from proxy.sinks.contract import Options
from proxy.sinks.describing import SinkOption, describe
from proxy.sinks.options import SecretName
from tests import sample_sink


class ManyOptions(Options, frozen=True):
    """What a type may be like.

    Attributes:
        text: as ``told`` here.
        form: of what is sent.
        many: of them.
    """

    text: str
    secret: SecretName
    size: Annotated[int, Meta(ge=1, description="How many at once.")] = 5
    form: Literal["native", "ecs"] = "native"
    many: tuple[str, ...] = ("a",)
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    flag: bool | None = None


def test_a_type_is_told_with_its_options(monkeypatch: pytest.MonkeyPatch) -> None:
    """In words, with what holds by default, and the meaning from wherever it is declared."""
    sample_sink.install(monkeypatch)
    monkeypatch.setattr(sample_sink.SampleSink, "options_type", ManyOptions)
    told = describe(sample_sink.TYPE)
    assert (
        "A sink that keeps what it is given, installed as another package would install one."
        == (told.summary)
    )
    options = {each.name: each for each in told.options}
    assert (
        SinkOption(
            name="text", kind="text", is_required=True, default=None, meaning="As `told` here."
        )
        == options["text"]
    )
    assert "TFAUDIT_SECRET_DATADOG_API_KEY" in options["secret"].meaning
    assert ("number", 5, "How many at once.") == (
        options["size"].kind,
        options["size"].default,
        options["size"].meaning,
    )
    assert "ecs or native" == options["form"].kind
    assert ("list of texts", ("a",)) == (options["many"].kind, options["many"].default)
    assert ("object of texts", {}) == (options["labels"].kind, options["labels"].default)
    assert ("true or false", None, False) == (
        options["flag"].kind,
        options["flag"].default,
        options["flag"].is_required,
    )


def test_every_type_of_ours_is_explained() -> None:
    """Whoever makes one has nothing to guess."""
    for of in sink_types():
        told = describe(of)
        assert told.summary, of
        unexplained = [each.name for each in told.options if not each.meaning]
        assert [] == unexplained, of


def test_a_type_that_there_is_not_is_told() -> None:
    """With those there are."""
    with pytest.raises(FieldError, match="choose one of"):
        describe("smaple")
