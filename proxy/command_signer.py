"""Signs by a program of the operator's: the way to a key in a KMS, an HSM or another process.

The program is started at the first signature and kept running. For each it gets one line on its
standard input, the base64 of the bytes that are to be signed, and answers with one line on its
standard output: the base64 of the 64 bytes of the signature, or ``error`` and why. It ends when its
input ends. It signs the bytes themselves (Ed25519, RFC 8032), never a digest of them.
"""

import os
import select
import shlex
import subprocess
import time
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Callable
from contextlib import suppress
from typing import IO, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from proxy.errors import UnavailableError

_MAX_ANSWER: Final = 4096
_MAX_SHOWN: Final = 200
_READ: Final = 1 << 12
_END_SECONDS: Final = 2.0
"""How long a program may take to end when its input has ended."""


class CommandSigner:
    """contracts.Signer by a program.

    Args:
        command: the program and its arguments, as a shell would part them; no shell is started.
        public_key: of the key that it signs with, 32 bytes; each signature is checked with it.
        seconds: in which each signature must be given.
        monotonic: seconds.
    """

    def __init__(
        self,
        command: str,
        public_key: bytes,
        *,
        seconds: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._command = shlex.split(command)
        self._verifier = Ed25519PublicKey.from_public_bytes(public_key)
        self._seconds = seconds
        self._monotonic = monotonic
        self._process: subprocess.Popen[bytes] | None = None
        self._rests_until = float("-inf")
        self.public_key = public_key
        self.place = f"the command {self._command[0]}"

    def sign(self, message: bytes) -> bytes:
        """Ask the program for a signature and check it.

        Raises:
            UnavailableError: the program can't be started, ended, was too slow, refused, or its
                answer is no signature of this message. It is started anew for the next one; when
                it was too slow, not before as much time has passed again, so that those who
                queue are not made to wait one after the other.
        """
        if self._monotonic() < self._rests_until:
            raise self._failure("was too slow a moment ago and is left alone for a while")
        try:
            answer = self._ask(b64encode(message) + b"\n")
            signature = self._read(answer)
            self._verifier.verify(signature, message)
        except InvalidSignature as error:
            self._end()
            raise self._failure(
                "gave a signature that is not the configured public key's: check that both are of "
                "one key, and that it signs the bytes it is given and no digest of them"
            ) from error
        except UnavailableError:
            self._end()
            raise
        except OSError as error:
            self._end()
            raise self._failure(f"can't be run: {error.strerror or error}") from error
        return signature

    def close(self) -> None:
        """End the program by the end of its input, or by force when it does not."""
        process, self._process = self._process, None
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _end(self) -> None:
        """End it at once: whatever it may still answer belongs to a question that is given up."""
        if self._process is not None:
            self._process.kill()
            self.close()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self.close()
            # In a session of its own: Ctrl-C ends the server, which then has its stop signed.
            self._process = subprocess.Popen(  # noqa: S603 - the operator's own program
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,
                bufsize=0,
            )
            for pipe in (self._process.stdin, self._process.stdout):
                os.set_blocking(_number(pipe), False)
        return self._process

    def _ask(self, question: bytes) -> bytes:
        """Write a line and read one, both until the time is up.

        Raises:
            UnavailableError: there is no answer.
            OSError: the program can't be started, or its pipes broke.
        """
        process = self._running()
        source, target = _number(process.stdout), _number(process.stdin)
        deadline = self._monotonic() + self._seconds
        left, answer = memoryview(question), b""
        poll = select.poll()
        poll.register(source, select.POLLIN)
        poll.register(target, select.POLLOUT)
        while not answer.endswith(b"\n"):
            rest = deadline - self._monotonic()
            if rest <= 0 or not (ready := dict(poll.poll(rest * 1000))):
                self._rests_until = self._monotonic() + self._seconds
                raise self._failure(f"gave no signature within {self._seconds:g} s")
            if left and target in ready:
                left = left[_written(target, left) :]
                if not left:
                    poll.unregister(target)
            if source in ready:
                more = os.read(source, _READ)
                answer += more
                if not more:
                    raise self._failure(f"ended{_status(process)} without giving a signature")
                if left or len(answer) > _MAX_ANSWER:
                    raise self._failure("answered what it was not asked")
        return answer

    def _read(self, answer: bytes) -> bytes:
        text = answer.decode("ascii", "replace").strip()
        if text.startswith("error"):
            shown = "".join(filter(str.isprintable, text.removeprefix("error")))[:_MAX_SHOWN]
            raise self._failure(f"refused to sign: {shown.strip(': ') or 'no reason given'}")
        try:
            return b64decode(text, validate=True)
        except (Base64Error, ValueError):
            raise self._failure("gave an answer that is no base64 line") from None

    def _failure(self, what: str) -> UnavailableError:
        return UnavailableError(f"the signing command {self._command[0]} {what}")


def _number(pipe: IO[bytes] | None) -> int:
    if pipe is None:
        raise AssertionError("the program was started without its pipes")
    return pipe.fileno()


def _written(target: int, data: memoryview) -> int:
    try:
        return os.write(target, data)
    except BlockingIOError:
        return 0
    except BrokenPipeError:
        return len(data)  # it ended: what it said before, and how, is read next


def _status(process: subprocess.Popen[bytes]) -> str:
    with suppress(subprocess.TimeoutExpired):
        process.wait(_END_SECONDS)
    return "" if process.returncode is None else f" with status {process.returncode}"
