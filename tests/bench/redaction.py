"""What redaction lets out, what it hides without need, and what it costs."""

import gc
import hashlib
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import orjson

from proxy.tfstate.document import parse
from proxy.tfstate.redact import Redactor
from tests.bench import states
from tests.redaction import leaving
from tests.redaction.canaries import plant
from tests.redaction.planting import NEW
from tests.redaction.readable import READABLE, Case

MAX_HIDDEN = 0.02
MAX_CHANGE_MS = 10.0
MAX_FIRST_SECONDS = 3.0

_KEY = b"k" * 32
_RESOURCES = 5_000
_SECRETIVE = 5
"""Every so many resources of the state that is measured with is one with secrets."""

_RULES = 15
_CHANGES = 12
_READABLE = "readable_"
_STEP = re.compile(r"\[(\d+)\]|([^.\[\]]+)")


@dataclass(frozen=True, slots=True)
class Redaction:
    """What was measured.

    Attributes:
        canaries: how many secrets were planted.
        leaked: how many of them left a real server, by class; empty when none did.
        readable: harmless values by class: how many there are, and how many were hidden.
        body: bytes of the state that the times are about.
        secrets: how many secrets are in it.
        hashing: milliseconds that it takes to hash that state, for comparison.
        warm: milliseconds to compare and redact the change of one resource, when the version
            before was seen by the same process; the quickest. The upload's own hash is not in it.
        rotated: the same for a secret that was rotated.
        cold: the same when nothing of the state was seen before.
        first: seconds for a first write of that state: reading, comparing and redacting.
    """

    canaries: int
    leaked: dict[str, int]
    readable: dict[str, tuple[int, int]]
    body: int
    secrets: int
    hashing: float
    warm: float
    rotated: float
    cold: float
    first: float

    @property
    def hidden(self) -> float:
        """The share of the harmless values that was hidden."""
        return sum(each[1] for each in self.readable.values()) / self.values

    @property
    def values(self) -> int:
        """The number of harmless values."""
        return sum(each[0] for each in self.readable.values())


def measure(directory: Path, *, resources: int = _RESOURCES) -> Redaction:
    """Bring the canaries to a real server, show the harmless values, and take the times.

    Args:
        directory: for the server's data.
        resources: in the state that the times are taken with.
    """
    planted = plant()
    found = leaving.leaks(planted, leaving.everything(directory, planted))
    secretive = planted.stacks[0].resources[NEW]
    body, secrets = large(0, resources=resources)
    changed = parse(large(1, resources=resources)[0])
    hashing = min(_ms(lambda: hashlib.sha256(body).digest()) for _ in range(_CHANGES))
    redactor = Redactor()
    gc.collect()
    gc.freeze()  # all that this process holds of canaries and states, and a server does not
    started = time.perf_counter()
    redactor.change(None, parse(body), _KEY)
    first = time.perf_counter() - started
    return Redaction(
        canaries=len(planted.canaries),
        leaked=leaving.leaked(found),
        readable={name: (len(cases), hidden(cases, secretive)) for name, cases in READABLE.items()},
        body=len(body),
        secrets=secrets,
        hashing=hashing,
        warm=_change_ms(redactor, lambda n: large(n, resources=resources)[0]),
        rotated=_change_ms(redactor, lambda n: large(0, n, resources=resources)[0]),
        cold=_ms(lambda: Redactor().change(parse(body), changed, _KEY)),
        first=first,
    )


def _change_ms(redactor: Redactor, version: Callable[[int], bytes]) -> float:
    """The quickest of the changes from each version to the next: others use the machine, too."""
    took = []
    old = parse(version(0))
    for number in range(1, _CHANGES):
        new = parse(version(number))
        started = time.perf_counter()
        redactor.change(old, new, _KEY)
        took.append((time.perf_counter() - started) * 1000)
        old = new
    return min(took)


