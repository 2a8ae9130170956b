"""Tells what does not hold from what no trusted key ever signed, so that nothing can be told."""

from collections.abc import Collection

from proxy.errors import InvalidInputError, UnavailableError
from proxy.tlog.note import NoteVerifier, split_note


def is_claimed(note: bytes | str, verifiers: Collection[NoteVerifier]) -> bool:
    """Tell whether a note names one of the keys as its signer, rightly or not.

    So does one that no log made: that is no note, or names no signer of its own log's name.

    Args:
        note: from anybody.
        verifiers: all keys that are trusted.
    """
    try:
        text, lines = split_note(note)
    except InvalidInputError:
        return True
    known = {(each.name, each.key_id) for each in verifiers}
    own = [line for line in lines if line.name == text.split("\n", 1)[0]]
    return not own or any((line.name, line.key_id) in known for line in lines)


def could_not_tell(
    what: str, note: bytes | str, verifiers: Collection[NoteVerifier]
) -> UnavailableError:
    """Return the error of a checkpoint that names none of the trusted keys, and what to do.

    Args:
        what: was verified.
        note: its checkpoint.
        verifiers: all keys that are trusted.
    """
    text, _ = split_note(note)
    origin, names = text.split("\n", 1)[0], sorted({each.name for each in verifiers})
    if origin not in names:
        return UnavailableError(
            f"could not tell whether {what} holds: it is of the log {origin[:200]!r}, and the keys "
            f"that are trusted here are of {', '.join(names)}. Give that log's public keys with "
            "--key"
        )
    return UnavailableError(
        f"could not tell whether {what} holds: it is signed by none of the keys that are trusted "
        "here. If the log's key was rotated, give all of its keys, as `tfaudit key export-public "
        "--json` prints them: what was made before a rotation can't show the way to the next key. "
        "Else it was not made by this log"
    )
