"""Plants unique secrets in realistic states of many providers, in two versions with changes.

`python -m tests.redaction.canaries DIRECTORY` writes the states there, to be looked at.
"""

import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from tests.redaction import scenes
from tests.redaction.encodings import Searcher
from tests.redaction.forge import Forge
from tests.redaction.planting import NEW, OLD, Canary, Make, Scene, Stack
from tests.redaction.scenes import flat

COUNT: Final = 2_000
SEED: Final = 20_260_131

_ROUNDS: Final = (
    ("prod/network", ("1.11.4", "1.11.4"), (True, True)),
    ("prod/data", ("1.5.7", "1.5.7"), (False, False)),
    ("prod/platform", ("1.7.5", "1.9.8"), (False, True)),
    ("prod/shop", ("1.9.8", "1.6.6"), (True, False)),
    ("staging/shop", ("1.15.5", "1.15.5"), (True, True)),
    ("staging/data", ("0.15.5", "1.3.9"), (False, False)),
    ("shared/identity", ("1.12.6", "1.13.0"), (True, True)),
    ("lab/all", ("0.12.31", "0.13.7"), (False, False)),
)
"""Workspaces with the Terraform that wrote each version, and whether it lists schema's marks."""

_SECOND: Final = 3
"""So many stacks from the first, half of the texts stand in a second one."""

_FLAT_ROUNDS: Final = 4

_SAID: Final = (
    ("query", "plain"),
    ("header", "plain"),
    ("cookie", "plain"),
    ("credentials", "plain"),
    ("wish", "plain"),
    ("line that is no HTTP", "plain"),
    ("user agent", "plain"),
    ("lock info", "github"),
)
"""Secrets that requests say beside a state, and their shape: see `leaving`."""


@dataclass(frozen=True)
class Planted:
    """The canaries and the stacks they sit in.

    Attributes:
        canaries: by number.
        stacks: two versions of a workspace each.
    """

    canaries: tuple[Canary, ...]
    stacks: tuple[Stack, ...]

    @cached_property
    def searcher(self) -> Searcher:
        """Finds every canary however it is written; hits carry the canary's name."""
        return Searcher({canary.name: canary.value for canary in self.canaries})

    @cached_property
    def by_name(self) -> dict[str, Canary]:
        """The canaries by name."""
        return {canary.name: canary for canary in self.canaries}


def plant(count: int = COUNT, seed: int = SEED) -> Planted:
    """Plant so many secrets; the same for the same seed.

    Raises:
        ValueError: the scenes have more secrets than that.
    """
    forge = Forge(random.Random(seed))
    canaries: list[Canary] = []
    stacks = [Stack(*each) for each in _ROUNDS]
    for number, stack in enumerate(stacks):
        here = (
            *scenes.ATTRIBUTES[number :: len(stacks)],
            *scenes.TEXTS[number :: len(stacks)],
            *scenes.TEXTS[(number + _SECOND) % len(stacks) :: 2 * len(stacks)],
        )
        for scene in (*scenes.SCENES, *here):
            rng = random.Random(f"{seed} {stack.workspace} {scene.__name__}")
            scene(Scene(scene.__name__, number, stack, forge, canaries=canaries, rng=rng))
    for place, shape in _SAID:
        name = f"canary-{len(canaries):04}"
        canaries.append(Canary(name, forge.make(shape), "request", shape, "format", place, ""))
    old = flat.FlatStack("legacy/app", ("0.11.14", "0.11.15"), (False, False))
    flat.play(old, _FLAT_ROUNDS, forge, canaries, seed)
    if len(canaries) > count:
        raise ValueError(f"the scenes have {len(canaries)} secrets, more than {count}")
    _fill(stacks, count, forge, canaries, seed)
    return Planted(tuple(canaries), (*stacks, old))


def _fill(
    stacks: Sequence[Stack], count: int, forge: Forge, canaries: list[Canary], seed: int
) -> None:
    """Plant the rest, one by one, as passwords of databases that most states have."""
    number = 0
    while len(canaries) < count:
        stack = stacks[number % len(stacks)]
        rng = random.Random(f"{seed} rest {number}")
        scene = Scene("rest", number + len(stacks), stack, forge, canaries=canaries, rng=rng)
        secret = scene.secret("database password", rng.choice(("words", "plain", "odd")))
        scene.add("acme_database", _database(secret, number))
        number += 1


def _database(password: str, size: int) -> Make:
    return lambda v: {"engine": "postgres", "size": size + v, "admin": {"password": password}}


def main() -> None:
    """Write the states into the directory that is named on the command line."""
    directory = Path(sys.argv[1])
    planted = plant()
    for stack in planted.stacks:
        for version, name in ((OLD, "old"), (NEW, "new")):
            file = directory / f"{stack.workspace.replace('/', '-')}-{name}.tfstate"
            file.write_bytes(stack.state(version))
    print(f"{len(planted.canaries)} canaries in {len(planted.stacks)} workspaces")  # noqa: T201


if __name__ == "__main__":
    main()
