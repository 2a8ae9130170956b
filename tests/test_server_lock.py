"""Tests of proxy.server_lock."""

from pathlib import Path

import pytest

from proxy.config import Config, DataConfig
from proxy.errors import ConfigError
from proxy.server_lock import halted, is_served, only_server, tell_halted


def test_one_server_holds_a_directory(tmp_path: Path) -> None:
    """Whoever looks sees that it runs; the second is told."""
    config = Config(data=DataConfig(tmp_path))
    assert not is_served(tmp_path)
    with only_server(config):
        assert is_served(tmp_path)
        with pytest.raises(ConfigError, match="another server is running"):
            only_server(config)
    assert not is_served(tmp_path)


def test_why_nothing_is_signed_on_is_known_as_long_as_the_server_runs(tmp_path: Path) -> None:
    """The next one begins anew."""
    config = Config(data=DataConfig(tmp_path))
    with only_server(config) as held:
        assert "" == halted(tmp_path)
        tell_halted(held, "a fork, and more")
        tell_halted(held, "a fork")
        assert "a fork" == halted(tmp_path)
    assert "" == halted(tmp_path)
    with only_server(config):
        assert "" == halted(tmp_path)
