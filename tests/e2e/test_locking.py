"""Locks between real clients: refused, waited for, forced, taken away, or not used at all."""

import json
from pathlib import Path

import pytest

from tests.e2e.conftest import MakeProject
from tests.e2e.ledger import (
    APPLY,
    BLOCKED,
    CREATED,
    FORCED,
    HOLDER,
    INVALID,
    NOTHING,
    PLAN,
    PUSH,
    READ,
    Ledger,
    Step,
    early,
    lock_refused,
    locked,
    under_lock,
    unlocked,
    write_refused,
    written,
)
from tests.e2e.terraform import Run, Terraform

TYPED = "00000000-0000-0000-0000-000000000000"
"""A lock ID that nobody has; Terraform's force-unlock asks for one and does not send it."""


def let_go(terraform: Terraform) -> None:
    """Let the blocked apply in this project's folder finish."""
    (terraform.workdir / "go").touch()


def begin(terraform: Terraform, *args: str) -> Run:
    """Start an apply that blocks, and return it when it is in the middle."""
    run = terraform.start("apply", "-auto-approve", *args)
    run.wait_for("under way")
    return run


def errored_state(terraform: Terraform) -> Path:
    """Return the file in which Terraform left what it could not save."""
    return terraform.workdir / "errored.tfstate"


def test_a_held_lock_is_refused(
    ledger: Ledger, project: MakeProject, terraform_version: str
) -> None:
    """The user reads the holder's ID; from 1.15 on also who holds the lock, and for what."""
    terraform = project(terraform_version)
    ledger.hold()
    ledger.skip()

    refused = terraform.run("plan", check=False)

    assert 1 == refused.returncode
    assert "Error acquiring the state lock" in refused.output
    assert f"HTTP remote state already locked: ID={HOLDER}" in " ".join(
        refused.output.replace("│", "").split()
    )
    assert ("alice@buildhost" in refused.output) is bool(early(terraform_version))
    assert [*early(terraform_version, NOTHING), lock_refused(PLAN)] == ledger.steps()


def test_the_refusal_names_both_sides(ledger: Ledger, project: MakeProject) -> None:
    """The entry of a refused lock says who asked, what for, and who held it."""
    terraform = project()
    ledger.hold()
    ledger.skip()

    terraform.run("plan", check=False)

    (refusal,) = (record.entry for record in ledger.records())
    assert PLAN == refusal["run"]["operation"]
    assert HOLDER == refusal["holder"]["id"]
    assert APPLY == refusal["holder"]["operation"]
    assert "alice@buildhost" == refusal["holder"]["who"]


def test_the_console_and_a_held_lock(
    ledger: Ledger, project: MakeProject, terraform_version: str
) -> None:
    """Before 1.15 the console needs the lock; from then on it only reads."""
    terraform = project(terraform_version)
    ledger.hold()
    ledger.skip()

    ended = terraform.run("console", check=False)

    reads_only = bool(early(terraform_version))
    assert (0 if reads_only else 1) == ended.returncode
    expected = [NOTHING, NOTHING] if reads_only else [lock_refused(INVALID)]
    assert expected == ledger.steps()


def test_lock_timeout_ends(ledger: Ledger, project: MakeProject, terraform_version: str) -> None:
    """With -lock-timeout Terraform asks again after a second, and each refusal is on record."""
    terraform = project(terraform_version)
    ledger.hold()
    ledger.skip()

    refused = terraform.run("plan", "-lock-timeout=2s", check=False)

    assert 1 == refused.returncode
    assert HOLDER in refused.output
    expected = [*early(terraform_version, NOTHING), lock_refused(PLAN), lock_refused(PLAN)]
    assert expected == ledger.steps()


def test_lock_timeout_until_released(
    ledger: Ledger, project: MakeProject, terraform_version: str
) -> None:
    """With -lock-timeout Terraform gets the lock when it asks again after the release."""
    terraform = project(terraform_version)
    held = ledger.hold()
    ledger.skip()

    with terraform.start("plan", "-lock-timeout=30s") as run:
        ledger.wait_for(lock_refused(PLAN))
        ledger.release(held)
        run.wait()

    expected = [
        *early(terraform_version, NOTHING),
        lock_refused(PLAN),
        unlocked(APPLY),
        *under_lock(PLAN, NOTHING),
    ]
    assert expected == ledger.steps()


