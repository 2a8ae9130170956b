"""Starts the command line: ``tfaudit``, also ``python -m proxy``."""

import sys
import traceback

from proxy.cli import app


def main() -> None:
    """Run the command line and exit with its code: 0 done, 1 the answer is no, 2 could not tell."""
    try:
        app(prog_name="tfaudit")
    except Exception:  # noqa: BLE001 - a bug must not exit with 1, which says "the answer is no"
        traceback.print_exc()
        print("tfaudit: internal error, please report the lines above", file=sys.stderr)  # noqa: T201
        sys.exit(2)


if __name__ == "__main__":
    main()
