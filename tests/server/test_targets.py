"""Tests of proxy.server.targets."""

import pytest
from aiohttp.test_utils import make_mocked_request

from proxy.server.targets import path_of


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/state/a", "/state/a"),
        ("/state/a?ID=secret", "/state/a"),
        ("/state/a%2Fb//c", "/state/a%2Fb//c"),
        ("/state/http://u:secret@h/x", "/state/http://u:secret@h/x"),
        ("http://u:secret@host/state/a?ID=1", "/state/a"),
        ("https://host:8443/state/a", "/state/a"),
        ("http://u:secret@host", ""),
        ("u:secret@host:443", ""),
        ("*", ""),
    ],
)
def test_only_the_path_is_told(target: str, path: str) -> None:
    """As it is written; what stands in front of it may be a password."""
    assert path == path_of(make_mocked_request("GET", target))