def test_wait_until_released(ledger: Ledger, project: MakeProject, terraform_version: str) -> None:
    """With ?wait= the server itself holds the LOCK open until the lock is free: no refusals."""
    terraform = project(terraform_version, env=ledger.backend(wait=30))
    held = ledger.hold()
    ledger.skip()

    with terraform.start("plan") as run:
        run.wait_for("Acquiring state lock")
        ledger.release(held)
        run.wait()

    expected = [
        *early(terraform_version, NOTHING),
        unlocked(APPLY),
        *under_lock(PLAN, NOTHING),
    ]
    assert expected == ledger.steps()


def test_wait_ends(ledger: Ledger, project: MakeProject, terraform_version: str) -> None:
    """With ?wait= the lock is refused, once, when the time is over."""
    terraform = project(terraform_version, env=ledger.backend(wait=1))
    ledger.hold()
    ledger.skip()

    refused = terraform.run("plan", check=False)

    assert 1 == refused.returncode
    assert HOLDER in refused.output
    assert refused.seconds >= 1
    assert [*early(terraform_version, NOTHING), lock_refused(PLAN)] == ledger.steps()


@pytest.mark.parametrize("dialect", ["gitlab", "post"])
def test_wait_in_the_other_dialects(ledger: Ledger, project: MakeProject, dialect: str) -> None:
    """?wait= works on a lock address of its own as well."""
    terraform = project(env=ledger.backend(dialect=dialect, wait=30))
    held = ledger.hold()
    ledger.skip()

    with terraform.start("plan") as run:
        run.wait_for("Acquiring state lock")
        ledger.release(held)
        run.wait()

    assert [unlocked(APPLY), *under_lock(PLAN, NOTHING)] == ledger.steps()


def test_force_unlock(ledger: Ledger, project: MakeProject, terraform_version: str) -> None:
    """A force-unlock releases whoever holds the lock, and the entry says whose it was."""
    terraform = project(terraform_version)
    ledger.hold()
    ledger.skip()

    forced = terraform.run("force-unlock", "-force", HOLDER)

    assert "has been successfully unlocked" in forced.stdout
    records = ledger.records()
    assert len(early(terraform_version)) + 1 == len(records)
    assert "state.force_unlocked" == records[-1].event
    assert HOLDER == records[-1].entry["holder"]["id"]
    assert "alice@buildhost" == records[-1].entry["holder"]["who"]
    assert [] == ledger.locks()


@pytest.mark.parametrize("dialect", ["gitlab", "post"])
def test_force_unlock_in_the_other_dialects(
    ledger: Ledger, project: MakeProject, terraform_version: str, dialect: str
) -> None:
    """A DELETE or a POST without a body is a force-unlock too."""
    terraform = project(terraform_version, env=ledger.backend(dialect=dialect))
    ledger.hold()
    ledger.skip()

    terraform.run("force-unlock", "-force", HOLDER)

    assert [*early(terraform_version, NOTHING), FORCED] == ledger.steps()
    assert [] == ledger.locks()


def test_force_unlock_does_not_send_the_id(
    ledger: Ledger, project: MakeProject, terraform_version: str
) -> None:
    """A wrong ID unlocks all the same: Terraform never sends it. So the entry names the holder."""
    terraform = project(terraform_version)
    ledger.hold()
    ledger.skip()

    terraform.run("force-unlock", "-force", TYPED)

    assert [] == ledger.locks()
    assert HOLDER == ledger.records()[-1].entry["holder"]["id"]


def test_force_unlock_of_nothing(
    ledger: Ledger, project: MakeProject, terraform_version: str
) -> None:
    """Forcing a lock that nobody holds succeeds, and is on record."""
    terraform = project(terraform_version)

    terraform.run("force-unlock", "-force", TYPED)

    assert [*early(terraform_version, NOTHING), FORCED] == ledger.steps()


def test_lock_false(ledger: Ledger, project: MakeProject, terraform_version: str) -> None:
    """-lock=false reads and writes without a lock, and the entry of the write has no run."""
    terraform = project(terraform_version, applied=True)

    terraform.run("plan", "-lock=false")
    terraform.apply("-lock=false", "-var", "value=two")

    plan = apply = [*early(terraform_version), READ]
    assert [*plan, *apply, written()] == ledger.steps()