def _ms(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000


def large(changed: int, rotated: int = 0, *, resources: int = _RESOURCES) -> tuple[bytes, int]:
    """Return a state of about 2 KB for each resource, and how many secrets are in it.

    Args:
        changed: what one attribute of one plain resource says.
        rotated: what one password ends in.
        resources: how many; one in five holds secrets.
    """
    secretive = _secretive()
    found: list[dict[str, Any]] = []
    for number in range(resources):
        if number % _SECRETIVE:
            what = str(changed) if number == resources // 2 + 1 else "unchanged"
            found.append(states.instance(number, what, _RULES))
        else:
            turn, index = divmod(number // _SECRETIVE, len(secretive))
            found.append(secretive[index] | {"module": f"module.turn{turn}"})
    found.append(_database(f"Amsel-{rotated:04}-rotated"))
    document = {
        "version": 4,
        "terraform_version": "1.5.7",
        "serial": 1,
        "lineage": states.LINEAGE,
        "outputs": {},
        "resources": found,
        "check_results": None,
    }
    return orjson.dumps(document, option=orjson.OPT_INDENT_2), resources // _SECRETIVE


@cache
def _secretive() -> tuple[dict[str, Any], ...]:
    """Resources that hold secrets."""
    return tuple(resource for stack in plant().stacks for resource in stack.resources[NEW])


def _database(password: str) -> dict[str, Any]:
    return {
        "mode": "managed",
        "type": "aws_db_instance",
        "name": "rotated",
        "provider": 'provider["registry.terraform.io/hashicorp/aws"]',
        "instances": [
            {
                "schema_version": 2,
                "attributes": {"engine": "postgres", "password": password},
                "sensitive_attributes": [],
            }
        ],
    }


def hidden(cases: Sequence[Case], beside: Sequence[dict[str, Any]] = ()) -> int:
    """How many harmless values are hidden, wholly or in part, when they stand in a state.

    Args:
        cases: the values.
        beside: resources with secrets in the same state, whose copies are hunted for.
    """
    resources = [_resource(f"{_READABLE}{number}", case) for number, case in enumerate(cases)]
    state = {"version": 4, "serial": 1, "lineage": "l", "resources": [*resources, *beside]}
    redacted, _ = Redactor().change(None, parse(orjson.dumps(state)), _KEY)
    whole = redacted.entry if redacted.document is None else orjson.loads(redacted.document)
    items = {item["address"].rpartition(".")[2]: item["attributes"] for item in whole["items"]}
    return sum(
        b"hmac-sha256:" in orjson.dumps(items[f"{_READABLE}{number}"])
        for number in range(len(cases))
    )


def _resource(name: str, case: Case) -> dict[str, Any]:
    """A resource with a value at its path."""
    value = case.value
    for index, step in reversed(_STEP.findall(case.path)):
        value = {step: value} if step else [{}] * int(index) + [value]
    return {
        "mode": "managed",
        "type": case.type,
        "name": name,
        "provider": "p",
        "instances": [{"attributes": value, "sensitive_attributes": []}],
    }


def table(figures: Redaction) -> str:
    """Return the figures as a Markdown table."""
    leaked = sum(figures.leaked.values())
    size = f"{figures.body / 1e6:.0f} MB"
    rows = {
        "secrets that left a real server in any form": f"**{leaked} of {figures.canaries:,}**",
        "harmless values that were hidden": f"{figures.hidden:.1%} of {figures.values}",
        f"change of one resource in {size}, compared and redacted": f"{figures.warm:.1f} ms",
        "the same, a secret rotated": f"{figures.rotated:.1f} ms",
        "the same, nothing seen before": f"{figures.cold:.0f} ms",
        "SHA-256 of that state, for comparison": f"{figures.hashing:.1f} ms",
        "first write of that state": f"{figures.first:.1f} s",
    }
    lines = ["| redaction | measured |", "|---|---:|"]
    lines += [f"| {what} | {measured} |" for what, measured in rows.items()]
    return "\n".join(lines)


def details(figures: Redaction) -> str:
    """Tell by class what leaked and what was hidden; empty when there is nothing of either."""
    return "\n".join(
        (
            *(f"leaked, {kind}: {number}" for kind, number in figures.leaked.items()),
            *_worst(figures.readable),
        )
    )


def _worst(readable: Mapping[str, tuple[int, int]]) -> list[str]:
    return [
        f"hidden, {name}: {number} of {count} ({number / count:.0%})"
        for name, (count, number) in readable.items()
        if number
    ]
