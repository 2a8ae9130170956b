"""What real clients show to those who may only a part: planners, readers of outputs, writers."""

import json
import time

import pytest

from tests.e2e.conftest import MakeProject, MakeServer
from tests.e2e.ledger import APPLY, PLAN, READ, VALUE, Ledger, Step, lock_refused, locked, unlocked
from tests.e2e.ledger import under_lock as under
from tests.e2e.terraform import VERSIONS, Terraform
from tests.e2e.test_permissions import text

V11 = VERSIONS[0]
OUTPUTS = """
variable "value" { default = "one" }
resource "terraform_data" "a" { input = var.value }
output "big" { value = 12345678901234567890 }
output "plain" { value = { b = [1, "zwei"], a = terraform_data.a.output } }
output "marked" {
  value     = "correct-horse-battery-staple"
  sensitive = true
}
output "copied" { value = nonsensitive(sensitive("correct-horse-battery-staple")) }
"""


@pytest.fixture
def main(project: MakeProject) -> Terraform:
    """Return a client of an operator on a workspace that holds a state."""
    return project(V11, applied=True)


def become(terraform: Terraform, ledger: Ledger, role: str, short: str = "") -> str:
    """Let the client go on as somebody of this role; return the name."""
    name = f"{ledger.name}-{role}"
    terraform.env["TF_HTTP_PASSWORD"] = ledger.new_token(role, name + short)
    ledger.skip()
    return name + short


def test_a_planner_plans(ledger: Ledger, main: Terraform) -> None:
    """With the lock, which it also releases."""
    become(main, ledger, "planner")
    assert "value" in main.run("plan", "-var", "value=two").stdout
    assert under(PLAN, READ) == ledger.steps()


def test_a_planner_applies(ledger: Ledger, main: Terraform) -> None:
    """Refused at the lock, before anything is done, with the reason on the screen."""
    name = become(main, ledger, "planner")
    refused = main.apply("-var", "value=two", check=False)
    assert 1 == refused.returncode
    shown = text(refused.output)
    assert f"{name} (planner) may lock {ledger.workspace()} for plan and refresh alone" in shown
    assert "not for apply: ask an administrator for the role writer there" in shown
    assert [lock_refused(APPLY)._replace(outcome="denied")] == ledger.steps()
    unlocked_apply = main.apply("-lock=false", "-var", "value=two", check=False)
    assert "HTTP error: 403" in unlocked_apply.output
    assert [READ, Step("access.denied", status=403, outcome="denied")] == ledger.steps()


def test_a_writer_forces_a_lock_as_the_workspace_allows(ledger: Ledger, main: Terraform) -> None:
    """By default it takes an operator; a workspace may ask for less, or for more."""
    denied = Step("access.denied", status=403, outcome="denied")
    become(main, ledger, "writer")
    ledger.hold()
    ledger.skip()
    assert 1 == main.run("force-unlock", "-force", "1", check=False).returncode
    assert [denied] == ledger.steps()
    ledger.command("workspace", "update", ledger.workspace(), "--force-unlock", "writer")
    main.run("force-unlock", "-force", "1")
    assert [] == ledger.locks()
    ledger.command("workspace", "update", ledger.workspace(), "--force-unlock", "admin")
    ledger.hold()
    become(main, ledger, "operator")
    assert 1 == main.run("force-unlock", "-force", "1", check=False).returncode
    assert [denied] == ledger.steps()


def test_an_operator_forces_a_lock_and_a_writer_goes_on(ledger: Ledger, main: Terraform) -> None:
    """What a writer does is all that an apply needs."""
    ledger.hold()
    become(main, ledger, "operator")
    main.run("force-unlock", "-force", "1")
    become(main, ledger, "writer")
    main.apply("-var", "value=two")
    steps = ledger.steps()
    assert under(APPLY, READ, Step("state.written", APPLY)) == steps


