"""What people's passwords and sessions must be, by what the entries of the log say happened."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from proxy.access import is_act, proof_of
from proxy.cli._comparing import is_moment, printed
from proxy.errors import VerificationError


@dataclass(frozen=True, slots=True)
class _Password:
    """What the newest entry of a password says of it."""

    index: int
    sha256: str
    time: str


@dataclass(slots=True)
class _Session:
    """What entries say of a session.

    Attributes:
        index: of the entry of its login.
        columns: what the table must have of it.
        created: time of that entry.
        used: time of the newest entry of what was done in it.
        ended: index and time of the entry that ended it; None was not ended.
    """

    index: int
    columns: dict[str, object]
    created: str
    used: str
    ended: tuple[int, str] | None = None


@dataclass(slots=True)
class PeopleReplay:
    """What follows from the entries so far."""

    _names: dict[str, str] = field(default_factory=dict)
    _passwords: dict[str, _Password] = field(default_factory=dict)
    _sessions: dict[str, _Session] = field(default_factory=dict)
    _last_time: str = ""

    def note(self, index: int, entry: Mapping[str, Any]) -> None:
        """Follow the next entry of a success.

        Raises:
            LookupError, TypeError, ValueError, AttributeError: it does not say what it must.
        """
        time = self._last_time = entry["time"]
        if entry.get("event") == "auth.login":
            self._note_login(index, entry)
        _, session_id = proof_of(entry["actor"])
        if is_act(entry) and session_id is not None and session_id in self._sessions:
            self._sessions[session_id].used = time
        for session_id in entry.get("ended_sessions", ()):
            ended = self._sessions[session_id]
            ended.ended = ended.ended or (index, time)
        if "password" in entry:
            said = entry["password"]
            self._passwords[said["principal"]] = _Password(index, said["sha256"], time)
        if "object" in entry and entry["object"]["kind"] == "principal":
            self._note_principal(entry["object"])

    def _note_login(self, index: int, entry: Mapping[str, Any]) -> None:
        said = entry["session"]
        columns = {
            "principal": entry["actor"]["id"],
            "expires": said["expires"],
            "digest": bytes.fromhex(said["sha256"]),
        }
        time = entry["time"]
        self._sessions[said["id"]] = _Session(index, columns, time, time)

    def _note_principal(self, said: Mapping[str, Any]) -> None:
        self._names[said["id"]] = said["name"]
        if (said["after"] or {}).get("kind") != "person":
            # See directory_service: whoever is no person, or is no more, has no password.
            self._passwords.pop(said["id"], None)

    def check_passwords(self, rows: Iterable[Sequence[object]]) -> None:
        """Compare people's passwords (principal, hash, changed) with those that were set.

        Raises:
            VerificationError: naming the principal and the entry that says something else of it.
        """
        left = dict(self._passwords)
        for principal, hashed, changed in rows:
            password = left.pop(str(principal), None)
            whose = self._name_of(str(principal))
            if password is None:
                raise VerificationError(
                    f"The password of {whose} has no entry in the log: it was put there behind its "
                    "back."
                )
            digest = sha256(str(hashed).encode("utf-8", "replace")).hexdigest()
            if digest != password.sha256 or not is_moment(changed, password.time):
                raise VerificationError(
                    f"The password of {whose} is not the one that entry {password.index} recorded.",
                    password.index,
                )
        for principal, password in left.items():
            raise VerificationError(
                f"The password of {self._name_of(principal)} that entry {password.index} recorded "
                "is gone from the store.",
                password.index,
            )

    def check_sessions(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Compare the sessions of people, by column, with their logins and what ended them.

        One that expired may be gone: the store forgets those.

        Raises:
            VerificationError: naming the session and the entry that says something else of it.
        """
        left = dict(self._sessions)
        for row in rows:
            session = left.pop(row["id"], None)
            if session is None:
                raise VerificationError(
                    f"The session {printed(row['id'])} of {self._name_of(str(row['principal']))} "
                    "has no login in the log: it was put there behind its back."
                )
            self._check_session(row, session)
        for session_id, session in left.items():
            if str(session.columns["expires"]) > self._last_time:
                raise VerificationError(
                    f"The session {session_id} that entry {session.index} began is gone from the "
                    "store.",
                    session.index,
                )

    def _check_session(self, row: Mapping[str, Any], session: _Session) -> None:
        whose = f"The session {row['id']} of {self._name_of(str(session.columns['principal']))}"
        for column, said in session.columns.items():
            if row[column] != said:
                raise VerificationError(
                    f"{whose}: its {column} is not what entry {session.index} recorded.",
                    session.index,
                )
        if not is_moment(row["created"], session.created):
            raise VerificationError(
                f"{whose} did not begin when entry {session.index} recorded it.", session.index
            )
        if not str(row["seen"]) <= session.used:
            raise VerificationError(
                f"{whose}: its last use is not one that is on record.", session.index
            )
        if session.ended is None:
            if row["ended"] is not None:
                raise VerificationError(f"{whose} was ended, and no entry says so.", session.index)
            return
        index, time = session.ended
        if not is_moment(row["ended"], time):
            raise VerificationError(f"{whose} is not ended as entry {index} recorded.", index)

    def _name_of(self, principal_id: str) -> str:
        return self._names.get(principal_id) or str(printed(principal_id))
