"""Measures our detectors beside libraries: ``python -m tests.redaction.compare`` writes the table.

Needs detect-secrets and kingfisher-secret-scanner installed; the figures go into docs/ from
`COMPARED`. A library gets each text as it likes it best, a quoted value behind a name.
"""

import importlib
import json
import re
import statistics
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from proxy.tfstate.detectors import find
from tests.redaction.drawn import DRAWN, secrets
from tests.redaction.readable import READABLE

COMPARED: Final = Path(__file__).parent.parent / "data" / "detectors.json"
_OF_EACH: Final = 30

Detector = Callable[[str, str], list[str]]
"""The secrets that one finds in a text under a name."""


def _ours() -> Detector:
    return lambda text, name: [text[hit.start : hit.end] for hit in find(text, name)]


def _detect_secrets() -> Detector:
    scan = importlib.import_module("detect_secrets.core.scan")
    settings = importlib.import_module("detect_secrets.settings")
    stack = ExitStack()
    stack.enter_context(settings.default_settings())

    def detect(text: str, name: str, _kept: ExitStack = stack) -> list[str]:
        lines = list(enumerate((f'{name} = "{line}"' for line in text.splitlines()), 1))
        found: Iterable[Any] = scan._process_line_based_plugins(lines=lines, filename="main.tf")
        return [str(secret.secret_value) for secret in found]

    return detect


def _kingfisher() -> Detector:
    scanner = importlib.import_module("kingfisher_sdk").Scanner()
    return lambda text, name: [
        finding.secret for finding in scanner.scan(f'{name} = "{text}"') if finding.visible
    ]


DETECTORS: Final = {
    "ours": _ours,
    "detect-secrets 1.5.0": _detect_secrets,
    "kingfisher 1.5.0": _kingfisher,
}


def measure(detect: Detector) -> dict[str, float]:
    """Shares of secrets noticed and found whole, of readable values hit; microseconds a text."""
    noticed = whole = planted = 0
    for kind in DRAWN:
        for secret, text in secrets(kind, _OF_EACH):
            found = detect(text, "value")
            planted += 1
            noticed += bool(found)
            whole += any(secret.rstrip("=") in one for one in found)
    cases = [
        (case.value, re.sub(r"\[\d+\]", "", case.path).rpartition(".")[2])
        for group in READABLE.values()
        for case in group
        if isinstance(case.value, str)
    ]
    short = [case for case in cases if len(case[0]) <= 80 and "\n" not in case[0]]
    hit = 0
    for value, name in cases:
        hit += bool(detect(value, name))
    times = []
    for value, name in short:
        start = time.perf_counter_ns()
        detect(value, name)
        times.append(time.perf_counter_ns() - start)
    return {
        "noticed": round(100 * noticed / planted, 1),
        "whole": round(100 * whole / planted, 1),
        "false": round(100 * hit / len(cases), 1),
        "microseconds": round(statistics.median(times) / 1000, 1),
    }


def main() -> None:
    """Measure all and keep the figures."""
    figures = {name: measure(make()) for name, make in DETECTORS.items()}
    COMPARED.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")
    print(COMPARED.read_text("utf-8"))


if __name__ == "__main__":
    main()
