"""The one gate, with its record: whoever is refused is on record before the refusal is told."""

from proxy.access import Caller, Permission, require
from proxy.audit_log import draft
from proxy.contracts import Store
from proxy.errors import ForbiddenError
from proxy.state_entries import refused


async def gate(
    store: Store, caller: Caller, permission: Permission, workspace: str | None = None
) -> None:
    """Pass when the caller may; otherwise commit ``access.denied`` and raise.

    Raises:
        ForbiddenError: with the entry's index.
        UnavailableError: the entry could not be committed.
    """
    try:
        require(caller.principal, permission, workspace)
    except ForbiddenError as error:
        refusal = refused(
            "access.denied", "denied", error, caller, workspace, permission=permission.value
        )
        error.audit_index = (await store.write(lambda tx: tx.append(refusal))).index
        raise


async def record_misdirected(store: Store, caller: Caller, message: str, status: int) -> int | None:
    """Commit ``access.denied`` for a request that nothing here can be asked with.

    Args:
        store: keeps the entry.
        caller: somebody known.
        message: what was wrong with the address, the method or the parameters.
        status: of the answer.

    Returns:
        The entry's index.

    Raises:
        UnavailableError: the entry could not be committed.
    """
    entry = draft("access.denied", "error", message, caller, status)
    return (await store.write(lambda tx: tx.append(entry))).index
