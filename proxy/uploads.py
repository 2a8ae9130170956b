"""The check of a body against its Content-MD5."""

import hashlib
from base64 import b64encode

from proxy.refusals import DamagedUploadError


def check_md5(body: bytes | bytearray, content_md5: str | None) -> None:
    """Pass when the body is what the header says, or when there is no header.

    Args:
        body: as it arrived.
        content_md5: base64 (RFC 1864), as every Terraform sends it.

    Raises:
        DamagedUploadError: it is not.
    """
    if content_md5 is None:
        return
    digest = hashlib.md5(body, usedforsecurity=False).digest()
    if b64encode(digest).decode() != content_md5:
        raise DamagedUploadError(
            "the body is not the one that its Content-MD5 describes: it was damaged on the way; "
            "send it again"
        )