@pytest.mark.parametrize("version", [V11, "1.6.6"])
def test_outputs_alone(ledger: Ledger, project: MakeProject, version: str) -> None:
    """A consumer gets what is not secret, exactly, and nothing of the rest."""
    project(V11, OUTPUTS, env=ledger.backend("other"), name="producer", applied=True)
    token = ledger.new_token("outputs-reader", f"{ledger.name}-consumer")
    address = ledger.server.state_url(ledger.workspace("other"))
    consumer = project(
        version,
        f"""
data "terraform_remote_state" "other" {{
  backend = "http"
  config = {{
    address  = "{address}"
    username = "terraform"
    password = "{token}"
  }}
}}
output "all" {{ value = data.terraform_remote_state.other.outputs }}
""",
        name="consumer",
    )
    consumer.apply()
    expected = {"big": 12345678901234567890, "plain": {"a": "one", "b": [1, "zwei"]}}
    assert expected == json.loads(consumer.run("output", "-json", "all").stdout)
    reads = [record.entry for record in ledger.records() if record.event == "state.outputs_read"]
    assert reads
    assert {
        "sent": ["big", "plain"],
        "unnamed": 0,
        "left_out": {"sensitive": 1, "secret": 1},
    } == reads[0]["outputs"]
    assert "correct-horse" not in json.dumps(reads)


def test_a_reader_of_outputs_plans(ledger: Ledger, main: Terraform) -> None:
    """Not there: refused at the lock, and says so."""
    name = become(main, ledger, "outputs-reader")
    refused = main.run("plan", check=False)
    assert 1 == refused.returncode
    assert f"{name} (outputs-reader) may not lock:take on {ledger.workspace()}" in text(
        refused.output
    )


def test_a_deleted_workspace(ledger: Ledger, main: Terraform) -> None:
    """Neither planned nor applied nor taken for empty; once restored it goes on."""
    ledger.command("workspace", "delete", ledger.workspace(), "--yes")
    ledger.skip()
    refused = main.run("plan", check=False)
    assert f"{ledger.workspace()} was deleted at" in text(refused.output)
    assert "tfaudit workspace restore" in text(refused.output)
    assert [lock_refused(PLAN)] == ledger.steps()
    without = main.run("plan", "-lock=false", check=False)
    assert 1 == without.returncode
    assert "424" in without.output
    assert [Step("state.read", status=424, outcome="conflict")] == ledger.steps()
    ledger.command("workspace", "restore", ledger.workspace())
    assert "No changes" in main.run("plan").stdout


def test_a_protected_workspace(ledger: Ledger, main: Terraform) -> None:
    """A token may plan there; an apply is refused at the lock, with what to do."""
    ledger.command("workspace", "update", ledger.workspace(), "--protected")
    ledger.skip()
    main.run("plan")
    assert [locked(PLAN), READ, unlocked(PLAN)] == ledger.steps()
    refused = main.apply("-var", "value=two", check=False)
    assert f"may not write {ledger.workspace()}: it is protected" in text(refused.output)
    assert [lock_refused(APPLY)._replace(outcome="denied")] == ledger.steps()


def test_a_workspace_that_wants_a_lock(ledger: Ledger, project: MakeProject) -> None:
    """-lock=false is refused with a number of its own; with the lock all is well."""
    ledger.command("workspace", "create", ledger.workspace(), "--require-lock")
    terraform = project(V11, VALUE)
    refused = terraform.apply("-lock=false", check=False)
    assert "HTTP error: 428" in refused.output
    terraform.apply()
    events = [step.event for step in ledger.steps()]
    assert "workspace.created" not in events
    assert "state.written" in events


def test_what_was_deleted_long_enough_ago_is_purged(make_server: MakeServer) -> None:
    """By the running server, at its start at the latest; the log with its states stays whole."""
    server = make_server(env={"TFAUDIT_DATA_DELETION_GRACE": "0"})
    token = server.admin_token
    state = b'{"version": 4, "serial": 1, "lineage": "a", "outputs": {}, "resources": []}'
    assert 200 == server.request("POST", "/state/old", state, token=token).status
    assert 200 == server.request("DELETE", "/api/v1/workspaces/old", token=token).status
    assert 424 == server.request("GET", "/state/old", token=token).status
    server.restart()

    def is_purged() -> bool:
        shown = server.request("GET", "/api/v1/workspaces/old", token=token)
        return bool(json.loads(shown.body)["purged"])

    deadline = time.monotonic() + 20
    while not is_purged():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert 424 == server.request("GET", "/state/old", token=token).status
    assert 0 == server.verify().returncode
