"""Tells what secrets lie in a state, where, and why it is thought so; never a secret itself."""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from proxy.tfstate.diff import Changes, Path, Value, attributes, decode, objects_in, outputs_in
from proxy.tfstate.document import Document
from proxy.tfstate.judge import (
    BY_FORMAT,
    BY_POLICY,
    DEPTH,
    MARKED,
    NAMED,
    OUTPUT,
    TOO_DEEP,
    Judge,
    Walk,
    flat_level,
    is_covered,
    subject_of,
)
from proxy.tfstate.learning import Learner
from proxy.tfstate.names import is_secret_name
from proxy.tfstate.policy import STANDARD, Policy
from proxy.tfstate.rendering import Renderer
from proxy.tfstate.secrets import MOST_SECRETS, SUBSTRING_CHARACTERS, Hunts, Secrets

WHYS: Final = {
    MARKED: "the provider's schema says so",
    NAMED: "its name says so",
    BY_POLICY: "the policy says so",
    TOO_DEEP: "it lies too deep in other texts to be looked into",
    BY_FORMAT: "it lies in a Kubernetes Secret",
    "url-password": "a password in a URL",
    "sql-password": "a password in SQL",
    "command-line": "an option of a command is a secret",
    "http-authorization": "a header that authorizes",
    "service-account": "the key of a service account",
    "kubeconfig": "credentials in a kubeconfig",
    "docker-config": "credentials of a Docker registry",
    "cloud-init": "a password for cloud-init",
    "netrc": "a password in .netrc",
    "pgpass": "a password in .pgpass",
    "htpasswd": "a hash in .htpasswd",
    "too-many": "the rest of a text with too many values",
}
_STATED: Final = "Terraform marks it"
_COPY: Final = "the same as a secret elsewhere in the state"
_MOST_COMPARED: Final = 256


class Finding(NamedTuple):
    """A secret.

    Attributes:
        address: of the object or output that holds it, its keys redacted.
        path: of the attribute, and on into the text that carries it; keys redacted.
        why: the reason, in words.
    """

    address: str
    path: str
    why: str


def scan(document: Document, policy: Policy = STANDARD) -> list[Finding]:
    """Find all secrets of a state, in its order; an encrypted one shows none.

    Args:
        document: the state.
        policy: what the configuration wants hidden and shown.
    """
    if document.kind == "encrypted":
        return []
    judge = Judge(policy)
    texts = Learner(judge).learn(None, document, Changes()).texts
    few = len(texts) <= MOST_SECRETS
    secrets = Hunts().secrets(b"", texts) if few else Secrets(texts, ())
    renderer = Renderer(Changes(), b"", judge, secrets, frozenset(), "names-only")
    return list(dict.fromkeys(_findings(document, judge, secrets, renderer)))


def matched(document: Document, policy: Policy) -> frozenset[str]:
    """Return the patterns of places, of those of a policy, that match anything in a state.

    Args:
        document: the state; an encrypted one matches nothing.
        policy: whose ``hidden`` and ``readable`` are asked.
    """
    if document.kind == "encrypted" or not (policy.hidden or policy.readable):
        return frozenset()
    places: set[tuple[str, Path]] = set()
    for address, instance in objects_in(document.kind, document.resources).items():
        if policy.speaks_of(address.type):
            for path in _paths(attributes(instance)):
                keys = tuple(str(path[0]).split(".")) if instance.flat else path
                places.add((address.type, keys))
    slices = (document.outputs,) if document.kind == "v4" else document.resources
    for slice_ in slices if policy.speaks_of(OUTPUT.type) else ():
        for (_, name), output in outputs_in(document.kind, slice_).items():
            places.update((OUTPUT.type, path) for path in _paths({name: decode(output.value)}))
    alone = {text: Policy(hidden=(text,)) for text in policy.hidden}
    alone |= {text: Policy(readable=(text,)) for text in policy.readable if text not in alone}
    return frozenset(
        text
        for text, pattern in alone.items()
        if any(pattern.verdict(type_, path) is not None for type_, path in places)
    )


def _paths(value: Value) -> Iterator[Path]:
    """The paths of all that has nothing below it, elements of lists as one."""
    waiting: list[tuple[Path, Value, int]] = [((), value, 0)]
    while waiting:
        path, inner, depth = waiting.pop()
        if isinstance(inner, dict) and inner and depth <= DEPTH:
            waiting += [((*path, name), each, depth + 1) for name, each in inner.items()]
        elif isinstance(inner, list) and inner and depth <= DEPTH:
            waiting += [((*path, 0), each, depth + 1) for each in inner]
        elif path:
            yield path


