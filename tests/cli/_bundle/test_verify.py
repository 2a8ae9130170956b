"""Tests that `verify.py` runs where nothing of tfaudit is, and of `tfaudit verify BUNDLE`."""

import json
import subprocess
import sys
from pathlib import Path

import cryptography
import pytest

from proxy.cli._bundle import verify
from proxy.events import EVENTS
from tests.cli._bundle.bundles import Sample, pack, with_json
from tests.cli.tile_logs import tfaudit, verified

ALONE = """
import runpy, sys
sys.path[:] = [path for path in sys.path if "site-packages" not in path] + [sys.argv.pop(1)]
for name in ("proxy", "orjson", "msgspec", "nacl", "typer"):
    try:
        __import__(name)
    except ImportError:
        continue
    sys.exit(f"{name} is at hand here")
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """Return a directory in which cryptography and what it needs stand alone."""
    (packages,) = {Path(cryptography.__file__).parent.parent}
    alone = tmp_path / "alone"
    alone.mkdir()
    for pattern in ("cryptography", "cffi", "_cffi_backend*", "pycparser"):
        for found in packages.glob(pattern):
            (alone / found.name).symlink_to(found)
    return alone


def test_the_bundles_own_program_needs_cryptography_alone(
    sample: Sample, bare: Path, tmp_path: Path
) -> None:
    """As an auditor runs it, out of the bundle; and it says no to a changed one."""
    program = tmp_path / "verify.py"
    program.write_bytes(sample.whole["verify.py"])
    true = pack(sample.whole, tmp_path / "true.zip")
    about = with_json(sample.whole, "manifest.json", lambda about: about.update({"from": 1}))
    false = pack(about, tmp_path / "false.zip")
    for bundle, code, told in ((true, 0, "VERIFIED: 60 entries"), (false, 1, "FAILED: entry 1 is")):
        command = [sys.executable, "-I", "-S", "-c", ALONE, str(bare), str(program), str(bundle)]
        done = subprocess.run(
            [*command, "--key", str(sample.keys)],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert (code, "") == (done.returncode, done.stderr)
        assert done.stdout.startswith(told)


def test_it_can_be_read_in_ten_minutes() -> None:
    """By an auditor: short, and nothing imported but the standard library and cryptography."""
    text = Path(verify.__file__).read_text("utf-8")
    assert 350 >= text.count("\n")
    modules = {
        line.split()[1].split(".")[0]
        for line in map(str.strip, text.splitlines())
        if " import " in line and line.startswith("from ")
    }
    modules |= {line.split()[1] for line in text.splitlines() if line.startswith("import ")}
    assert {"cryptography"} == modules - sys.stdlib_module_names


def test_it_says_which_package_is_missing(sample: Sample, tmp_path: Path) -> None:
    """It could not tell, which is not the code of a bundle that does not hold."""
    program = tmp_path / "verify.py"
    program.write_bytes(sample.whole["verify.py"])
    command = [sys.executable, "-I", "-S", str(program), "b.zip"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (2, "") == (done.returncode, done.stdout)
    assert "pip install cryptography" in done.stderr


def test_tfaudit_verifies_a_bundle(sample: Sample, tmp_path: Path) -> None:
    """And tells what it proves, also to programs."""
    bundle = pack(sample.whole, tmp_path / "b.zip")
    shown = verified(bundle, "--key", sample.keys, "--data", tmp_path / "none")
    assert ("verified", 230, 289, 60) == (
        shown["result"],
        shown["from"],
        shown["to"],
        shown["proved_entries"],
    )
    told = tfaudit("verify", bundle, "--key", sample.keys, "--data", tmp_path / "none").output
    assert "60 entries, from 230 to 289" in told
    assert "none between them is missing" in told


def test_tfaudit_refuses_a_bundle(sample: Sample, tmp_path: Path) -> None:
    """With the first bad index; without keys it can't tell."""
    changed = {**sample.whole, "entries.jsonl": sample.whole["entries.jsonl"][100:]}
    bundle = pack(changed, tmp_path / "b.zip")
    options = ("--key", sample.keys, "--data", tmp_path / "none")
    assert 230 == verified(bundle, *options, code=1)["first_bad_index"]
    verified(bundle, "--data", tmp_path / "none", code=2)


def test_tfaudit_can_not_tell_of_growth_that_is_not_in_it(sample: Sample, tmp_path: Path) -> None:
    """A checkpoint that was kept needs a proof in the bundle."""
    options = ("--key", sample.keys, "--data", tmp_path / "none", "--since", sample.kept)
    verified(pack(sample.whole, tmp_path / "whole.zip"), *options)
    shown = verified(pack(sample.chosen, tmp_path / "chosen.zip"), *options, code=2)
    assert "unknown" == shown["result"]


def test_the_schema_in_it_is_the_published_one(sample: Sample) -> None:
    """And the catalogue is whole."""
    docs = Path(__file__).parents[3] / "docs"
    assert (docs / "entry.schema.json").read_bytes() == sample.whole["entry.schema.json"]
    assert set(EVENTS) == set(json.loads(sample.whole["events.json"])["events"])
