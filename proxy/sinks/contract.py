"""What a sink is: it formats and delivers a batch, and says what became of it; nothing else.

Waiting, trying again, counting, logging and dead letters are the forwarder's, once for all sinks.
A sink never swallows a failure and never says "taken" before the far side has said so, except
where the far side can't say so at all (``Limits.is_acknowledged``).
"""

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Final, NamedTuple, Protocol, TypeAlias

import msgspec

from proxy.config import Secret
from proxy.directory import Object
from proxy.errors import SinkRejectedError, SinkUnavailableError, TfauditError
from proxy.tlog.entry import Record

NOTHING: Final[Mapping[int, str]] = {}


class Event(NamedTuple):
    """One committed entry on its way out.

    Attributes:
        record: the signed bytes and what stands around them.
        entry: the same entry as JSON; shared by all sinks, so nobody changes it.
    """

    record: Record
    entry: Mapping[str, Any]


class Batch(NamedTuple):
    """What is sent at once: at least one event, in the order of the log.

    Attributes:
        events: at most ``Limits.events`` of them.
        checkpoint: the newest signed checkpoint (C2SP tlog-checkpoint); it covers all of them.
            Whoever receives it holds evidence against the operator of the log.
        origin: the log's name.
        is_replay: an administrator asked for these once more, so they are written again wherever
            they stand. Without it an event comes twice only because nobody knew that it was taken:
            whoever can see that it was may leave it out.
    """

    events: tuple[Event, ...]
    checkpoint: str
    origin: str
    is_replay: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """What one call of ``send`` may be given, and what its return means.

    Attributes:
        events: in a batch, at most. What a far side limits in bytes the sink itself parts into
            several requests, in order.
        pause: seconds between two calls, at least.
        is_acknowledged: whether a return means that the far side has the events; else they were
            handed to the network and nobody can say more.
        is_record: whether it is meant to hold all of the log. One that is not (a notification)
            begins with what happens after it is made.
    """

    events: int
    pause: float = 0.0
    is_acknowledged: bool = True
    is_record: bool = True


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the far side said of a batch that it took.

    Attributes:
        said: a few words of the answer for people, without any secret: ``202 Accepted``.
        rejected: the events that it will never take, by their places in the batch (from 0), each
            with the reason: these are set aside, the others are delivered.
        heard: as in ``NotTakenError``, of what was rejected.
    """

    said: str
    rejected: Mapping[int, str] = field(default_factory=dict)
    heard: str = ""


class NotTakenError(SinkUnavailableError):
    """The far side did not take all events: give the same ones again, later.

    Attributes:
        left: places of the events in the batch (from 0) that were not taken; None when none was,
            or nobody knows.
        rejected: as in ``Receipt``: events that it will never take.
        retry_after: seconds that the far side asks to be left alone; None when it does not say.
        needs_repair: waiting does not help: somebody has to mend the credentials, the address or
            the far side (401, 403, 404, no such event bus). Nothing is set aside for it.
        heard: what the far side said in its own words. It may repeat what it was sent, credentials
            too: whoever tries the sink is shown it, and it goes into no record, status or log. The
            message has none of it.
    """

    def __init__(  # noqa: PLR0913 - all by name
        self,
        message: str,
        *,
        left: Collection[int] | None = None,
        rejected: Mapping[int, str] = NOTHING,
        retry_after: float | None = None,
        needs_repair: bool = False,
        heard: str = "",
    ) -> None:
        """Keep the message for people, which holds no secret, and the rest for the forwarder."""
        super().__init__(message)
        self.left = None if left is None else frozenset(left)
        self.rejected = dict(rejected)
        self.retry_after = retry_after
        self.needs_repair = needs_repair
        self.heard = heard


class RefusedError(SinkRejectedError):
    """The far side refused these events for what they are (400, 413, too large, not valid).

    It does not say which: the forwarder gives it half of them, until each one that is refused
    stands alone. Those are set aside.

    Attributes:
        refused: places of the events in the batch (from 0) that were refused together.
        left: places of the events that were not tried; those in neither were taken.
        heard: as in ``NotTakenError``.
    """

    def __init__(
        self,
        message: str,
        *,
        refused: Collection[int],
        left: Collection[int] = (),
        heard: str = "",
    ) -> None:
        """Keep the message for people, which holds no secret, and which events it is about."""
        super().__init__(message)
        self.refused = frozenset(refused)
        self.left = frozenset(left)
        self.heard = heard


class SinkGoneError(TfauditError):
    """The far side wants nothing more, ever (410): the sink is disabled, and that is recorded.

    Attributes:
        heard: as in ``NotTakenError``.
    """

    def __init__(self, message: str, *, heard: str = "") -> None:
        """Keep the message for people, which holds no secret."""
        super().__init__(message)
        self.heard = heard


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The base of a sink's options: what an administrator says of it.

    Unknown fields are refused by name. A secret is never an option: the option holds the *name* of
    one (``SecretName`` in options.py), and ``Context.secret`` gives its value.
    """


@dataclass(frozen=True, slots=True)
class Context:
    """What a sink gets from the program around it.

    Attributes:
        name: of the sink.
        secret: gives the secret of a name; ConfigError says that there is none, and where it is
            looked for.
        now: the present, UTC.
        sleep: waits so many seconds.
        random: gives so many random bytes.
    """

    name: str
    secret: Callable[[str], Secret]
    now: Callable[[], datetime]
    sleep: Callable[[float], Awaitable[None]]
    random: Callable[[int], bytes]


class Sink(Protocol):
    """One destination. Made by its class: ``SomeSink(options, context)``, which does no I/O.

    Its calls never overlap, but for ``aclose``, which may come while one is waiting. Whatever a
    sink raises that is not named here is a bug; the forwarder treats it as NotTakenError.

    Attributes:
        options_type: what its options are read as.
        limits: fixed when it is made.
    """

    options_type: ClassVar[type[Options]]
    limits: Limits

    async def send(self, batch: Batch) -> Receipt:
        """Deliver the batch; returns when the far side has it.

        Raises:
            NotTakenError: again later.
            RefusedError: never, for what the events are.
            SinkGoneError: never again at all.
        """
        ...

    async def probe(self) -> str:
        """Look whether the far side is there and would take events, without sending one.

        Returns:
            what was found, in a few words for people.

        Raises:
            NotTakenError: it is not, or it would not; says why and what to do.
        """
        ...

    async def aclose(self) -> None:
        """Close whatever is open; safe to call twice."""
        ...


Opener: TypeAlias = Callable[[Object], Sink]
"""Makes the sink of an object of the directory, without I/O.

Raises InvalidInputError when its options can't be used, ConfigError when a secret is not there.
"""
