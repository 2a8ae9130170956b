"""``tfaudit scan``: tells which secrets lie in a state, for those who want to get them out."""

import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from proxy.access import parse_workspace
from proxy.cli._common import (
    REFUSED,
    UNKNOWN,
    ConfigOption,
    DataOption,
    JsonOption,
    caller,
    notice,
    opened,
    run,
    settings,
)
from proxy.cli._output import clean, count_text, print_json, print_table
from proxy.errors import InvalidInputError, NotFoundError, TfauditError

if TYPE_CHECKING:
    from proxy.config import Config
    from proxy.program import Program
    from proxy.tfstate.policy import Policy
    from proxy.tfstate.scan import Finding

_STDIN: Final = "-"


@dataclass(slots=True)
class _Scanned:
    """What was found in one state.

    Attributes:
        source: ``file`` or ``workspace``.
        name: which.
        findings: none when it could not be told.
        untold: why it could not be told; empty when it could.
        matched: patterns of the policy that matched anything; nothing of a file.
    """

    source: str
    name: str
    findings: "list[Finding]" = field(default_factory=list)
    untold: str = ""
    matched: frozenset[str] = frozenset()


def scan(
    *,
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="[FILE|WORKSPACE]",
            help="A state file (- is the standard input), or a workspace's newest state.",
            show_default=False,
        ),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="The newest state of every workspace.")
    ] = False,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell which secrets lie in a state: what kind, in which attribute, never the value.

    A file needs no data directory. Scanning a workspace is a read, and so an entry of the log.

    Exit codes: 0 none found, 1 found, 2 could not tell.
    """
    if (target is None) != every:
        raise InvalidInputError("name a state file or a workspace, or give --all")
    loaded = settings(data, config)
    policy = loaded.redaction.policy()
    if target is not None and (target == _STDIN or Path(target).is_file()):
        scanned = [_scan_file(target, policy)]
    else:
        scanned, policy = run(_scan_workspaces(target, loaded))
    if as_json:
        print_json({"scanned": [_as_object(each) for each in scanned]})
    else:
        _print(scanned)
    for each in scanned:
        if each.untold:
            notice(f"tfaudit: {each.name} could not be scanned: {each.untold}")
    if every:
        _tell_unmatched(scanned, policy)
    if any(each.findings for each in scanned):
        raise typer.Exit(REFUSED)
    if any(each.untold for each in scanned):
        raise typer.Exit(UNKNOWN)


def _scan_file(target: str, policy: "Policy") -> _Scanned:
    from proxy.state_service import findings_in  # noqa: PLC0415 - quick start

    body = sys.stdin.buffer.read() if target == _STDIN else Path(target).read_bytes()
    scanned = _Scanned("file", target)
    try:
        scanned.findings = findings_in(body, policy)
    except TfauditError as error:
        scanned.untold = str(error)
    return scanned


async def _scan_workspaces(target: str | None, config: "Config") -> "tuple[list[_Scanned], Policy]":
    """Scan one workspace, or all that have a state, by the policy in force.

    Raises:
        InvalidInputError: there is no such workspace, and no such file.
    """
    if target is not None:
        _require_name(target)
    async with opened(config) as program:
        names = [target] if target is not None else await _names(program)
        return [await _scan_workspace(program, name) for name in names], program.policy


async def _scan_workspace(program: "Program", name: str) -> _Scanned:
    scanned = _Scanned("workspace", name)
    try:
        scanned.findings, scanned.matched = await program.states.scan(caller("scan"), name)
    except NotFoundError as error:
        # Not as such: its exit code would say that secrets were found.
        raise InvalidInputError(f"there is no file {name}, and {error}") from error
    except TfauditError as error:
        scanned.untold = str(error)
    return scanned


async def _names(program: "Program") -> list[str]:
    found = await program.store.workspaces()
    return [
        workspace.name
        for workspace in found
        if workspace.head is not None and workspace.record.deleted is None
    ]


def _require_name(target: str) -> None:
    try:
        parse_workspace(target)
    except InvalidInputError:
        raise InvalidInputError(f"there is no file {target}") from None


def _print(scanned: list[_Scanned]) -> None:
    found = sum(len(each.findings) for each in scanned)
    if found:
        print_table(
            ("WHERE", "ADDRESS", "PATH", "KNOWN BY"),
            (
                (each.name, finding.address, finding.path, finding.why)
                for each in scanned
                for finding in each.findings
            ),
        )
    told = [each for each in scanned if not each.untold]
    if not told:
        return
    states = count_text(len(told), "state")
    typer.echo(f"Found {count_text(found, 'secret')} in {states}{':' if found else '.'}", err=True)
    # Without the formats of the texts that carry them: "json: its name says so".
    reasons = Counter(
        finding.why.rpartition(": ")[2] for each in scanned for finding in each.findings
    )
    width = len(str(max(reasons.values(), default=0)))
    for reason, number in reasons.most_common():
        typer.echo(f"  {number:>{width}}  {clean(reason)}", err=True)


def _tell_unmatched(scanned: list[_Scanned], policy: "Policy") -> None:
    """Tell which patterns matched nothing anywhere: perhaps they say what nobody meant."""
    if any(each.untold for each in scanned) or not scanned:
        return
    known = frozenset().union(*(each.matched for each in scanned))
    for section, patterns in (("hidden", policy.hidden), ("readable", policy.readable)):
        for pattern in patterns:
            if pattern not in known:
                notice(
                    f"The pattern {pattern} of `{section}` matched nothing in any newest state: "
                    "is it TYPE.PATH, and no address?"
                )


def _as_object(scanned: _Scanned) -> dict[str, object]:
    return {
        scanned.source: scanned.name,
        "findings": [
            {"class": finding.why, "address": finding.address, "path": finding.path}
            for finding in scanned.findings
        ],
        "untold": scanned.untold or None,
    }
