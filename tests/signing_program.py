"""A program that signs, as an operator would write one; by its argument, one that fails.

Its key is the seed of 32 times ``s``. It writes a line to the file that is named second, if one is,
for each time it is started.
"""

import base64
import sys
import time
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

KEY = Ed25519PrivateKey.from_private_bytes(b"s" * 32)
PUBLIC = base64.b64encode(KEY.public_key().public_bytes_raw()).decode()


def answer(how: str, message: bytes) -> str:
    """Return the answer's line."""
    match how:
        case "hang":
            time.sleep(3600)
        case "other":
            return base64.b64encode(KEY.sign(message + b"!")).decode()
        case "refuse":
            return "error: the key is disabled"
        case "babble":
            return "yes, of course"
        case "twice":
            line = base64.b64encode(KEY.sign(message)).decode()
            return f"{line}\n{line}"
    return base64.b64encode(KEY.sign(message)).decode()


def main() -> None:
    """Sign what comes until nothing more comes."""
    how, *told = sys.argv[1:]
    for path in told:
        with Path(path).open("a", encoding="utf-8") as file:
            file.write("started\n")
    for line in sys.stdin:
        if how == "die":
            sys.exit(3)
        sys.stdout.write(answer(how, base64.b64decode(line)) + "\n")
        sys.stdout.flush()
        if how == "once":
            return


if __name__ == "__main__":
    main()
