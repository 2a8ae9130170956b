"""The tools of the end-to-end tests: does a client behave like the program a person runs?"""

from tests.e2e.conftest import MakeTerraform

SLOW = """
resource "terraform_data" "slow" {
  provisioner "local-exec" {
    command = "echo under way; sleep 30"
  }
}
"""


def test_a_client_is_the_release_it_claims_to_be(
    make_terraform: MakeTerraform, terraform_version: str
) -> None:
    """`terraform version` names the release that was asked for."""
    terraform = make_terraform(terraform_version)

    told = terraform.run("version").stdout

    assert f"Terraform v{terraform_version}" in told


def test_a_client_applies_and_its_output_comes_through(
    make_terraform: MakeTerraform, terraform_version: str
) -> None:
    """A whole apply works without a network and without this machine's settings."""
    terraform = make_terraform(terraform_version)
    terraform.write(
        'resource "terraform_data" "one" { input = "hello" }\n'
        'output "greeting" { value = terraform_data.one.output }\n'
    )
    terraform.run("init")
    terraform.apply()

    told = terraform.run("output", "-raw", "greeting")

    assert "hello" == told.stdout


def test_exit_code_and_error_text_come_through(
    make_terraform: MakeTerraform, terraform_version: str
) -> None:
    """A failed command ends with 1 and explains itself on standard error."""
    terraform = make_terraform(terraform_version)
    terraform.write("this is no configuration\n")

    failed = terraform.run("validate", check=False)

    assert 1 == failed.returncode
    assert "Error:" in failed.stderr


def test_an_interrupt_reaches_terraform(
    make_terraform: MakeTerraform, terraform_version: str
) -> None:
    """SIGINT in mid-apply makes Terraform stop gracefully and save what it has."""
    terraform = make_terraform(terraform_version)
    terraform.write(SLOW)
    terraform.run("init")
    with terraform.start("apply", "-auto-approve") as run:
        run.wait_for("under way")
        run.interrupt()
        result = run.wait(20, check=False)

    assert 1 == result.returncode
    assert "Interrupt received" in result.output
    assert (terraform.workdir / "terraform.tfstate").exists()


def test_a_kill_leaves_no_time_for_anything(
    make_terraform: MakeTerraform, terraform_version: str
) -> None:
    """SIGKILL in mid-apply ends Terraform and its children at once."""
    terraform = make_terraform(terraform_version)
    terraform.write(SLOW)
    terraform.run("init")
    with terraform.start("apply", "-auto-approve") as run:
        run.wait_for("under way")
        result = run.kill()

    assert -9 == result.returncode
    assert "Interrupt received" not in result.output
