"""What is installed holds everything that runs need."""

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_wheel_holds_all_that_is_in_the_package(tmp_path: Path) -> None:
    """Code and data alike: what reads a file beside it must find it."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel"]
    subprocess.run([*command, "--directory", tmp_path], cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    files = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "proxy").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert "proxy/tfstate/data/marked.json" in files
    assert files <= set(zipfile.ZipFile(wheel).namelist())
