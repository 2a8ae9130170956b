"""The Terraform backend block that a person pastes, made from the configuration."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proxy.config import Config

_ANY_ADDRESS = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 - compared with, not bound to


def base_address(config: "Config") -> str:
    """Return the address under which this machine reaches the server, without a final slash."""
    server = config.server
    scheme = "https" if server.certificate else "http"
    host = "localhost" if server.host in _ANY_ADDRESS else server.host
    if ":" in host:
        host = f"[{host}]"
    return f"{scheme}://{host}:{server.port}"


def backend_block(base: str, workspace: str) -> str:
    """Return the block for one workspace; the password comes from the environment.

    Args:
        base: scheme, host and port of the server.
        workspace: the workspace's name.
    """
    address = f"{base}/state/{workspace}"
    return f"""\
terraform {{
  backend "http" {{
    address        = "{address}"
    lock_address   = "{address}"
    unlock_address = "{address}"
    username       = "tfaudit"
    # the password is a token, from the environment: TF_HTTP_PASSWORD
  }}
}}"""
