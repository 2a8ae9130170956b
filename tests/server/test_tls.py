"""Tests of proxy.server.tls: what can't be used stops the start."""

import ssl
from pathlib import Path

import pytest

from proxy.errors import ConfigError
from proxy.server.tls import Revocations, open_tls
from tests.certificates import authority
from tests.server.secure import secure_config


def test_tls_is_not_older_than_1_2(tmp_path: Path) -> None:
    """Nor does a client have to have a certificate."""
    context = open_tls(secure_config(tmp_path, authority()).server)
    assert context is not None
    assert (ssl.TLSVersion.TLSv1_2, ssl.CERT_OPTIONAL) == (
        context.minimum_version,
        context.verify_mode,
    )


def test_without_a_client_ca_no_certificate_is_asked_for(tmp_path: Path) -> None:
    """A server as it was."""
    context = open_tls(secure_config(tmp_path, authority(), client_ca=None).server)
    assert context is not None
    assert ssl.CERT_NONE == context.verify_mode


@pytest.mark.parametrize("text", ["", "no PEM", authority().issue().key_pem, None])
def test_a_client_ca_that_can_not_be_used_stops_the_start(tmp_path: Path, text: str | None) -> None:
    """By name: a server that believes nobody, or everybody, must not run."""
    path = tmp_path / "other.pem"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match=r"server.client_ca .*other.pem can't be used"):
        open_tls(secure_config(tmp_path, authority(), client_ca=path).server)


@pytest.mark.parametrize("text", ["", "no PEM", authority().pem, None])
def test_revocation_lists_that_can_not_be_used_stop_the_start(
    tmp_path: Path, text: str | None
) -> None:
    """By name."""
    path = tmp_path / "crl.pem"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match=r"server.client_crl .*crl.pem can't be used"):
        open_tls(secure_config(tmp_path, authority(), client_crl=path).server)
    with pytest.raises(ConfigError, match=r"server.client_crl .*crl.pem can't be used"):
        Revocations(path, None)