def test_lock_false_under_a_held_lock(
    ledger: Ledger, project: MakeProject, terraform_version: str
) -> None:
    """An upload without a lock is refused while another holds it; what was built is not lost."""
    terraform = project(terraform_version, applied=True)
    held = ledger.hold()
    ledger.skip()

    refused = terraform.apply("-lock=false", "-var", "value=two", check=False)

    assert 1 == refused.returncode
    assert "HTTP error: 428" in refused.output
    expected = [*early(terraform_version), READ, write_refused(428, APPLY)]
    assert expected == ledger.steps()
    ledger.release(held)
    terraform.run("state", "push", errored_state(terraform).name)
    assert '"two"' in ledger.send("GET").body.decode()


def test_no_lock_addresses(ledger: Ledger, project: MakeProject, terraform_version: str) -> None:
    """A backend block without lock addresses works, without any lock."""
    terraform = project(terraform_version, env=ledger.backend(dialect="unlocked"))

    terraform.apply()

    nothing = [*early(terraform_version, NOTHING), NOTHING, NOTHING]
    assert [*nothing, CREATED, written()] == ledger.steps()


def test_no_unlock_address(ledger: Ledger, project: MakeProject, terraform_version: str) -> None:
    """A block with a lock_address alone locks for ever; the record shows the run that did it."""
    env = ledger.backend()
    del env["TF_HTTP_UNLOCK_ADDRESS"]
    terraform = project(terraform_version, env=env)

    terraform.apply()

    expected = [
        *early(terraform_version, NOTHING),
        locked(APPLY),
        NOTHING,
        NOTHING,
        CREATED,
        written(APPLY),
    ]
    assert expected == ledger.steps()
    assert [ledger.name] == [lock["actor"] for lock in ledger.locks()]


def test_two_applies_at_once(ledger: Ledger, project: MakeProject, terraform_version: str) -> None:
    """The second apply is refused with the first one's lock ID, and the first is not disturbed."""
    first = project(terraform_version, BLOCKED)
    second = project(terraform_version, BLOCKED, name="second")

    with begin(first) as run:
        (held,) = ledger.locks()
        refused = second.apply(check=False)
        let_go(first)
        run.wait()

    assert 1 == refused.returncode
    assert f"ID={held['id']}" in refused.output
    expected = [
        *early(terraform_version, NOTHING),
        locked(APPLY),
        NOTHING,
        *early(terraform_version, NOTHING),
        lock_refused(APPLY),
        NOTHING,
        CREATED,
        written(APPLY),
        unlocked(APPLY),
    ]
    assert expected == ledger.steps()


def test_two_applies_one_after_the_other(
    ledger: Ledger, project: MakeProject, terraform_version: str
) -> None:
    """With -lock-timeout the second apply goes on from what the first one wrote."""
    first = project(terraform_version, BLOCKED)
    second = project(terraform_version, BLOCKED, name="second")
    let_go(second)

    with (
        begin(first) as run,
        second.start("apply", "-auto-approve", "-lock-timeout=60s", "-var", "value=two") as later,
    ):
        ledger.wait_for(lock_refused(APPLY))
        let_go(first)
        run.wait()
        later.wait()

    writes = [record.entry for record in ledger.records() if record.event == "state.written"]
    assert [1, 2] == [write["state"]["serial"] for write in writes]
    assert 1 == len({write["state"]["lineage"] for write in writes})
    assert 2 == len({write["run"]["id"] for write in writes})


def test_two_applies_with_wait(
    ledger: Ledger, project: MakeProject, terraform_version: str
) -> None:
    """With ?wait= the second apply begins the moment the first one ends."""
    first = project(terraform_version, BLOCKED)
    second = project(terraform_version, BLOCKED, env=ledger.backend(wait=60), name="second")
    let_go(second)

    with begin(first) as run:
        ledger.skip()
        with second.start("apply", "-auto-approve", "-var", "value=two") as later:
            later.wait_for("Acquiring state lock")
            let_go(first)
            run.wait()
            later.wait()

    expected = [
        *early(terraform_version, NOTHING),
        NOTHING,
        CREATED,
        written(APPLY),
        unlocked(APPLY),
        *under_lock(APPLY, READ, written(APPLY)),
    ]
    assert expected == ledger.steps()


