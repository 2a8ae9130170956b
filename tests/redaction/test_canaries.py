"""The canaries are where they are said to be, and everywhere that matters."""

from collections import Counter

import pytest

from tests.redaction.canaries import COUNT, Planted, plant
from tests.redaction.planting import NEW, OLD

KINDS = {
    "cloud-init",
    "Kubernetes Secret",
    "PEM",
    "carrier",
    "check message",
    "connection URL",
    "copy",
    "copy of an unchanged secret",
    "database password",
    "deposed or tainted",
    "index key",
    "kubeconfig",
    "list",
    "map key",
    "mark of one version",
    "name",
    "number",
    "object",
    "output",
    "private",
    "remote state",
    "request",
    "schema",
    "secret store",
    "text",
    "token",
    "unlisted provider",
    "version 3",
}


@pytest.fixture(scope="module")
def planted() -> Planted:
    """The canaries of all other tests."""
    return plant()


def test_there_are_2000_that_all_differ(planted: Planted) -> None:
    """A leak then names one place."""
    assert COUNT == len({canary.value for canary in planted.canaries})


def test_the_same_seed_plants_the_same(planted: Planted) -> None:
    """A leak can be looked at again."""
    assert planted.stacks[3].state(NEW) == plant().stacks[3].state(NEW)


def test_every_class_has_canaries(planted: Planted) -> None:
    """None is forgotten, and none has a handful only."""
    counts = Counter(canary.kind for canary in planted.canaries)
    assert KINDS == counts.keys()
    assert 8 <= min(counts.values())


def test_at_least_12_providers(planted: Planted) -> None:
    """As in the states that people have."""
    types = {each["type"] for stack in planted.stacks for each in stack.resources[NEW]}
    assert 12 <= len({type_.partition("_")[0] for type_ in types})


def test_every_canary_stands_in_its_workspace_alone(planted: Planted) -> None:
    """The search finds each in the states themselves, so that it would find it elsewhere."""
    places = {
        (hit.name, stack.workspace)
        for stack in planted.stacks
        for version in (OLD, NEW)
        for hit in planted.searcher.find(stack.state(version))
    }
    assert places == {
        (canary.name, canary.workspace) for canary in planted.canaries if canary.workspace
    }


def test_versions_differ(planted: Planted) -> None:
    """Objects come, go, move and change, and some don't."""
    for stack in planted.stacks[:-1]:
        old, new = ({each["name"] for each in stack.resources[v]} for v in (OLD, NEW))
        assert old - new
        assert new - old
        same = [each for each in stack.resources[OLD] if each in stack.resources[NEW]]
        assert 10 < len(same) < len(stack.resources[OLD]) / 2
