"""Tests of proxy.runs: every transition of a run, as values in and values out."""

from typing import Any

import msgspec
import pytest

from proxy import runs
from proxy.runs import Addresses, Evidence, News, Run, Save

STARTED = "2026-11-22T10:00:00.000000Z"
LATER = "2026-11-22T10:01:30.999999Z"
LOCKED = Evidence("state.locked", 7)
UNLOCKED = Evidence("state.unlocked", 99)
APPLY, PLAN, PUSH = "OperationTypeApply", "OperationTypePlan", "state-push"
A, B = "terraform_data.a", "terraform_data.b"


def a_run(operation: str = APPLY, **fields: Any) -> Run:
    """Return a run that has begun."""
    begun = Run("prod", "lock-1", operation, "alice@laptop", "1.11.4", STARTED, (LOCKED,))
    return msgspec.structs.replace(begun, **fields)


def a_save(
    serial: int = 2, resources: tuple[int, int, int] | None = (1, 0, 0), **left: Any
) -> Save:
    """Return a save; what it leaves behind is given as lists of addresses."""
    named = {name: Addresses(tuple(addresses)) for name, addresses in left.items()}
    return Save(serial, resources, **named)


def outcome(run: Run, *, is_forced: bool = False) -> list[tuple[str, tuple[str, ...]]]:
    """Return events and reasons of the end of a run."""
    news = runs.ended(run, UNLOCKED, is_forced=is_forced)
    return [(each.event, each.reasons) for each in news]


COMPLETED = ("run.completed", ())


def errored(*reasons: str) -> tuple[str, tuple[str, ...]]:
    """Return that a run errored."""
    return "run.errored", reasons


NEEDED = ("run.needs_attention", ("tainted",))


@pytest.mark.parametrize(
    ("operation", "fields", "is_forced", "expected"),
    [
        (APPLY, {}, False, [COMPLETED]),
        (PLAN, {}, False, [COMPLETED]),
        (APPLY, {"writes": 1, "serials": (2, 2)}, False, [COMPLETED]),
        (APPLY, {}, True, [errored("lock_broken")]),
        (PLAN, {}, True, [errored("lock_broken")]),
        (APPLY, {"refused": "again"}, False, [errored("save_refused")]),
        (PUSH, {"refused": "for good"}, False, [errored("save_refused")]),
        (APPLY, {"tainted": Addresses((A,))}, False, [NEEDED, errored("tainted")]),
        (APPLY, {"tainted": Addresses((), 3)}, False, [NEEDED, errored("tainted")]),
        (PUSH, {"tainted": Addresses((A,))}, False, [NEEDED, COMPLETED]),
        ("", {"tainted": Addresses((A,))}, False, [NEEDED, COMPLETED]),
        *(
            (operation, {"tainted": Addresses((A,))}, False, [COMPLETED])
            for operation in sorted(runs.REARRANGES)
        ),
        (APPLY, {"failed_checks": Addresses(("check.x",))}, False, [errored("checks_failed")]),
        ("state-mv", {"failed_checks": Addresses(("check.x",))}, False, [COMPLETED]),
        (
            APPLY,
            {
                "refused": "for good",
                "tainted": Addresses((A,)),
                "failed_checks": Addresses(("check.x",)),
            },
            True,
            [NEEDED, errored("lock_broken", "save_refused", "tainted", "checks_failed")],
        ),
    ],
)
def test_how_a_run_ends(
    operation: str,
    fields: dict[str, Any],
    is_forced: bool,
    expected: list[tuple[str, tuple[str, ...]]],
) -> None:
    """Exactly one of completed and errored, as the last; what needs attention before it."""
    assert expected == outcome(a_run(operation, **fields), is_forced=is_forced)


def test_a_run_begins_with_its_lock() -> None:
    """And nothing is known of it yet."""
    news = runs.begun(a_run())
    assert News("run.created", a_run(), (), (LOCKED,)) == news
    assert {
        "id": "lock-1",
        "operation": APPLY,
        "who": "alice@laptop",
        "terraform_version": "1.11.4",
        "started": STARTED,
    } == runs.described(news, STARTED)


