# ruff: noqa: INP001 - a script to run, not a module to import
"""Pack recorded sessions of real Terraform clients into the traces the replay suite reads.

Usage: python tests/data/wire/pack.py RECORDINGS_DIR [OUTPUT_DIR]

RECORDINGS_DIR holds one `<client>.jsonl` a client, one scenario a line. Each becomes
`<client>.jsonl.xz` with the same scenarios and whole requests; README.md beside this file gives
the format and says what is left out. The output is the same bytes for the same input.
"""

from __future__ import annotations

import base64
import hashlib
import json
import lzma
import sys
import uuid
from pathlib import Path
from typing import Any

KEPT_OF_A_REQUEST = ("method", "target", "headers", "framing", "body", "status")
KEPT_OF_A_COMMAND = ("command", "env")


def digest(body: bytes) -> str:
    """Give the `Content-Md5` value of a body: base64 of its MD5 (RFC 1864)."""
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()


def stand_in(client: str, scenario: str, length: int, previous: dict[str, Any] | None) -> str:
    """Make a state of exactly `length` bytes, in place of a body the recording left out.

    It continues `previous`, the scenario's upload before it (same lineage, serial + 1), or begins
    a lineage at serial 1.
    """
    lineage = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{client}/{scenario}"))
    state: dict[str, Any] = {
        "version": 4,
        "terraform_version": client.removeprefix("terraform-"),
        "serial": previous["serial"] + 1 if previous else 1,
        "lineage": previous["lineage"] if previous else lineage,
        "outputs": {"padding": {"value": "", "type": "string"}},
        "resources": [],
        "check_results": None,
    }

    def text() -> str:
        return json.dumps(state, indent=2) + "\n"

    state["outputs"]["padding"]["value"] = "." * (length - len(text()))
    return text()


def pack_scenario(record: dict[str, Any]) -> dict[str, Any]:
    """Keep what a replay needs of one recorded scenario; mend bodies that were cut or replaced.

    A body that no longer has the length or the MD5 that its headers promise (the recorder
    replaced text in it) gets headers that fit it, since every client sends them right.
    """
    steps: list[dict[str, Any]] = []
    previous: dict[str, Any] | None = None
    for step in record["steps"]:
        if "command" in step:
            steps.append({key: step[key] for key in KEPT_OF_A_COMMAND if step.get(key)})
            continue
        if "exit" in step:
            steps.append({"exit": step["exit"]})
            continue
        kept = {key: step[key] for key in KEPT_OF_A_REQUEST if key in step}
        headers = kept["headers"] = dict(kept["headers"])
        length = int(headers.get("Content-Length", 0))
        if length and "body" not in kept:
            kept["body"] = stand_in(record["client"], record["scenario"], length, previous)
            kept["stand_in"] = True
        if "body" in kept:
            body = kept["body"].encode()
            headers["Content-Length"] = str(len(body))
            headers["Content-Md5"] = digest(body)
            content = json.loads(kept["body"])
            previous = content if "lineage" in content else previous
        steps.append(kept)
    head = {key: record[key] for key in ("client", "group", "scenario", "note")}
    return {**head, "steps": steps}


def main(recordings: Path, output: Path) -> None:
    """Write one compressed trace for each recording."""
    for path in sorted(recordings.glob("*.jsonl")):
        lines = [
            json.dumps(pack_scenario(json.loads(line)), separators=(",", ":"), ensure_ascii=False)
            for line in path.read_text(encoding="utf-8").splitlines()
        ]
        packed = lzma.compress(("\n".join(lines) + "\n").encode(), preset=9 | lzma.PRESET_EXTREME)
        (output / f"{path.name}.xz").write_bytes(packed)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else Path(__file__).parent)
