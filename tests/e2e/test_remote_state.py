"""`data "terraform_remote_state"`: one state reads another's outputs, and the record shows it."""

from tests.e2e.conftest import MakeProject
from tests.e2e.ledger import (
    APPLY,
    CREATED,
    NOTHING,
    PLAN,
    READ,
    Ledger,
    Step,
    early,
    under_lock,
    written,
)
from tests.e2e.terraform import Terraform


def of_other(version: str, step: Step = READ) -> list[Step]:
    """Return the reads of the other workspace by the data source: one, and two from 1.15 on."""
    return [*early(version, step.at("other")), step.at("other")]


def consumer(
    ledger: Ledger, project: MakeProject, version: str, *, token: str | None = None
) -> Terraform:
    """Return a project on the main workspace that reads an output of the other workspace."""
    address = ledger.server.state_url(ledger.workspace("other"))
    config = f"""
data "terraform_remote_state" "other" {{
  backend = "http"
  config = {{
    address  = "{address}"
    username = "terraform"
    password = "{token or ledger.token}"
  }}
}}
resource "terraform_data" "copy" {{
  input = data.terraform_remote_state.other.outputs.value
}}
output "copy" {{ value = terraform_data.copy.output }}
"""
    return project(version, config, name="consumer")


def producer(ledger: Ledger, project: MakeProject, version: str) -> Terraform:
    """Return a project with a state in the other workspace, whose output is `one`."""
    return project(version, env=ledger.backend("other"), name="producer", applied=True)


def test_apply(ledger: Ledger, project: MakeProject, terraform_version: str) -> None:
    """The other state is read, never locked, in the middle of the run's own lock."""
    producer(ledger, project, terraform_version)
    terraform = consumer(ledger, project, terraform_version)

    terraform.apply()

    expected = [
        *early(terraform_version, NOTHING),
        *under_lock(APPLY, NOTHING, *of_other(terraform_version), NOTHING, CREATED, written(APPLY)),
    ]
    assert expected == ledger.steps()
    assert "one" == terraform.run("output", "-raw", "copy").stdout


def test_the_others_lock_is_no_obstacle(
    ledger: Ledger, project: MakeProject, terraform_version: str
) -> None:
    """While the producer holds its lock, consumers go on reading."""
    producer(ledger, project, terraform_version)
    terraform = consumer(ledger, project, terraform_version)
    ledger.hold("other")
    ledger.skip()

    terraform.run("plan")

    expected = [
        *early(terraform_version, NOTHING),
        *under_lock(PLAN, NOTHING, *of_other(terraform_version)),
    ]
    assert expected == ledger.steps()


def test_nothing_there(ledger: Ledger, project: MakeProject, terraform_version: str) -> None:
    """A workspace without a state is an error of the plan, and a read of nothing on record."""
    terraform = consumer(ledger, project, terraform_version)

    failed = terraform.run("plan", check=False)

    assert 1 == failed.returncode
    assert "Unable to find remote state" in failed.output
    expected = [
        *early(terraform_version, NOTHING),
        *under_lock(PLAN, NOTHING, *of_other(terraform_version, NOTHING)),
    ]
    assert expected == ledger.steps()


def test_not_allowed(ledger: Ledger, project: MakeProject, terraform_version: str) -> None:
    """A token for other workspaces is refused, and the record says who asked for what."""
    producer(ledger, project, terraform_version)
    token = ledger.new_token("reader", f"{ledger.name}-main", workspaces=ledger.workspace("main"))
    terraform = consumer(ledger, project, terraform_version, token=token)

    failed = terraform.run("plan", check=False)

    assert 1 == failed.returncode
    assert "HTTP remote state endpoint invalid auth" in failed.output
    records = ledger.records()
    (denied,) = (record.entry for record in records if record.event == "access.denied")
    assert f"{ledger.name}-main" == denied["actor"]["name"]
    assert ledger.workspace("other") == denied["workspace"]
    assert token not in failed.output
