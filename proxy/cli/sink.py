"""``tfaudit sink``: where events are forwarded to, how that goes, and what to do when it fails."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple, TypeVar

import typer

from proxy.access import Caller
from proxy.cli._common import (
    REFUSED,
    ConfigOption,
    DataOption,
    JsonOption,
    YesOption,
    caller,
    confirm,
    notice,
    opened,
    run,
    settings,
)
from proxy.cli._objects import Place, cell
from proxy.cli._output import clean, count_text, print_json, print_table, time_text
from proxy.errors import (
    ConfigError,
    InvalidInputError,
    SinkRejectedError,
    SinkUnavailableError,
)
from proxy.fields import FieldError

if TYPE_CHECKING:
    from proxy.config import Config
    from proxy.contracts import SinkReplay
    from proxy.directory import Object, Record, SinkRecord
    from proxy.program import Program
    from proxy.sink_status import SinkStatus
    from proxy.sinks.contract import Options

T = TypeVar("T")

app = typer.Typer(no_args_is_help=True, help="Forward events to Datadog, webhooks, SIEMs and more.")

_KIND: Final = "sink"
_FROM_HERE: Final = "Looked from here, with this shell's environment, not from the server."
_WIDTH: Final = 80
"""Characters of an error in a table."""
_Name = Annotated[str, typer.Argument(metavar="NAME|ID")]
_Options = Annotated[
    list[str] | None,
    typer.Option(
        "--option",
        "-o",
        metavar="KEY=VALUE",
        help="An option of the type. Repeatable; a list takes its elements by repetition, or as "
        "JSON. KEY= takes it away. Secrets are given by their names alone.",
    ),
]
_Filter = Annotated[
    str | None,
    typer.Option(
        "--filter",
        metavar="JSON|@FILE",
        help='The events it gets: {"event": ["run.errored"]}, as EventBridge has it. \'\' is all.',
    ),
]
_Description = Annotated[str | None, typer.Option("--description", help="For people.")]
_NoProbe = Annotated[
    bool,
    typer.Option("--no-probe", help="Do not look first whether the far side would take events."),
]


@app.command("types")
def types(
    of: Annotated[
        str | None, typer.Argument(metavar="[TYPE]", help="Show the options of this one.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List the types of sinks, or the options of one with their meaning."""
    from proxy.sinks import sink_types  # noqa: PLC0415 - quick start of the command line
    from proxy.sinks.describing import describe  # noqa: PLC0415

    if of is None:
        found = [describe(each) for each in sink_types()]
        if as_json:
            print_json([{"type": each.type, "summary": each.summary} for each in found])
        else:
            print_table(("TYPE", "WHAT IT DOES"), ((each.type, each.summary) for each in found))
        return
    one = describe(of)
    if as_json:
        import msgspec  # noqa: PLC0415 - quick start

        print_json(msgspec.to_builtins(one))
        return
    typer.echo(clean(one.summary))
    print_table(
        ("OPTION", "VALUE", "DEFAULT", "MEANING"),
        (
            (
                each.name,
                each.kind,
                "(required)" if each.is_required else _default(each.default),
                each.meaning,
            )
            for each in sorted(one.options, key=lambda each: not each.is_required)
        ),
    )


