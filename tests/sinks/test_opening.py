"""Tests of proxy.sinks.opening."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from proxy.config import Secret
from proxy.directory import Object, document_of, read_record
from proxy.errors import ConfigError
from proxy.fields import FieldError
from proxy.sinks.opening import SinkOpener
from tests import sample_sink

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _type(monkeypatch: pytest.MonkeyPatch) -> None:
    sample_sink.install(monkeypatch)


def an_object(**options: object) -> Object:
    """Return a sink of the sample type."""
    fields = {"name": "siem", "type": sample_sink.TYPE, "options": options}
    return Object("sink", "siem", "", "", "", document_of(read_record("sink", fields)))


def test_a_sink_gets_its_secret_as_it_is_now() -> None:
    """One that was replaced is in force as soon as the sink is made anew."""
    texts = iter(("old", "new"))
    opener = SinkOpener(lambda name: Secret(f"{name}: {next(texts)}"), lambda: NOW)
    found = an_object(url="https://siem.example", secret="key")
    for text in ("old", "new"):
        sink = opener(found)
        assert isinstance(sink, sample_sink.SampleSink)
        assert Secret(f"key: {text}") == sink.secret


def test_no_file_is_written_into_the_data_directory(tmp_path: Path) -> None:
    """Neither by a link: it has the store, and the keys."""
    data, other = tmp_path / "data", tmp_path / "other"
    data.mkdir()
    other.symlink_to(data)
    opener = SinkOpener(Secret, lambda: NOW, data)

    def a_file(path: Path) -> Object:
        fields = {"name": "siem", "type": "file", "options": {"path": str(path)}}
        return Object("sink", "siem", "", "", "", document_of(read_record("sink", fields)))

    for path in (data / "audit.jsonl", other / "audit.jsonl"):
        with pytest.raises(FieldError, match="inside the server's data directory") as caught:
            opener(a_file(path))
        assert "options.path" == caught.value.field
    opener(a_file(tmp_path / "audit.jsonl"))


def test_what_can_not_be_made_is_told() -> None:
    """A secret that there is not, an option that an older release took."""

    def no_secret(name: str) -> Secret:
        raise ConfigError(f"there is no secret {name}")

    opener = SinkOpener(no_secret, lambda: NOW)
    with pytest.raises(ConfigError, match="there is no secret key"):
        opener(an_object(url="https://siem.example", secret="key"))
    with pytest.raises(FieldError, match="there is no field 'site'"):
        opener(an_object(url="https://siem.example", site="x"))
