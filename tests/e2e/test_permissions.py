"""What real clients show to a user who may not, and what is on record of it."""

from tests.e2e.conftest import MakeProject
from tests.e2e.ledger import APPLY, PLAN, READ, Ledger, Step, early, lock_refused
from tests.e2e.terraform import Terraform

DENIED = lock_refused(PLAN)._replace(outcome="denied")
FAILED = Step("auth.failed", status=401, outcome="denied", workspace=None)


def as_(token: str, ledger: Ledger, project: MakeProject, version: str) -> Terraform:
    """Return a client with this token on a workspace that holds a state."""
    project(version, applied=True, name="writer")
    terraform = project(version, name="other")
    terraform.env["TF_HTTP_PASSWORD"] = token
    ledger.skip()
    return terraform


def text(output: str) -> str:
    """Return Terraform's message without its frame and line breaks."""
    return " ".join(output.replace("│", " ").split())


def test_a_reader_plans(ledger: Ledger, project: MakeProject, terraform_version: str) -> None:
    """A plan is refused before it begins, and the message says why and what to do."""
    name = f"{ledger.name}-reader"
    token = ledger.new_token("reader", name)
    terraform = as_(token, ledger, project, terraform_version)

    refused = terraform.run("plan", check=False)

    assert 1 == refused.returncode
    assert f"ID={name} (reader) may not" in text(refused.output)
    assert "ask an administrator" in text(refused.output)
    assert [*early(terraform_version), DENIED] == ledger.steps()


def test_a_reader_plans_without_the_lock(
    ledger: Ledger, project: MakeProject, terraform_version: str
) -> None:
    """-lock=false is how a reader plans."""
    token = ledger.new_token("reader", f"{ledger.name}-reader")
    terraform = as_(token, ledger, project, terraform_version)

    planned = terraform.run("plan", "-lock=false")

    assert "No changes" in planned.stdout
    assert [*early(terraform_version), READ] == ledger.steps()


def test_a_reader_applies_without_the_lock(
    ledger: Ledger, project: MakeProject, terraform_version: str
) -> None:
    """An upload by a reader is refused with 403, and the state stays as it was."""
    token = ledger.new_token("reader", f"{ledger.name}-reader")
    terraform = as_(token, ledger, project, terraform_version)
    before = ledger.send("GET").body
    ledger.skip()

    refused = terraform.apply("-lock=false", "-var", "value=two", check=False)

    assert 1 == refused.returncode
    assert "HTTP error: 403" in refused.output
    denied = Step("access.denied", status=403, outcome="denied")
    assert [*early(terraform_version), READ, denied] == ledger.steps()
    assert before == ledger.send("GET").body


def test_a_reader_forces_a_lock(
    ledger: Ledger, project: MakeProject, terraform_version: str
) -> None:
    """A force-unlock by a reader is refused, and the lock stays."""
    token = ledger.new_token("reader", f"{ledger.name}-reader")
    terraform = as_(token, ledger, project, terraform_version)
    ledger.hold()
    ledger.skip()

    refused = terraform.run("force-unlock", "-force", "1", check=False)

    assert 1 == refused.returncode
    denied = Step("access.denied", status=403, outcome="denied")
    assert [*early(terraform_version), denied] == ledger.steps()
    assert [APPLY] == [lock["operation"] for lock in ledger.locks()]


def test_another_teams_token(ledger: Ledger, project: MakeProject, terraform_version: str) -> None:
    """A writer of other workspaces can neither lock nor read this one."""
    token = ledger.new_token("writer", f"{ledger.name}-other", workspaces="elsewhere/*")
    terraform = as_(token, ledger, project, terraform_version)

    refused = terraform.run("plan", check=False)

    assert 1 == refused.returncode
    if early(terraform_version):
        assert "HTTP remote state endpoint invalid auth" in refused.output
        expected = [Step("access.denied", status=403, outcome="denied")]
    else:
        assert "may not" in refused.output
        expected = [DENIED]
    assert expected == ledger.steps()


def test_a_wrong_token(ledger: Ledger, project: MakeProject, terraform_version: str) -> None:
    """A wrong token is told as such at the first request, and is on record without the token."""
    wrong = "tfa_" + "x" * 43
    terraform = as_(wrong, ledger, project, terraform_version)

    refused = terraform.run("plan", check=False)

    assert 1 == refused.returncode
    assert "HTTP remote state endpoint requires auth" in text(refused.output)
    records = ledger.records()
    assert ["auth.failed"] == [record.event for record in records]
    assert wrong not in str(records[0].entry)
    assert "anonymous" == records[0].entry["actor"]["type"]


def test_no_token(ledger: Ledger, project: MakeProject, terraform_version: str) -> None:
    """A client without any credentials is refused and on record in the same way."""
    terraform = as_("", ledger, project, terraform_version)
    del terraform.env["TF_HTTP_USERNAME"], terraform.env["TF_HTTP_PASSWORD"]

    refused = terraform.run("plan", check=False)

    assert 1 == refused.returncode
    assert "HTTP remote state endpoint requires auth" in text(refused.output)
    assert [FAILED] == ledger.steps()
