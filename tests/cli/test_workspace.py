"""Tests of `tfaudit workspace`."""

import json
from pathlib import Path
from typing import Any

import pytest

from proxy.cli._common import caller, opened, run, settings
from tests.cli.conftest import Tfaudit, events, state


def shown(tfaudit: Tfaudit, name: str = "prod") -> dict[str, Any]:
    """Return what `show` tells."""
    found: dict[str, Any] = json.loads(tfaudit("workspace", "show", name, "--json").stdout)
    return found


def test_a_workspace_is_made_ahead_with_settings(tfaudit: Tfaudit) -> None:
    """Each option is a field; it is listed before its first write."""
    options = [
        *("--description", "the network", "--environment", "production"),
        *("--force-unlock", "admin", "--lock-alert", "90", "--body-limit", "1000"),
        *("--require-lock", "--protected"),
    ]
    text = tfaudit("workspace", "create", "prod", *options).stdout
    assert "Made prod: protected, lock required, force-unlock by admin" in text
    expected = {
        "description": "the network",
        "environment": "production",
        "force_unlock": "admin",
        "lock_alert_minutes": 90,
        "body_limit": 1000,
        "require_lock": True,
        "protected": True,
        "versions": 0,
        "head": None,
    }
    assert expected.items() <= shown(tfaudit).items()
    for noun in ("state", "workspace"):
        assert "prod" in tfaudit(noun, "list").stdout
    assert ["workspace.created"] == events(tfaudit)[:1]


def test_settings_are_changed_and_put_back(tfaudit: Tfaudit, written: str) -> None:
    """What is not named stays; none puts a number back."""
    changed = tfaudit("workspace", "update", written, "--body-limit", "10", "--protected").stdout
    assert f"Changed {written}: body_limit nothing -> 10, protected no -> yes.\n" == changed
    tfaudit("workspace", "update", written, "--body-limit", "none", "--environment", "x")
    found = shown(tfaudit)
    assert (None, True, "x") == (found["body_limit"], found["protected"], found["environment"])
    assert "nothing changed" in tfaudit("workspace", "update", written, "--protected").stdout
    assert "say what is to be changed" in tfaudit("workspace", "update", written, code=2).stderr


@pytest.mark.parametrize(
    ("option", "says"),
    [
        (("--body-limit", "-1"), "must be a whole number or none"),
        (("--lock-alert", "0"), "lock_alert_minutes"),
        (("--force-unlock", "nobody"), "force_unlock"),
        (("--environment", "a b"), "environment"),
    ],
)
def test_a_setting_that_can_not_be_is_named(
    tfaudit: Tfaudit, option: tuple[str, str], says: str
) -> None:
    """And nothing is made."""
    assert says in tfaudit("workspace", "create", "prod", *option, code=2).stderr
    assert [] == json.loads(tfaudit("workspace", "list", "--json").stdout)


def test_the_list_is_narrowed(tfaudit: Tfaudit, written: str) -> None:
    """By environment, and to what is deleted."""
    tfaudit("workspace", "create", "dev", "--environment", "development")

    def names(*options: str) -> list[str]:
        listed = json.loads(tfaudit("workspace", "list", "--json", *options).stdout)
        return [each["name"] for each in listed]

    assert ["dev", written] == names()
    assert ["dev"] == names("--environment", "development")
    assert [] == names("--deleted")
    tfaudit("workspace", "delete", written, "--yes")
    assert [written] == names("--deleted")


