"""What our server must answer to each recorded request, as data with reasons.

Where the recording backend answered as a healthy server does, that answer is what the client
succeeded (or properly failed) with, and ours must be the same. RULES lists where ours differs:
the recording broke something on purpose, or what it let pass must not pass. `plan` turns a
scenario into turns that can be played without deciding anything any more.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache

from tests.e2e.wire import (
    FORCE_UNLOCK,
    LOCK,
    READ,
    REDIRECTED,
    UNLOCK,
    WRITE,
    Request,
    Scenario,
    scenarios,
)

NOT_SENT = 0
"""In place of a status: the request never reached our server."""

LANDED = "landed"
"""Requests that the recording answered with a failure did reach us: the client asks again."""

NEVER_ARRIVED = "never-arrived"
"""Requests that the recording answered with a failure got lost before us."""

UNLOCKED_FORCE = "unlocked-force"
"""As LANDED, on a server that is set to accept forced uploads without a lock."""

SOMEBODY = {
    "ID": "11111111-2222-3333-4444-555555555555",
    "Operation": "OperationTypeApply",
    "Info": "",
    "Who": "alice@buildhost",
    "Version": "1.5.0",
    "Created": "2026-01-02T03:04:05.678Z",
    "Path": "",
}
"""The lock info of somebody else, as in the recording."""


# ---------------------------------------------------------------- rules


@dataclass(frozen=True)
class Moment:
    """A request in its place."""

    scenario: Scenario
    variant: str
    request: Request
    earlier: tuple[Request, ...]
    state: bytes | None
    holder: str | None

    @property
    def is_locked_without_its_id(self) -> bool:
        """Tell whether an upload names no lock while one is held."""
        return (
            self.request.kind == WRITE and self.holder is not None and self.request.lock_id is None
        )

    @property
    def is_locked_by_another(self) -> bool:
        """Tell whether the request names one lock while another is held."""
        return (
            self.request.lock_id is not None
            and self.holder is not None
            and self.request.lock_id != self.holder
        )

    @property
    def is_lost_update(self) -> bool:
        """Tell whether an upload without a lock repeats a serial with other bytes."""
        return self.request.kind == WRITE and any(
            before.kind == WRITE
            and before.body != self.request.body
            and before.content["serial"] == self.request.content["serial"]
            for before in self.earlier
        )

    @property
    def is_unlocked_force(self) -> bool:
        """Tell whether an upload without any lock replaces a state of another lineage."""
        return (
            self.request.kind == WRITE
            and self.request.lock_id is None
            and self.holder is None
            and self.state is not None
            and json.loads(self.state)["lineage"] != self.request.content["lineage"]
        )

    @property
    def landed(self) -> Request | None:
        """Give the last upload that the client believes lost and that is in fact stored."""
        if self.variant == NEVER_ARRIVED:
            return None
        failed = (before for before in reversed(self.earlier) if before.kind == WRITE)
        return next((upload for upload in failed if upload.status != 200), None)


@dataclass(frozen=True)
class Rule:
    """Where our answer differs from the recorded one.

    Attributes:
        scenarios: glob of scenario names.
        applies: to which moments of them.
        answer: our status, or NOT_SENT.
        why: the reason.
    """

    scenarios: str
    applies: Callable[[Moment], bool]
    answer: int
    why: str


def _recorded(*statuses: int | None) -> Callable[[Moment], bool]:
    return lambda moment: moment.request.status in statuses


def _kind(kind: str, *statuses: int | None) -> Callable[[Moment], bool]:
    return lambda moment: moment.request.kind == kind and moment.request.status in statuses


RULES = (
    Rule(
        "address_no_path",
        lambda _: True,
        400,
        "`/` names no state; 404 would say `there is none`, so that an apply creates it all again",
    ),
    Rule(
        "address_odd_path",
        lambda _: True,
        400,
        "`%2F`, `//` and `..` could make two names of one state: refused, not guessed at",
    ),
    Rule(
        "*",
        _recorded(301, 302, 303, 307, 308),
        NOT_SENT,
        "a redirecting middlebox answered; we never redirect, and only see what is sent next",
    ),
    Rule(
        "*",
        lambda moment: moment.request.kind == REDIRECTED,
        400,
        "a redirect turned this write, lock or unlock into a read: 200 would be taken for `done`",
    ),
    Rule(
        "*",
        lambda moment: moment.variant == NEVER_ARRIVED and moment.request.status in (500, None),
        NOT_SENT,
        "lost on its way to us, in the half of the pair where nothing was persisted",
    ),
    Rule(
        "long_apply_first_snapshot_500",
        lambda moment: moment.request.kind == READ and moment.landed is not None,
        200,
        "the snapshot whose answer was lost is stored, and that is what a read says",
    ),
    Rule(
        "long_apply_first_snapshot_500",
        lambda moment: (
            moment.request.kind == WRITE
            and moment.landed is not None
            and moment.request.content["lineage"] != moment.landed.content["lineage"]
        ),
        421,
        "a new lineage under an apply's lock: a client that was told of the stored one sends none",
    ),
    Rule(
        "*",
        _recorded(500, None),
        200,
        "our server is healthy: asked once or again, it did what was asked",
    ),
    Rule(
        "*",
        _kind(LOCK, 409),
        423,
        "one status for a held lock; clients treat 409 and 423 alike",
    ),
    Rule(
        "force_unlock_server_4??",
        _kind(FORCE_UNLOCK, 404, 409, 423),
        200,
        "refused in the recording to see what the client prints; ours releases, held or free",
    ),
    Rule(
        "locked_json",
        _kind(WRITE, 409),
        200,
        "refused in the recording to see what the client prints; the client holds the lock",
    ),
    Rule(
        "redirect_unlock_30[78]",
        _kind(UNLOCK, 409),
        200,
        "the recording's second server knew no lock; on ours the unlock arrives where the lock is",
    ),
    Rule(
        "redirect_update_30[78]",
        lambda moment: moment.is_locked_without_its_id,
        428,
        "the redirect's Location lost `?ID=`: nothing tells this upload from a stranger's",
    ),
    Rule(
        "*",
        lambda moment: moment.is_locked_without_its_id,
        428,
        "without a lock ID while somebody holds the lock; a status of its own tells the reason",
    ),
    Rule(
        "long_apply_snapshot_423",
        lambda moment: moment.request.kind == UNLOCK and moment.is_locked_by_another,
        409,
        "the lock is another's by then; the recording pretended it had been released",
    ),
    Rule(
        "state_push_*",
        lambda moment: moment.is_unlocked_force and moment.variant != UNLOCKED_FORCE,
        421,
        "0.11 pushes without a lock, so that nothing tells its -force from an accident; a setting "
        "accepts it",
    ),
    Rule(
        "two_applies_unlocked",
        lambda moment: moment.is_lost_update,
        409,
        "two applies without a lock made the same serial of different bytes: the second would "
        "undo the first, and only the server can notice",
    ),
)
"""The first that applies decides; where none does, the recorded status is right."""

AS_RECORDED = Rule("*", lambda _: True, -1, "the recorded answer is the right one")


# ---------------------------------------------------------------- surroundings

HELD = {
    "force_unlock_right_id": "demo",
    "force_unlock_wrong_id": "demo",
    "force_unlock_server_*": "demo",
    "gitlab_force_unlock": "demo",
    "locked_read_commands": "demo",
    "remote_state_producer_locked": "producer",
}
"""Scenario glob -> the state whose lock somebody else holds from the start.

