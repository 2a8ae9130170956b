"""A log of some hundred entries and its tiles, made once for the tests that read them."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from typer.testing import CliRunner, Result

from proxy.cli import app
from proxy.cli._common import run, settings
from proxy.program import open_program
from tests.contracts.store_contract import appends

ENTRIES = 600


@dataclass(frozen=True, slots=True)
class Log:
    """A data directory, its public keys, and its tiles as they were at two sizes.

    Attributes:
        data: the data directory.
        keys: file with the public keys.
        old: tiles of the first 600 entries and of the export's own.
        new: tiles of some more.
    """

    data: Path
    keys: Path
    old: Path
    new: Path

    def copy(self, to: Path) -> "Log":
        """Return a copy that a test may change."""
        shutil.copytree(self.data.parent, to, dirs_exist_ok=True)
        return Log(*(to / path.name for path in (self.data, self.keys, self.old, self.new)))


def tfaudit(*args: object, code: int = 0, answer: str | None = None) -> Result:
    """Run the command line, which is answered so when it asks."""
    result = CliRunner().invoke(app, [*map(str, args)], input=answer)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert code == result.exit_code, result.output
    return result


def grow(data: Path, entries: int) -> None:
    """Append so many entries, in one commit."""

    async def work() -> None:
        async with open_program(settings(data, None), create=True) as program:
            await program.store.write(appends(*map(str, range(entries))))

    run(work())


def a_log(directory: Path) -> Log:
    """Make the log."""
    made = Log(*(directory / name for name in ("data", "keys.json", "old", "new")))
    grow(made.data, ENTRIES)
    tfaudit("export", "--format", "tiles", "-o", made.old, "--data", made.data)
    shutil.copytree(made.old, made.new)
    grow(made.data, 200)
    tfaudit("export", "--format", "tiles", "-o", made.new, "--data", made.data)
    made.keys.write_text(tfaudit("key", "show", "--json", "--data", made.data).stdout)
    return made


def verified(*args: object, code: int = 0) -> dict[str, object]:
    """Verify, and return what is told in JSON; nothing is when it could not even be read."""
    result = tfaudit("verify", *args, "--json", code=code)
    shown: dict[str, object] = json.loads(result.stdout) if result.stdout else {}
    return shown
