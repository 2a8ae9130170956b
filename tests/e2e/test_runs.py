"""What is told of the runs of real clients, from the lock that they take to its release."""

from typing import Any

from tests.e2e.conftest import MakeProject
from tests.e2e.ledger import APPLY, BLOCKED, PLAN, PUSH, VALUE, Ledger

FAILING = """
resource "terraform_data" "a" {
  input = "fine"
}
resource "terraform_data" "b" {
  depends_on = [terraform_data.a]
  provisioner "local-exec" { command = "exit 1" }
}
"""
"""A configuration of which the second resource is made, and then its provisioner fails."""

CHECKED = """
check "health" {
  assert {
    condition     = terraform_data.a.output == "two"
    error_message = "it is not two"
  }
}
"""


def told(ledger: Ledger) -> list[tuple[str, str, list[str]]]:
    """Return event, operation and reasons of what was told since this was last asked."""
    entries = (record.entry for record in ledger.runs())
    return [(e["event"], e["run"]["operation"], e["run"].get("reasons", [])) for e in entries]


def entries(ledger: Ledger) -> list[dict[str, Any]]:
    """Return the same as whole entries."""
    return [record.entry for record in ledger.runs()]


def test_an_apply_is_told_with_its_counts(ledger: Ledger, project: MakeProject) -> None:
    """And each of the entries from which that follows is what it is said to be."""
    terraform = project()

    terraform.apply()

    created, completed = entries(ledger)
    assert ("run.created", "run.completed") == (created["event"], completed["event"])
    run = completed["run"]
    assert (APPLY, "1.11.4", 1, 1, 1) == (
        run["operation"],
        run["terraform_version"],
        run["writes"],
        run["first_serial"],
        run["last_serial"],
    )
    assert {"added": 1, "changed": 0, "removed": 0} == run["resources"]
    assert (1, created["run"]["id"]) == (completed["state"]["serial"], run["id"])
    log = {record.index: record.event for record in ledger.server.log()}
    follows = completed["inferred_from"]
    assert ["state.locked", "state.written", "state.unlocked"] == [e["event"] for e in follows]
    assert all(log[each["index"]] == each["event"] for each in follows)


def test_a_plan_is_told_to_have_changed_nothing(
    ledger: Ledger, project: MakeProject, terraform_version: str
) -> None:
    """By each release of Terraform."""
    terraform = project(terraform_version, applied=True)

    terraform.run("plan", "-var", "value=two")

    created, completed = entries(ledger)
    assert ("run.created", "run.completed") == (created["event"], completed["event"])
    assert (PLAN, 0) == (completed["run"]["operation"], completed["run"]["writes"])
    assert completed["message"].endswith(" s: no changes")


def test_an_apply_that_fails_is_told_with_what_it_left(
    ledger: Ledger, project: MakeProject
) -> None:
    """Then the one that puts it right, as completed."""
    terraform = project(config=FAILING)

    assert 1 == terraform.apply(check=False).returncode

    attention, errored = entries(ledger)[1:]
    assert ("run.needs_attention", "run.errored") == (attention["event"], errored["event"])
    for entry in (attention, errored):
        assert (["tainted"], ["terraform_data.b"]) == (
            entry["run"]["reasons"],
            entry["run"]["tainted"],
        )
    assert {"added": 2, "changed": 0, "removed": 0} == errored["run"]["resources"]

    terraform.write((terraform.workdir / "main.tf").read_text().replace("exit 1", "exit 0"))
    terraform.apply()

    assert [("run.created", APPLY, []), ("run.completed", APPLY, [])] == told(ledger)


def test_an_apply_with_a_failed_check_is_told(ledger: Ledger, project: MakeProject) -> None:
    """Terraform itself only warns of it."""
    terraform = project(config=VALUE + CHECKED)

    terraform.apply()

    assert ("run.errored", APPLY, ["checks_failed"]) == told(ledger)[-1]

    terraform.apply("-var", "value=two")

    assert ("run.completed", APPLY, []) == told(ledger)[-1]


def test_a_lock_that_is_forced_in_mid_run_is_told(ledger: Ledger, project: MakeProject) -> None:
    """What the run then still saves is nobody's run."""
    terraform, other = project(config=BLOCKED), project(config=BLOCKED, name="other")

    with terraform.start("apply", "-auto-approve") as run:
        run.wait_for("under way")
        (lock,) = ledger.locks()
        other.run("force-unlock", "-force", lock["id"])
        (terraform.workdir / "go").touch()
        run.wait()

    assert [("run.created", APPLY, []), ("run.errored", APPLY, ["lock_broken"])] == told(ledger)


def test_of_two_at_once_the_one_that_waits_is_told_once(
    ledger: Ledger, project: MakeProject
) -> None:
    """However often it asks for the lock."""
    terraform, other = project(config=BLOCKED), project(config=BLOCKED, name="other")

    with terraform.start("apply", "-auto-approve") as run:
        run.wait_for("under way")
        assert 1 == other.run("plan", "-lock-timeout=2s", check=False).returncode
        (terraform.workdir / "go").touch()
        run.wait()

    assert 2 <= len([r for r in ledger.records() if r.event == "state.lock_refused"])
    assert [
        ("run.created", APPLY, []),
        ("run.needs_attention", APPLY, ["lock_waited_for"]),
        ("run.completed", APPLY, []),
    ] == told(ledger)


def test_what_is_forced_and_what_is_destroyed_needs_attention(
    ledger: Ledger, project: MakeProject
) -> None:
    """``state push -force`` of an old state; then all resources are gone."""
    terraform = project(applied=True)
    old = terraform.write(terraform.run("state", "pull").stdout, "old.tfstate")
    terraform.apply("-var", "value=two")
    terraform.apply("-var", "value=three")
    ledger.skip()

    terraform.run("state", "push", "-force", str(old))

    assert [
        ("run.created", PUSH, []),
        ("run.needs_attention", PUSH, ["serial_forced"]),
        ("run.completed", PUSH, []),
    ] == told(ledger)

    terraform.run("destroy", "-auto-approve")

    assert [
        ("run.created", APPLY, []),
        ("run.needs_attention", APPLY, ["state_emptied"]),
        ("run.completed", APPLY, []),
    ] == told(ledger)


def test_taint_is_no_failure(ledger: Ledger, project: MakeProject) -> None:
    """Somebody meant it."""
    terraform = project(applied=True)

    terraform.run("taint", "terraform_data.a")

    assert [("run.created", "taint", []), ("run.completed", "taint", [])] == told(ledger)


def test_the_dialects_of_gitlab_and_of_post_tell_the_same(
    ledger: Ledger, project: MakeProject
) -> None:
    """Runs are told of locks, however they are taken."""
    for dialect in ("gitlab", "post"):
        terraform = project(env=ledger.backend(dialect, dialect=dialect), name=dialect)
        terraform.apply()
        assert [("run.created", APPLY, []), ("run.completed", APPLY, [])] == told(ledger)


def test_the_log_shows_runs_to_people(ledger: Ledger, project: MakeProject) -> None:
    """In a line each."""
    project(applied=True)

    shown = ledger.command("log", "--workspace", ledger.workspace(), "--event", "run.*")

    completed, created = shown.splitlines()
    assert "run.created" in created
    assert created.endswith(f"on {ledger.workspace()} (OperationTypeApply) began")
    assert "completed after" in completed
    assert completed.endswith("1 save, serial 1: 1 added, 0 changed, 0 removed")