def _findings(
    document: Document, judge: Judge, secrets: Secrets, renderer: Renderer
) -> Iterator[Finding]:
    """The findings of one object after the other."""
    found: list[tuple[Path, Value, str]] = []
    walk = Walk(judge, lambda path, value, why: found.append((path, value, why)))
    for address, instance in objects_in(document.kind, document.resources).items():
        subject = subject_of(address.type, address.mode, instance)
        walk.object(subject, instance)
        reasons = [
            (path, _STATED if why is MARKED and is_covered(subject.stated, path, value) else why)
            for path, value, why in _told_once(found)
        ]
        found.clear()
        shown = renderer.address(address)
        root = attributes(instance)
        reasons += _copies(root, secrets, reasons)
        for path, why in reasons:
            where = _where(path, renderer)
            if instance.flat:
                key = str(path[0])
                level = flat_level(judge, subject, key, (root,))
                where = renderer.flat_path(key, level) + _where(("", *path[1:]), renderer)
            yield Finding(shown, where, _worded(why))
    slices = (document.outputs,) if document.kind == "v4" else document.resources
    for slice_ in slices:
        for (module, name), output in outputs_in(document.kind, slice_).items():
            value = decode(output.value)
            walk.output(name, value, sensitive=output.sensitive)
            reasons = [
                (path, _STATED if why is MARKED else why) for path, _, why in _told_once(found)
            ]
            found.clear()
            reasons += _copies({name: value}, secrets, reasons)
            prefix = f"{renderer.address_text(module)}." if module else ""
            shown = f"{prefix}{OUTPUT.type}.{renderer.name(name)}"
            for path, why in reasons:
                yield Finding(shown, _where(("value", *path[1:]), renderer), _worded(why))


def _where(path: Path, renderer: Renderer) -> str:
    """A path; below a secret's name, a key that is no plain one may be a secret itself."""
    inherited = any(isinstance(step, str) and is_secret_name(step) for step in path[:-1])
    return renderer.path(path, inherited=inherited)


def _worded(why: str) -> str:
    """A reason in words, behind the formats of the texts in which the secret lies."""
    carrier, colon, reason = why.rpartition(": ")
    return f"{carrier}{colon}{WHYS.get(reason, reason)}"


def _told_once(found: Iterable[tuple[Path, Value, str]]) -> Iterator[tuple[Path, Value, str]]:
    """What was found, without what a place further inside already told of the same secret."""
    inside: dict[Path, list[str]] = {}
    for path, value, why in found:
        if not _says_something(value):
            continue
        if isinstance(value, str):
            told = inside.get(path, ())
            if any(
                value in inner or (len(inner) >= SUBSTRING_CHARACTERS and inner in value)
                for inner in told[:_MOST_COMPARED]
            ):
                continue
            for length in range(len(path) + 1):
                inside.setdefault(path[:length], []).append(value)
        yield path, value, why


def _copies(
    root: Value, secrets: Secrets, known: list[tuple[Path, str]]
) -> Iterator[tuple[Path, str]]:
    """The places that hold a secret of elsewhere, and that nothing else told."""
    told = {path for path, _ in known}
    for path, text in _texts(root, (), 0):
        if any(path[:length] in told for length in range(len(path) + 1)):
            continue
        if any(inner[: len(path)] == path for inner in told):
            continue
        if text in secrets or secrets.spans(text):
            yield path, _COPY


def _texts(value: Value, path: Path, depth: int) -> Iterator[tuple[Path, str]]:
    """All texts and numbers in a value, with their paths."""
    if isinstance(value, dict) and depth <= DEPTH:
        for name, inner in value.items():
            yield from _texts(inner, (*path, name), depth + 1)
    elif isinstance(value, list) and depth <= DEPTH:
        for index, inner in enumerate(value):
            yield from _texts(inner, (*path, index), depth + 1)
    elif isinstance(value, str):
        yield path, value
    elif isinstance(value, int) and not isinstance(value, bool):
        yield path, str(value)


def _says_something(value: Value) -> bool:
    """Whether there is anything to be kept secret: not an empty text or list."""
    return value not in ("", [], {}, None)