def test_saves_are_summed_up() -> None:
    """Intermediate ones, too: writes, serials, resources, and from which entries."""
    run = runs.saved(a_run(), a_save(5, (2, 0, 0)), 10)
    run = runs.saved(run, a_save(6, (1, 1, 0)), 12)
    run = runs.saved(run, a_save(7, (0, 0, 3)), 15)
    (news,) = runs.ended(run, UNLOCKED, is_forced=False)
    assert (LOCKED, Evidence("state.written", 15, 10, 3), UNLOCKED) == news.evidence
    told = runs.described(news, LATER)
    assert {
        "started": STARTED,
        "ended": LATER,
        "seconds": 90,
        "writes": 3,
        "first_serial": 5,
        "last_serial": 7,
        "resources": {"added": 3, "changed": 1, "removed": 3},
    } == {name: told[name] for name in told if name not in runs.described(runs.begun(run), "")} | {
        "started": STARTED
    }


def test_nothing_is_told_of_resources_of_encrypted_states() -> None:
    """But how many saves there were."""
    run = runs.saved(a_run(), a_save(5, None), 10)
    told = runs.described(runs.ended(run, UNLOCKED, is_forced=False)[-1], LATER)
    assert (1, 1, 5) == (told["writes"], told["unknown_writes"], told["last_serial"])
    assert "resources" not in told
    assert "reasons" not in told


def test_a_run_that_saved_nothing_tells_no_serial() -> None:
    """There is none."""
    told = runs.described(runs.ended(a_run(PLAN), UNLOCKED, is_forced=False)[-1], LATER)
    assert 0 == told["writes"]
    assert {"first_serial", "resources"}.isdisjoint(told)


@pytest.mark.parametrize(
    ("saves", "expected"),
    [
        ([a_save(tainted=[A])], [A]),
        ([a_save(tainted=[A]), a_save(tainted=[B])], [A, B]),
        ([a_save(tainted=[A]), a_save(tainted=[A])], [A]),
        ([a_save(tainted=[A, B]), a_save(untainted=[A])], [B]),
        ([a_save(tainted=[A]), a_save()], [A]),
        ([a_save(untainted=[A])], []),
        ([a_save(tainted=[A]), a_save(untainted=[A]), a_save(tainted=[A])], [A]),
    ],
)
def test_what_is_tainted_is_followed_from_save_to_save(
    saves: list[Save], expected: list[str]
) -> None:
    """Of a later save only what differs is known."""
    run = a_run()
    for index, save in enumerate(saves):
        run = runs.saved(run, save, index)
    assert Addresses(tuple(expected)) == run.tainted


def test_of_many_tainted_objects_the_rest_are_counted() -> None:
    """And counted off again when they are put right, also if they were only counted."""
    names = [f"terraform_data.a[{number}]" for number in range(30)]
    run = runs.saved(a_run(), Save(1, (30, 0, 0), Addresses(tuple(names[:20]), 10)), 1)
    run = runs.saved(run, a_save(tainted=["terraform_data.b"]), 2)
    assert (20, 11) == (len(run.tainted.shown), run.tainted.omitted)
    run = runs.saved(run, Save(3, (0, 9, 0), untainted=Addresses((names[0], names[25]), 7)), 3)
    assert (19, 3, 22) == (len(run.tainted.shown), run.tainted.omitted, run.tainted.number)


def test_the_newest_save_tells_which_checks_fail() -> None:
    """What an earlier one said of them is over."""
    run = runs.saved(a_run(), a_save(failed_checks=["check.x"]), 1)
    assert Addresses(("check.x",)) == run.failed_checks
    assert [COMPLETED] == outcome(runs.saved(run, a_save(), 2))


@pytest.mark.parametrize(
    ("steps", "refused"),
    [
        ([503], "again"),
        ([503, "saved"], ""),
        ([503, "again"], ""),
        ([409], "for good"),
        ([409, "saved"], "for good"),
        ([409, "again"], "for good"),
        ([409, 503, "saved"], "for good"),
        ([503, 413], "for good"),
    ],
)
def test_a_refused_save_is_forgiven_when_it_came_again(
    steps: list[int | str], refused: str
) -> None:
    """Clients repeat after 5xx; after anything else Terraform stops the apply and saves what is."""
    run = a_run()
    for index, step in enumerate(steps):
        if isinstance(step, int):
            run = runs.save_refused(run, step, index)
        elif step == "saved":
            run = runs.saved(run, a_save(), index)
        else:
            run = runs.saved_again(run, index)
    assert refused == run.refused
    assert ("run.errored" if refused else "run.completed") == outcome(run)[-1][0]