@app.command("list")
def list_sinks(
    data: DataOption = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """List all sinks: how far each is, and how it is doing.

    LAG is the number of entries that it was not given yet, AGE how old the first of them is, SET
    ASIDE what it refused.
    """
    from proxy.server_lock import is_served  # noqa: PLC0415 - quick start of the command line

    place = settings(data, config)
    found = run(_all(place))
    served = is_served(place.data.directory)
    if as_json:
        print_json([{**each.as_object(), "is_served": served} for each in found])
        return
    if found and not served:
        notice("No server runs, so nothing is forwarded now: this is how it was when it stopped.")
    print_table(
        ("NAME", "TYPE", "STATE", ">LAG", ">AGE", ">DELIVERED", ">RETRIES", ">SET ASIDE", "ERROR"),
        (_row(each.status) for each in found),
    )


@app.command("show")
def show(
    name: _Name, data: DataOption = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Show one sink: what it is, and how it is doing."""
    found = run(_one(settings(data, config), name))
    if as_json:
        print_json(found.as_object())
        return
    members = found.as_object()
    status = members.pop("status")
    lines = {**members, **{key: value for key, value in status.items() if key not in members}}
    width = max(map(len, lines))
    for key, value in lines.items():
        text = time_text(value) if isinstance(value, str) else cell(value)
        typer.echo(f"{key:<{width}}  {clean(text)}".rstrip())


@app.command("create")
def create(
    *,
    name: Annotated[str, typer.Argument(metavar="NAME")],
    of: Annotated[
        str, typer.Option("--type", metavar="TYPE", help="`tfaudit sink types` lists them.")
    ],
    options: _Options = None,
    pattern: _Filter = None,
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="INDEX|beginning",
            help="The first entry of the log that it gets. Default: the next one.",
        ),
    ] = None,
    description: _Description = None,
    paused: Annotated[bool, typer.Option("--paused", help="Do not begin before `resume`.")] = False,
    no_probe: _NoProbe = False,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a sink; the running server begins to feed it within seconds.

    The far side is looked at first, from here: if it is not there, or would not take events, the
    sink is not made (exit code 2) unless --no-probe says so.
    """
    from proxy.cli._sink_values import (  # noqa: PLC0415 - quick start of the command line
        read_filter,
        read_index,
        read_options,
        without_nothing,
    )

    fields: dict[str, Any] = {
        "name": name,
        "type": of,
        "options": without_nothing(read_options(_options_type(of), options or [])),
        "filter": read_filter(pattern or ""),
        "enabled": not paused,
        "start": None if start is None else read_index(start, "--from"),
        "description": description or "",
    }
    made, said = run(_create(settings(data, config), fields, is_probed=not no_probe))
    if as_json:
        print_json({**made.as_object(), "probe": said})
        return
    typer.echo(f"Created the sink {made.found.name} (ID {made.found.id}).")
    if said is not None:
        typer.echo(clean(f"Probed: {said}"))


@app.command("update")
def update(
    *,
    name: _Name,
    options: _Options = None,
    pattern: _Filter = None,
    description: _Description = None,
    no_probe: _NoProbe = False,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change what is given; the rest stays, and so does its place in the log.

    When options change, the far side is looked at first, as for `create`.
    """
    if options is None and pattern is None and description is None:
        raise InvalidInputError("say what of the sink to change: see --help")

    async def action(program: "Program", who: Caller) -> "_Updated":
        from proxy.cli._sink_values import read_filter, read_options  # noqa: PLC0415 - quick start
        from proxy.directory import Directory, changed_record, patch_of  # noqa: PLC0415

        found = await program.directory.show(who, _KIND, name)
        record = Directory.sink_record(found)
        changes: dict[str, Any] = {}
        if options is not None:
            changes["options"] = read_options(_options_type(record.type), options)
        if pattern is not None:
            changes["filter"] = patch_of(record.filter, read_filter(pattern))
        if description is not None:
            changes["description"] = description
        said = None
        if options is not None and not no_probe:
            after = partial(changed_record, record, changes)
            said = await _probe(program, who, after, "nothing was changed")
        done = await program.directory.update_told(who, _KIND, found.name, changes)
        return _Updated(await _sink(program, who, found.name), done.value.in_words(), said)

    updated = run(_within(settings(data, config), "sink update", action))
    if as_json:
        print_json({**updated.sink.as_object(), "probe": updated.said})
    elif not updated.words:
        typer.echo(f"The sink {updated.sink.found.name} is so already: nothing was changed.")
    else:
        typer.echo(f"Updated the sink {updated.sink.found.name}: {clean(updated.words)}.")
        if updated.said is not None:
            typer.echo(clean(f"Probed: {updated.said}"))


@app.command("delete")
def delete(
    *,
    name: _Name,
    yes: YesOption = False,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete a sink, with its place in the log and what was set aside for it."""
    if not yes:
        confirm(f"Delete the sink {name}, its place in the log and what was set aside for it?")
    Place(data, config, as_json=as_json).delete(_KIND, name)


@app.command("pause")
def pause(
    name: _Name, data: DataOption = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Give a sink nothing until `resume`; events wait for it in the log."""
    _enable(settings(data, config), name, is_enabled=False, as_json=as_json)


@app.command("resume")
def resume(
    name: _Name, data: DataOption = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Go on with a paused sink from where it stopped."""
    _enable(settings(data, config), name, is_enabled=True, as_json=as_json)


@app.command("probe")
def probe(
    name: _Name, data: DataOption = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Look whether the far side of a sink would take events, from here, without sending one.

    Exit code 2 when it would not.
    """

    async def action(program: "Program", who: Caller) -> str:
        from proxy.directory import Directory  # noqa: PLC0415 - quick start of the command line

        found = await program.directory.show(who, _KIND, name)
        return await program.sinks.probe(who, Directory.sink_record(found))

    said = run(_within(settings(data, config), "sink probe", action))
    notice(_FROM_HERE)
    if as_json:
        print_json({"said": said})
    else:
        typer.echo(clean(said))


@app.command("test")
def run_test(
    name: _Name, data: DataOption = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Send a marked event to a sink, from here, and say what the far side answered.

    The event is `sink.tested`, an entry of the log; it is sent beside whatever waits, also to a
    paused sink. Exit code 1 when it was not taken.
    """
    done = run(
        _within(
            settings(data, config), "sink test", lambda program, who: program.sinks.test(who, name)
        )
    )
    notice(_FROM_HERE)
    if as_json:
        print_json({"index": done.index, **asdict(done.value)})
    else:
        verb = "Taken" if done.value.is_taken else "Not taken"
        typer.echo(clean(f"{verb} (entry {done.index}): {done.value.said}"))
    if not done.value.is_taken:
        raise typer.Exit(REFUSED)


@app.command("replay")
def replay(
    *,
    name: _Name,
    first: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="INDEX|beginning", help="The first entry that is sent once more."
        ),
    ] = None,
    until: Annotated[
        int | None,
        typer.Option(
            "--until", min=1, metavar="INDEX", help="Send those below. Default: all it was given."
        ),
    ] = None,
    dead_letters: Annotated[
        bool, typer.Option("--dead-letters", help="Send only what was set aside.")
    ] = False,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Have entries sent to a sink once more: a range of the log, or what it had refused.

    The running server does it, beside what is new. Each entry has the ID that it had.
    """
    from proxy.cli._sink_values import read_index  # noqa: PLC0415 - quick start

    start = None if first is None else read_index(first, "--from")
    done = run(
        _within(
            settings(data, config),
            "sink replay",
            lambda program, who: program.sinks.replay(
                who, name, start, until, only_dead_letters=dead_letters
            ),
        )
    )
    if as_json:
        print_json(_replay(done.value))
    else:
        what = "What was set aside" if dead_letters else "Entries"
        typer.echo(
            f"{what} from {done.value.first} to {done.value.until - 1} will be sent once more "
            f"(replay {done.value.id})."
        )


@app.command("dead-letters")
def list_dead_letters(
    *,
    name: _Name,
    first: Annotated[
        str, typer.Option("--from", metavar="INDEX", help="Only entries from this one on.")
    ] = "0",
    limit: Annotated[
        int, typer.Option("--limit", min=1, max=1_000_000, metavar="N", help="At most so many.")
    ] = 100,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the entries that a sink refused, each with the reason."""
    from proxy.cli._sink_values import read_index  # noqa: PLC0415 - quick start

    start = read_index(first, "--from")
    found = run(
        _within(
            settings(data, config),
            "sink dead-letters",
            lambda program, who: program.sinks.dead_letters(who, name, start, limit + 1),
        )
    )
    page = found[:limit]
    if as_json:
        print_json(
            [{"index": each.index, "reason": each.reason, "time": each.time} for each in page]
        )
    else:
        print_table(
            (">ENTRY", "SET ASIDE", "REASON"),
            ((str(each.index), time_text(each.time), each.reason) for each in page),
        )
    if len(found) > limit:
        notice(f"There are more: go on with --from {found[limit].index}.")


# ---------------------------------------------------------------- what the verbs share


class _Sink(NamedTuple):
    """A sink and how it is doing."""

    found: "Object"
    status: "SinkStatus"

    def as_object(self) -> dict[str, Any]:
        """Return it for programs."""
        from proxy.directory import shown  # noqa: PLC0415 - quick start of the command line

        status = {
            key: value
            for key, value in asdict(self.status).items()
            if key not in {"id", "name", "type"}
        }
        status["replays"] = [_replay(each) for each in self.status.replays]
        return {**shown(self.found), "status": status}


class _Updated(NamedTuple):
    """What an update came to."""

    sink: _Sink
    words: str
    said: str | None


def _default(value: object) -> str:
    """Return a default as it would be given; nothing of what is empty."""
    return str(value).lower() if isinstance(value, bool) else cell(value)


def _replay(found: "SinkReplay") -> dict[str, Any]:
    return {name: value for name, value in found._asdict().items() if name != "sink"}


def _row(status: "SinkStatus") -> Sequence[str]:
    from proxy.cli._sink_values import age_text  # noqa: PLC0415 - quick start

    return (
        status.name,
        status.type,
        status.state,
        str(status.lag),
        age_text(status.age) if status.lag else "",
        str(status.delivered),
        str(status.retries),
        str(status.dead_letters),
        _one_line(status.error),
    )


def _one_line(text: str) -> str:
    """Return a text as a table can hold it; `sink show` has all of it."""
    flat = " ".join(text.split())
    return flat if len(flat) <= _WIDTH else f"{flat[: _WIDTH - 1]}…"


async def _within(
    config: "Config", verb: str, action: "Callable[[Program, Caller], Awaitable[T]]"
) -> T:
    """Run a verb's action on the open data directory."""
    async with opened(config) as program:
        return await action(program, caller(verb))


async def _all(config: "Config") -> list[_Sink]:
    async with opened(config) as program:
        who = caller("sink list")
        statuses = {each.id: each for each in await program.sinks.status(who)}
        found = await program.directory.list(who, _KIND)
        return [_Sink(each, statuses[each.id]) for each in found if each.id in statuses]


async def _one(config: "Config", name: str) -> _Sink:
    async with opened(config) as program:
        return await _sink(program, caller("sink show"), name)


async def _sink(program: "Program", who: Caller, name: str) -> _Sink:
    found = await program.directory.show(who, _KIND, name)
    [status] = await program.sinks.status(who, found.id)
    return _Sink(found, status)


async def _create(
    config: "Config", fields: Mapping[str, Any], *, is_probed: bool
) -> tuple[_Sink, str | None]:
    """Make a sink; return it, and what its probe found."""
    from proxy.cli._filters import tell_pruned  # noqa: PLC0415 - quick start
    from proxy.contracts import LogQuery  # noqa: PLC0415
    from proxy.directory import read_record  # noqa: PLC0415

    async with opened(config) as program:
        who = caller("sink create")
        said = None
        if is_probed:
            record = partial(read_record, _KIND, fields)
            said = await _probe(program, who, record, "it was not made")
        made = await program.directory.create(who, _KIND, fields)
        if (start := fields.get("start")) is not None:
            await tell_pruned(program.store, LogQuery(after=start - 1 if start else None))
        return await _sink(program, who, made.value.id), said


def _as_sink(record: "Record") -> "SinkRecord":
    from proxy.directory import SinkRecord  # noqa: PLC0415 - quick start

    if not isinstance(record, SinkRecord):
        raise TypeError(f"{record.name} is no sink")
    return record


def _options_type(of: str) -> "type[Options]":
    """Return what the options of a type are read as; of one that there is not, anything."""
    from proxy.sinks import sink_class  # noqa: PLC0415 - quick start
    from proxy.sinks.contract import Options  # noqa: PLC0415

    try:
        return sink_class(of).options_type
    except FieldError:
        return Options  # that it is not there the service says, on record


async def _probe(
    program: "Program", who: Caller, record: "Callable[[], Record]", so: str
) -> str | None:
    """Return what a probe found; None of a sink that can't be so, which the service says then.

    Raises:
        ConfigError, SinkUnavailableError: it could not send; says that nothing was done.
    """
    from proxy.sinks.contract import SinkGoneError  # noqa: PLC0415 - quick start

    try:
        return await program.sinks.probe(who, _as_sink(record()))
    except InvalidInputError:
        return None
    except (ConfigError, SinkUnavailableError, SinkRejectedError, SinkGoneError) as error:
        # Never of the error's own class: each is made in its own way.
        family = ConfigError if isinstance(error, ConfigError) else SinkUnavailableError
        raise family(
            f"the sink could not send, so {so}: {error}; mend that, or give --no-probe to go on "
            "without"
        ) from error


def _enable(config: "Config", name: str, *, is_enabled: bool, as_json: bool) -> None:
    verb = "resume" if is_enabled else "pause"

    async def action(program: "Program", who: Caller) -> tuple[_Sink, bool]:
        done = await program.directory.update_told(who, _KIND, name, {"enabled": is_enabled})
        return await _sink(program, who, name), done.index is not None

    sink, is_changed = run(_within(config, f"sink {verb}", action))
    if as_json:
        print_json(sink.as_object())
    elif not is_changed:
        state = "not paused" if is_enabled else "paused already"
        typer.echo(f"The sink {sink.found.name} is {state}: nothing was changed.")
        if is_enabled and sink.status.failing_since is not None:
            notice(
                f"It fails, and is tried again by itself: to try at once, run `tfaudit sink pause "
                f"{sink.found.name}` and then `resume`."
            )
    else:
        lag = sink.status.lag
        waiting = f"{count_text(lag, 'entry waits', 'entries wait')}" if lag else "nothing waits"
        done = "goes on" if is_enabled else "is paused"
        typer.echo(f"The sink {sink.found.name} {done} at entry {sink.status.cursor}: {waiting}.")
