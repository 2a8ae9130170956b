"""Starts the command line: ``tfaudit``, also ``python -m proxy``."""

import sys
import traceback

from proxy.collector import look_seldom


def main() -> None:
    """Run the command line and exit with its code: 0 done, 1 the answer is no, 2 could not tell."""
    look_seldom()
    try:
        from proxy.cli import app  # noqa: PLC0415 - what it imports is not looked at again and again

        app(prog_name="tfaudit")
    except Exception:  # noqa: BLE001 - a bug must not exit with 1, which says "the answer is no"
        traceback.print_exc()
        print("tfaudit: internal error, please report the lines above", file=sys.stderr)  # noqa: T201
        sys.exit(2)


if __name__ == "__main__":
    main()
