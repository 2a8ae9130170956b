"""Tests of the backend block."""

from pathlib import Path

import pytest

from proxy.cli._block import backend_block, base_address
from proxy.config import Config, ServerConfig


@pytest.mark.parametrize(
    ("server", "base"),
    [
        (ServerConfig(), "http://127.0.0.1:8920"),
        (ServerConfig(host="0.0.0.0", port=9000), "http://localhost:9000"),  # noqa: S104
        (ServerConfig(host="::"), "http://localhost:8920"),
        (ServerConfig(host="::1"), "http://[::1]:8920"),
        (
            ServerConfig(
                host="state.example.com", certificate=Path("c.pem"), private_key=Path("k.pem")
            ),
            "https://state.example.com:8920",
        ),
    ],
)
def test_the_address_is_the_one_to_connect_to(server: ServerConfig, base: str) -> None:
    """Not the one that means "all of them", and with the scheme that is served."""
    assert base == base_address(Config(server=server))


def test_the_block_has_no_secret() -> None:
    """Terraform keeps literal settings in .terraform: the password comes from the environment."""
    block = backend_block("http://h:1", "prod/net")
    assert "password  " not in block
    assert "TF_HTTP_PASSWORD" in block
    assert 3 == block.count('"http://h:1/state/prod/net"')