Elsewhere somebody takes the lock when the first LOCK is to be refused with it, or when an upload
was, and releases it before a LOCK that is to succeed.
"""

STOLEN = {
    "lock_stolen_mid_apply": True,
    "long_apply_snapshot_423": True,
    "lock_expired_mid_apply": False,
}
"""Scenario -> before its first upload the lock is force-unlocked, and taken by somebody (True)."""

WAITS = ("server_side_lock_wait",)
"""Scenarios whose LOCK waits on our side (`?wait=`) until somebody releases the lock."""

UNCHANGED = (
    "apply_nochange",
    "apply_refresh_false",
    "destroy_again",
    "refresh",
    "state_push_same",
    "state_rm_missing",
)
"""Scenarios in which old clients upload what the server has: the same bytes again."""

UNRELATED = ("init_migrate_onto_existing", "state_push_force_lineage", "state_push_stdin")
"""Scenarios whose upload replaces a state of another lineage."""

BEHIND = ("state_push_force_older",)
"""Scenarios whose upload has a lower serial than what it replaces (0.11 counts up even then)."""

ANONYMOUS, LIMITED, GOOD = "anonymous", "limited", "good"

OTHER_CREDENTIALS = {
    ("remote_state_401", "producer"): ANONYMOUS,
    ("remote_state_403", "producer"): LIMITED,
}
"""(scenario, state) -> who reads it, where the recording answered 401 or 403 on purpose."""


# ---------------------------------------------------------------- events

EVENTS: dict[tuple[str, int], tuple[str, str]] = {
    (READ, 200): ("state.read", "success"),
    (READ, 404): ("state.read", "success"),
    (READ, 401): ("auth.failed", "denied"),
    (READ, 403): ("access.denied", "denied"),
    (REDIRECTED, 400): ("state.write_refused", "error"),
    (LOCK, 200): ("state.locked", "success"),
    (LOCK, 401): ("auth.failed", "denied"),
    (LOCK, 423): ("state.lock_refused", "conflict"),
    (UNLOCK, 200): ("state.unlocked", "success"),
    (UNLOCK, 409): ("state.unlock_refused", "conflict"),
    (FORCE_UNLOCK, 200): ("state.force_unlocked", "success"),
    (WRITE, 200): ("state.written", "success"),
    (WRITE, 409): ("state.write_refused", "conflict"),
    (WRITE, 421): ("state.write_refused", "conflict"),
    (WRITE, 423): ("state.write_refused", "conflict"),
    (WRITE, 428): ("state.write_refused", "conflict"),
}
"""(kind of request, our status) -> the event and the outcome that the log must show."""


# ---------------------------------------------------------------- plan


@dataclass(frozen=True)
class Happening:
    """What others do between the client's requests.

    Attributes:
        deed: ``seed`` (store `body`), ``lock``, ``unlock`` (both by SOMEBODY) or ``force``.
        place: the state's recorded name.
        body: the state to store.
    """

    deed: str
    place: str
    body: bytes = b""


@dataclass(frozen=True)
class Turn:
    """One request, what happens around it, and the answer it must get.

    Attributes:
        request: as recorded.
        opens: True on the first request of a command: a new connection.
        before: happens first.
        meanwhile: happens after the request was sent and before it is answered.
        answer: the status it must get; NOT_SENT.
        rule: why.
        credentials: GOOD, LIMITED or ANONYMOUS; None sends what was recorded.
        state: what a read must return, what is stored otherwise; None is no state.
        holder: ID of the lock that is held afterwards.
    """

    request: Request
    opens: bool
    before: tuple[Happening, ...]
    meanwhile: tuple[Happening, ...]
    answer: int
    rule: Rule
    credentials: str | None
    state: bytes | None
    holder: str | None

    @property
    def is_addressed_to_a_state(self) -> bool:
        """Tell whether the address is one that names a state at all."""
        return self.answer != 400 or self.request.kind == REDIRECTED

    @property
    def event(self) -> tuple[str, str] | None:
        """Give the event and outcome its entry must have; None where there need be none."""
        if self.answer == NOT_SENT or not self.is_addressed_to_a_state:
            return None
        return EVENTS[self.request.kind, self.answer]


@dataclass
class _World:
    """What is stored and held while a plan is made, by place."""

    states: dict[str, bytes] = field(default_factory=dict)
    holders: dict[str, str] = field(default_factory=dict)


def _uploads(scenario: Scenario, place: str | None = None) -> Iterator[Request]:
    for request in scenario.requests:
        if request.kind == WRITE and place in (None, request.place):
            yield request


@cache
@cache
def _uploads_of(client: str) -> list[tuple[Scenario, Request]]:
    return [
        (scenario, upload)
        for scenario in scenarios()
        if scenario.client == client
        for upload in _uploads(scenario)
    ]


def presumed_state(scenario: Scenario, place: str) -> bytes:
    """Find the bytes that the scenario presumes on the server; they were not recorded.

    A state that the same client uploaded in another scenario and that its upload in this one
    continues; else its upload here with a serial one lower.
    """
    recorded = _uploads_of(scenario.client)
    others = [upload for source, upload in recorded if source.name != scenario.name]
    upload = next(_uploads(scenario, place), None)
    if upload is None or upload.body is None:
        related = [upload for source, upload in recorded if source.group == scenario.group]
        return (related or others)[0].body or b""
    lineage, serial = upload.content["lineage"], upload.content["serial"]
    if scenario.name in UNCHANGED or serial == 0:
        return upload.body
    if scenario.name in UNRELATED:
        choice = [other for other in others if other.content["lineage"] != lineage]
    elif scenario.name in BEHIND and upload.lock_id is not None:
        choice = [
            other
            for other in others
            if other.content["lineage"] == lineage and other.content["serial"] > serial
        ]
    else:
        choice = [
            other
            for other in others
            if other.content["lineage"] == lineage and other.content["serial"] < serial
        ]
    if choice:
        return max(choice, key=lambda other: int(other.content["serial"])).body or b""
    return re.sub(
        rb'("serial": )\d+', lambda match: match[1] + str(serial - 1).encode(), upload.body, count=1
    )


def _is_there_from_the_start(scenario: Scenario, place: str) -> bool:
    """Tell whether the scenario presumes a state: its first read was not answered `none`."""
    for request in scenario.requests:
        if request.place == place and request.kind == READ:
            return request.status != 404
        if request.place == place and request.kind == WRITE:
            return False
    return False


def _somebody(deed: str, place: str, world: _World) -> Happening:
    if deed == "lock":
        world.holders[place] = SOMEBODY["ID"]
    else:
        world.holders.pop(place, None)
    return Happening(deed, place)


def _surroundings(scenario: Scenario, request: Request, world: _World) -> list[Happening]:
    """Name what others do before this request, so that it meets what it met in the recording."""
    place, around = request.place, []
    holder = world.holders.get(place)
    if request.kind == WRITE and scenario.name in STOLEN and holder == request.lock_id:
        around.append(_somebody("force", place, world))
        if STOLEN[scenario.name]:
            around.append(_somebody("lock", place, world))
    if request.kind == WRITE and request.status == 423 and place not in world.holders:
        around.append(_somebody("lock", place, world))
    if request.kind == LOCK:
        if request.status in (409, 423) and holder is None:
            around.append(_somebody("lock", place, world))
        if request.status == 200 and holder == SOMEBODY["ID"]:
            around.append(_somebody("unlock", place, world))
        if scenario.name in WAITS:
            around.append(_somebody("lock", place, world))
    return around


def _follow(request: Request, answer: int, world: _World) -> None:
    """Change the world as a request does that is answered so."""
    if answer != 200:
        return
    if request.kind == WRITE and request.body is not None:
        world.states[request.place] = request.body
    elif request.kind == LOCK:
        world.holders[request.place] = request.lock_id or ""
    elif request.kind in (UNLOCK, FORCE_UNLOCK):
        world.holders.pop(request.place, None)


def plan(scenario: Scenario, variant: str = LANDED) -> list[Turn]:
    """Decide for each request of a scenario what goes before it and what it must be answered."""
    world = _World()
    opening = []
    for place in dict.fromkeys(request.place for request in scenario.requests):
        if _is_there_from_the_start(scenario, place):
            world.states[place] = presumed_state(scenario, place)
            opening.append(Happening("seed", place, world.states[place]))
        if any(fnmatchcase(scenario.name, name) and held == place for name, held in HELD.items()):
            opening.append(_somebody("lock", place, world))
    turns: list[Turn] = []
    opens = True
    for step in scenario.steps:
        if not isinstance(step, Request):
            opens = True
            continue
        before = [*opening, *_surroundings(scenario, step, world)]
        opening = []
        meanwhile: tuple[Happening, ...] = ()
        if scenario.name in WAITS and step.kind == LOCK:
            meanwhile = (_somebody("unlock", step.place, world),)
        moment = Moment(
            scenario,
            variant,
            step,
            tuple(turn.request for turn in turns),
            world.states.get(step.place),
            world.holders.get(step.place),
        )
        rule = next(
            (
                rule
                for rule in RULES
                if fnmatchcase(scenario.name, rule.scenarios) and rule.applies(moment)
            ),
            AS_RECORDED,
        )
        answer = rule.answer
        if rule is AS_RECORDED and step.status is not None:
            answer = step.status
        _follow(step, answer, world)
        turns.append(
            Turn(
                request=step,
                opens=opens,
                before=tuple(before),
                meanwhile=meanwhile,
                answer=answer,
                rule=rule,
                credentials=_credentials(scenario, step),
                state=world.states.get(step.place),
                holder=world.holders.get(step.place),
            )
        )
        opens = False
    return turns


def _credentials(scenario: Scenario, request: Request) -> str | None:
    if scenario.group == "auth":
        # the recording's one good password; everything else must be refused
        is_good = request.status not in (401, 403)
        return GOOD if is_good else None
    return OTHER_CREDENTIALS.get((scenario.name, request.place), GOOD)


def variants(scenario: Scenario) -> tuple[str, ...]:
    """Name the ways to play it: both halves of the pair where the recording failed a request."""
    failed = [
        request
        for request in scenario.requests
        if request.status in (500, None) and request.kind != READ
    ]
    return (LANDED, NEVER_ARRIVED) if failed else (LANDED,)


def is_forced_unlocked(scenario: Scenario) -> bool:
    """Tell whether the scenario succeeds only where forced uploads need no lock."""
    return [turn.answer for turn in plan(scenario)] != [
        turn.answer for turn in plan(scenario, UNLOCKED_FORCE)
    ]


def state_names(scenario: Scenario) -> list[str]:
    """List the states that a scenario names, by their recorded names."""
    return list(dict.fromkeys(request.place for request in scenario.requests))


def lock_info(info: dict[str, str]) -> bytes:
    """Write a lock info as Go does."""
    return json.dumps(info, separators=(",", ":")).encode()
