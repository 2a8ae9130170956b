"""Tests of proxy.sinks.secrets."""

import os
from pathlib import Path

import pytest

from proxy.config import Config, DataConfig, Secret, load_config
from proxy.errors import ConfigError
from proxy.sinks.secrets import MAX_BYTES, NamedSecrets


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Return the directory of secrets in the data directory."""
    path = tmp_path / "data" / "secrets"
    path.mkdir(parents=True)
    return path


@pytest.fixture
def secrets(tmp_path: Path, directory: Path) -> NamedSecrets:
    """Return what reads them, with nothing in the environment."""
    assert directory.is_dir()
    return NamedSecrets(Config(data=DataConfig(tmp_path / "data")))


def test_a_secret_is_found_wherever_it_may_be(tmp_path: Path, directory: Path) -> None:
    """The value of a variable, a file that one names, a file of its name; in this order."""
    (tmp_path / "named").write_text("from a file\r\n")
    for name in ("one", "two", "three"):
        (directory / name).write_text(f"{name} of the directory\n")
    environ = {"TFAUDIT_SECRET_ONE": "from a variable", "TFAUDIT_SECRET_TWO_FILE": "named"}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        secrets = NamedSecrets(load_config(None, environ, data=tmp_path / "data"))
        assert [
            Secret("from a variable"),
            Secret("from a file"),
            Secret("three of the directory"),
        ] == [secrets(name) for name in ("one", "two", "three")]


def test_a_directory_can_be_named(tmp_path: Path) -> None:
    """As a container platform mounts it: each file a symbolic link."""
    (tmp_path / "..data").mkdir()
    (tmp_path / "..data" / "key").write_text("mounted")
    (tmp_path / "key").symlink_to(tmp_path / "..data" / "key")
    path = tmp_path / "written.toml"
    path.write_text(f'[secrets]\ndirectory = "{tmp_path}"\n')
    assert Secret("mounted") == NamedSecrets(load_config(path, {}))("key")


def test_a_replaced_secret_is_read_anew(secrets: NamedSecrets, directory: Path) -> None:
    """Each time that it is asked for, from the file as it is then."""
    for text in ("old", "new"):
        (directory / "key").write_text(text)
        assert Secret(text) == secrets("key")


def test_a_secret_that_there_is_not_is_told_with_where_it_can_be(
    secrets: NamedSecrets, directory: Path
) -> None:
    """All three places."""
    with pytest.raises(ConfigError, match="there is no secret datadog_api_key") as caught:
        secrets("datadog_api_key")
    for place in (
        f"the file {directory}/datadog_api_key",
        "set TFAUDIT_SECRET_DATADOG_API_KEY,",
        "TFAUDIT_SECRET_DATADOG_API_KEY_FILE",
    ):
        assert place in str(caught.value)


@pytest.mark.parametrize(
    "name", ["", "../keys/master", "a/b", "a.b", "A", "_a", "1a", "a\n", "a\x00", "master.key"]
)
def test_no_name_leads_elsewhere(secrets: NamedSecrets, name: str) -> None:
    """Whoever may make sinks must not read our keys with one."""
    with pytest.raises(ConfigError, match="is no name of a secret"):
        secrets(name)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"\xff\xfesecret", "is not a text file"),
        (b"x" * (MAX_BYTES + 1), "is longer than"),
    ],
)
def test_what_is_no_secret_is_refused_and_not_repeated(
    secrets: NamedSecrets, directory: Path, content: bytes, message: str
) -> None:
    """With the name and the file."""
    (directory / "key").write_bytes(content)
    with pytest.raises(ConfigError, match=message) as caught:
        secrets("key")
    assert f"the secret key: {directory}/key" in str(caught.value)
    assert "secret\\x" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_what_is_no_file_keeps_nobody_waiting(secrets: NamedSecrets, directory: Path) -> None:
    """A pipe that nobody writes to, a directory."""
    os.mkfifo(directory / "pipe")
    (directory / "folder").mkdir()
    for name in ("pipe", "folder"):
        with pytest.raises(ConfigError, match=r"is no file|Is a directory"):
            secrets(name)