def test_a_refused_save_is_evidence() -> None:
    """Beside the lock and the end."""
    run = runs.save_refused(runs.save_refused(a_run(), 503, 11), 409, 13)
    (news,) = runs.ended(run, UNLOCKED, is_forced=False)
    assert (LOCKED, Evidence("state.write_refused", 13, 11, 2), UNLOCKED) == news.evidence


def test_the_same_bytes_again_are_no_write() -> None:
    """A repeated request."""
    run = runs.saved(a_run(), a_save(), 10)
    again = runs.saved_again(run, 11)
    assert (1, run.resources) == (again.writes, again.resources)
    assert Evidence("state.written", 11, 10, 2) == again.evidence[-1]


def test_attention_is_called_for_once_for_each_reason() -> None:
    """Who waits asks again every few seconds."""
    refusal = Evidence("state.lock_refused", 20)
    run, news = runs.alerted(a_run(), (runs.LOCK_WAITED_FOR,), refusal)
    assert news == News("run.needs_attention", run, (runs.LOCK_WAITED_FOR,), (LOCKED, refusal))
    same, nothing = runs.alerted(run, (runs.LOCK_WAITED_FOR,), Evidence("state.lock_refused", 21))
    assert (run, None) == (same, nothing)
    _, more = runs.alerted(run, (runs.LOCK_WAITED_FOR, runs.LOCK_HELD_LONG))
    assert more is not None
    assert (runs.LOCK_HELD_LONG,) == more.reasons


def test_no_reason_is_no_news() -> None:
    """As for nearly every save."""
    run = a_run()
    assert (run, None) == runs.alerted(run, ())


def test_a_run_under_way_has_no_end_in_its_events() -> None:
    """But how long it has taken so far."""
    run, news = runs.alerted(a_run(), (runs.LOCK_HELD_LONG,))
    assert news is not None
    told = runs.described(news, LATER)
    assert ("ended" in told, told["seconds"], told["reasons"]) == (False, 90, ["lock_held_long"])
    assert (runs.LOCK_HELD_LONG,) == run.attention


@pytest.mark.parametrize(
    ("minutes", "time", "told", "expected"),
    [
        (None, "2027-11-22T10:00:00.000000Z", (), False),
        (1, "2026-11-22T10:01:00.000000Z", (), False),
        (1, "2026-11-22T10:01:00.000001Z", (), True),
        (2, LATER, (), False),
        (1, LATER, (runs.LOCK_HELD_LONG,), False),
        (1, LATER, (runs.LOCK_WAITED_FOR,), True),
        (1, "2026-11-22T09:00:00.000000Z", (), False),
    ],
)
def test_when_a_run_takes_too_long(
    minutes: int | None, time: str, told: tuple[str, ...], expected: bool
) -> None:
    """After the limit, and not if that was told."""
    assert expected is runs.is_overdue(a_run(attention=told), minutes, time)


def test_a_clock_that_was_set_back_gives_no_negative_time() -> None:
    """An entry holds no such number."""
    assert 0 == runs.seconds(a_run(), "2026-11-22T09:00:00.000000Z")


def test_what_is_left_behind_is_read_as_it_was_told() -> None:
    """By whoever verifies: nothing, some, and more than are shown."""
    given = {"tainted": Addresses((A, B), 4), "untainted": Addresses(), "x": Addresses((A,))}
    shown = runs.left_behind(**given)
    assert {"tainted": [A, B], "tainted_omitted": 4, "x": [A]} == shown
    assert given == {name: runs.listed(shown, name) for name in given}


def test_a_run_is_read_as_it_was_kept() -> None:
    """Whatever became of it."""
    run = runs.saved(a_run(), a_save(tainted=[A], failed_checks=["check.x"]), 3)
    run = runs.told(runs.save_refused(run, 409, 4), (runs.SERIAL_FORCED,))
    assert run == msgspec.json.decode(msgspec.json.encode(run), type=Run)


def test_every_reason_can_be_given() -> None:
    """The table of reasons holds those that the code gives, and no other."""
    given = {
        value
        for name, value in vars(runs).items()
        if name.isupper() and isinstance(value, str) and not name.startswith("_")
    }
    assert given == set(runs.REASONS)