def test_a_workspace_is_deleted_restored_purged_and_freed(tfaudit: Tfaudit, written: str) -> None:
    """Each step says what is so now; the whole log with its tables stays whole."""
    text = tfaudit("workspace", "delete", written, "--yes").stdout
    assert "Deleted prod: deleted, restorable until " in text
    assert "deleted, restorable until" in tfaudit("state", "list").stdout
    assert "was deleted at" in tfaudit("state", "pull", written, code=1).stderr
    assert "Restored prod." in tfaudit("workspace", "restore", written).stdout
    tfaudit("workspace", "delete", written, "--yes")
    refused = tfaudit("workspace", "purge", written, "--yes", code=1).stderr
    assert "can be restored until" in refused
    done = tfaudit("workspace", "purge", written, "--yes", "--now")
    assert "Purged prod: purged, deleted " in done.stdout
    assert "backups, snapshots" in done.stderr
    assert "so already" in tfaudit("workspace", "purge", written, "--yes", "--now").stdout
    assert 0 == tfaudit("verify").exit_code
    tfaudit("workspace", "create", written, code=1)
    assert "Made prod." in tfaudit("workspace", "create", written, "--reuse").stdout
    assert "has no state" in tfaudit("state", "show", written, code=1).stderr
    assert 0 == tfaudit("verify").exit_code


def test_a_workspace_is_shown_in_the_words_of_the_tables(tfaudit: Tfaudit, written: str) -> None:
    """No names of fields, and nothing of what is not set."""
    tfaudit("workspace", "update", written, "--require-lock", "--environment", "production")
    lines = tfaudit("workspace", "show", written).stdout.splitlines()
    named = {line[:14].rstrip(): line[16:] for line in lines}
    assert {
        "workspace": "prod",
        "environment": "production",
        "settings": "lock required",
        "life": "in use",
        "versions": "1",
    }.items() <= named.items()
    assert named["newest version"].startswith("1, serial 1, written 20")
    assert "description" not in named


def test_destroyed_versions_are_marked(tfaudit: Tfaudit, data: Path, written: str) -> None:
    """Wherever versions are told, and before anybody is asked to agree to have one back."""
    tfaudit("workspace", "delete", written, "--yes")
    tfaudit("workspace", "purge", written, "--yes", "--now")
    assert " purged, deleted 20" in tfaudit("workspace", "show", written).stdout
    tfaudit("workspace", "create", written, "--reuse")

    async def write_anew() -> None:
        async with opened(settings(data, None)) as program:
            await program.states.import_state(caller("test"), written, state(1))

    run(write_anew())
    assert " 2 (1 version destroyed)" in tfaudit("workspace", "show", written).stdout
    assert tfaudit("state", "list").stdout.rstrip().endswith("1 version destroyed")
    rows = tfaudit("state", "versions", written).stdout.splitlines()[1:]
    assert [False, True] == [row.rstrip().endswith(" destroyed") for row in rows]
    found = json.loads(tfaudit("state", "versions", written, "--json").stdout)
    assert [(2, False), (1, True)] == [(each["number"], each["destroyed"]) for each in found]
    told = tfaudit("state", "rollback", written, "1", code=1).stderr
    assert "version 1 of prod was destroyed" in told
    assert "?" not in told
    assert "state.write_refused" in events(tfaudit)


def test_a_question_is_asked_first(tfaudit: Tfaudit, written: str) -> None:
    """Nothing happens without an answer."""
    for verb in ("delete", "purge"):
        assert 1 == tfaudit("workspace", verb, written, answer="n\n", code=1).exit_code
    assert shown(tfaudit)["deleted"] is None


def test_what_there_is_not_is_not_found(tfaudit: Tfaudit) -> None:
    """By every verb that needs one."""
    for verb, *options in (("show",), ("update", "--protected"), ("delete", "--yes"), ("restore",)):
        assert "there is no workspace" in tfaudit("workspace", verb, "no", *options, code=1).stderr


def test_a_lock_is_marked_when_it_is_held_too_long(tfaudit: Tfaudit, data: Path) -> None:
    """Not before, and not in a workspace that has no measure."""

    async def take() -> None:
        async with opened(settings(data, None)) as program:
            for name in ("prod", "dev"):
                info = json.dumps({"ID": "1", "Operation": "OperationTypeApply"}).encode()
                await program.locks.lock(caller("test"), name, info, None)

    run(take())
    tfaudit("workspace", "create", "dev", "--lock-alert", "1")
    assert "held too long" not in tfaudit("lock", "list").stdout
    listed = json.loads(tfaudit("lock", "list", "--json").stdout)
    assert [False, False] == [lock["overdue"] for lock in listed]
