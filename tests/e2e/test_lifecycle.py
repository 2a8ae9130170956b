"""The life of a state: init, plan, apply, change, destroy, and every way to look at it."""

import json

import pytest

from tests.e2e.conftest import MakeProject, MakeTerraform
from tests.e2e.ledger import (
    APPLY,
    CREATED,
    INVALID,
    NOTHING,
    PLAN,
    READ,
    REFRESH,
    VALUE,
    Ledger,
    Step,
    early,
    locked,
    under_lock,
    unlocked,
    write_refused,
    written,
)
from tests.e2e.server import HTTP_BACKEND


def test_init(ledger: Ledger, make_terraform: MakeTerraform, terraform_version: str) -> None:
    """Init reads and finds nothing, without a lock."""
    terraform = make_terraform(terraform_version, env=ledger.backend())
    terraform.write(HTTP_BACKEND + VALUE)

    terraform.run("init")

    assert [*early(terraform_version, NOTHING), NOTHING] == ledger.steps()


def test_first_plan(ledger: Ledger, project: MakeProject, terraform_version: str) -> None:
    """A plan takes the lock, finds nothing, and gives the lock back."""
    terraform = project(terraform_version)

    planned = terraform.run("plan", "-detailed-exitcode", check=False)

    assert 2 == planned.returncode
    assert "Plan: 1 to add" in planned.stdout
    expected = [*early(terraform_version, NOTHING), *under_lock(PLAN, NOTHING)]
    assert expected == ledger.steps()


def test_first_apply(ledger: Ledger, project: MakeProject, terraform_version: str) -> None:
    """The first apply asks twice whether there is really no state, and creates the workspace."""
    terraform = project(terraform_version)

    applied = terraform.apply()

    assert "1 added, 0 changed, 0 destroyed" in applied.stdout
    expected = [
        *early(terraform_version, NOTHING),
        *under_lock(APPLY, NOTHING, NOTHING, CREATED, written(APPLY)),
    ]
    assert expected == ledger.steps()


def test_change(ledger: Ledger, project: MakeProject, terraform_version: str) -> None:
    """A change is one write, whose entry says who changed what in which resource."""
    terraform = project(terraform_version, applied=True)

    terraform.apply("-var", "value=two")

    records = ledger.records()
    write = records[-2].entry
    assert "state.written" == write["event"]
    assert ledger.name == write["actor"]["name"]
    assert terraform_version == write["run"]["terraform_version"]
    assert [1, 2] == [write["state"]["previous_serial"], write["state"]["serial"]]
    assert {"added": 0, "changed": 1, "removed": 0} == write["changes"]["resources"]
    changed = [item["address"] for item in write["changes"]["items"]]
    assert ["terraform_data.a", "output.value"] == changed


def test_steps_of_a_change(ledger: Ledger, project: MakeProject, terraform_version: str) -> None:
    """With a state there, an apply is LOCK, GET, POST and UNLOCK."""
    terraform = project(terraform_version, applied=True)

    terraform.apply("-var", "value=two")

    assert [*early(terraform_version), *under_lock(APPLY, READ, written(APPLY))] == ledger.steps()