def test_two_applies_without_locks(
    ledger: Ledger, project: MakeProject, terraform_version: str
) -> None:
    """Of two unlocked applies from one state the later one is refused: no update is lost."""
    first = project(terraform_version, applied=True)
    second = project(terraform_version, BLOCKED, name="second")

    with begin(second, "-lock=false", "-var", "value=three") as run:
        first.apply("-lock=false", "-var", "value=two")
        let_go(second)
        refused = run.wait(check=False)

    assert 1 == refused.returncode
    assert "HTTP error: 409" in refused.output
    assert errored_state(second).exists()
    both = [*early(terraform_version), READ] * 2
    assert [*both, written(), write_refused(409)] == ledger.steps()
    assert '"two"' in ledger.send("GET").body.decode()


def test_two_first_applies_without_locks(
    ledger: Ledger, project: MakeProject, terraform_version: str
) -> None:
    """Terraform itself drops the later one's state and sends back what it found: no new version."""
    first = project(terraform_version)
    second = project(terraform_version, BLOCKED, name="second")

    with begin(second, "-lock=false") as run:
        first.apply("-lock=false")
        ledger.skip()
        let_go(second)
        run.wait()

    read, write = ledger.records()
    assert "state.read" == read.event
    assert "state.written" == write.event
    assert write.entry["message"].endswith("the same bytes again, no new version")
    assert '"one"' in ledger.send("GET").body.decode()


def test_a_lock_that_was_forced_in_mid_apply(
    ledger: Ledger, project: MakeProject, terraform_version: str
) -> None:
    """A run whose lock was forced still saves its work when nobody wrote in between."""
    terraform = project(terraform_version, BLOCKED)
    let_go(terraform)
    terraform.apply()
    (terraform.workdir / "go").unlink()
    other = project(terraform_version, BLOCKED, name="other")

    with begin(terraform, "-var", "value=two") as run:
        other.run("force-unlock", "-force", TYPED)
        ledger.skip()
        let_go(terraform)
        run.wait()

    write, unlock = (record.entry for record in ledger.records())
    assert "state.written" == write["event"]
    assert write["message"].endswith("(its lock was no longer held; it continues the stored state)")
    assert "state.unlocked" == unlock["event"]
    assert unlock["message"].endswith("it was not locked")


def test_a_lock_that_was_forced_and_the_state_moved_on(
    ledger: Ledger, project: MakeProject, terraform_version: str
) -> None:
    """A run whose lock was forced is refused when somebody else wrote in between."""
    other = project(terraform_version, applied=True, name="other")
    terraform = project(terraform_version, BLOCKED)

    with begin(terraform, "-var", "value=two") as run:
        other.run("force-unlock", "-force", TYPED)
        other.apply("-var", "value=three")
        ledger.skip()
        let_go(terraform)
        refused = run.wait(check=False)

    assert 1 == refused.returncode
    assert "HTTP error: 410" in refused.output
    assert errored_state(terraform).exists()
    assert [write_refused(410), unlocked("")] == ledger.steps()


def test_a_lock_that_was_given_to_another(
    ledger: Ledger, project: MakeProject, terraform_version: str
) -> None:
    """A run whose lock is another's now can neither write nor unlock; the other keeps its lock."""
    terraform = project(terraform_version, BLOCKED)
    other = project(terraform_version, BLOCKED, name="other")

    with begin(terraform) as run:
        other.run("force-unlock", "-force", TYPED)
        held = ledger.hold()
        ledger.skip()
        let_go(terraform)
        refused = run.wait(check=False)

    assert 1 == refused.returncode
    assert "HTTP error: 423" in refused.output
    assert "Error releasing the state lock" in refused.output
    unlock_refused = Step("state.unlock_refused", APPLY, 409, "conflict")
    assert [NOTHING, write_refused(423, APPLY), unlock_refused] == ledger.steps()
    assert [HOLDER] == [lock["id"] for lock in ledger.locks()]

    ledger.release(held)
    terraform.run("state", "push", errored_state(terraform).name)
    assert written(PUSH) in ledger.steps()


def test_the_administrator_releases_a_lock(
    ledger: Ledger, project: MakeProject, terraform_version: str
) -> None:
    """`tfaudit lock release` frees a lock whose run is gone, and the next run begins."""
    terraform = project(terraform_version)
    ledger.hold()
    ledger.skip()

    released = json.loads(ledger.command("lock", "release", "--yes", ledger.workspace(), "--json"))
    terraform.run("plan")

    assert HOLDER == released["released"]["id"]
    expected = [
        FORCED,
        *early(terraform_version, NOTHING),
        *under_lock(PLAN, NOTHING),
    ]
    assert expected == ledger.steps()
