"""Checks a log from its static files alone, from a directory or over HTTP, and single receipts."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Final

from proxy.cli._losses import RECOVERED, Loss, loss_in, told
from proxy.cli._pruned import pruned_by
from proxy.cli._replay import NOTHING_PRUNED, Pruned
from proxy.cli._tile_tree import CHECKPOINT, Source, read_all, read_file
from proxy.cli._unknown_keys import could_not_tell, is_claimed
from proxy.cli._verification import (
    PRUNED,
    ROTATED,
    Advance,
    Findings,
    TrustedKeys,
    lost_keys,
    rotations_in,
)
from proxy.errors import InvalidInputError, MissingError, UnavailableError, VerificationError
from proxy.tlog.checkpoint import Checkpoint, parse, verify_checkpoint
from proxy.tlog.merkle import HASH_SIZE
from proxy.tlog.proof import (
    consistency_nodes,
    consistency_proof,
    root_hash,
    root_nodes,
    verify_consistency,
)
from proxy.tlog.receipt import Receipt, verify_receipt
from proxy.tlog.rotation import KeyHistory, Rotation
from proxy.tlog.tiles import (
    WIDTH,
    Bundle,
    Tile,
    fold,
    hash_of,
    require_whole,
    tile_of,
    tiles_of,
    unpack_entries,
)
from proxy.tlog.verify import LogVerifier

_AT_ONCE: Final = 8
"""Bundles that are asked for at a time, each with its tile."""


async def verify_tree(
    source: Source,
    keys: TrustedKeys,
    trusted: Sequence[str],
    since: str | None,
    advance: Advance,
) -> Findings:
    """Check the tree of a log's newest checkpoint, its entries, and each tile.

    Args:
        source: nothing it says is believed.
        keys: from outside; only the checkpoint keys count, as files hold no entry's signature.
        trusted: signed checkpoints kept elsewhere.
        since: a signed checkpoint kept elsewhere: what it covers is not read again, only that the
            log begins with it; None reads all.
        advance: told about each entry checked.

    Raises:
        MissingError: a file that the checkpoint promises is not there.
        VerificationError: the first thing that does not hold.
        UnavailableError: it could not be told.
        InvalidInputError: a checkpoint kept elsewhere is none.
    """
    note = await source.read(CHECKPOINT)
    kept = [*trusted, *([] if since is None else [since])]
    keys, history = await _follow(source, keys, note, kept)
    try:
        newest = verify_checkpoint(note, *keys.checkpoint)
    except (InvalidInputError, VerificationError) as error:
        raise VerificationError(f"The checkpoint does not hold. {error}", 0) from error
    verifier = LogVerifier(keys.entry, keys.checkpoint, trusted, history)
    start = 0
    if since is not None:
        start = (await _resume(source, verifier, since, newest)).size
    checked = _Levels(source, newest.size, start)
    until = await _first_entry(source, start, newest.size)
    await _pass_pruned(source, verifier, range(start, until), checked)
    pruned, lost = NOTHING_PRUNED, list[Loss | None]()
    begin = max(start, until)
    for first in range(begin - begin % WIDTH, newest.size, WIDTH * _AT_ONCE):
        numbers = range(first // WIDTH, min(first // WIDTH + _AT_ONCE, -(-newest.size // WIDTH)))
        tiles = [Tile(0, number, min(WIDTH, newest.size - number * WIDTH)) for number in numbers]
        for tile, hashes, entries in await asyncio.gather(*(_read(source, each) for each in tiles)):
            for place in range(max(0, begin - tile.first), tile.width):
                leaf = hashes[place * HASH_SIZE : (place + 1) * HASH_SIZE]
                verifier.add_entry(entries[place], leaf)
                if PRUNED in entries[place]:
                    pruned = pruned_by(tile.first + place, entries[place]) or pruned
                if RECOVERED in entries[place]:
                    lost.append(loss_in(tile.first + place, entries[place]))
                advance()
            await checked.add(tile, hashes)
    root = verifier.finish(note).root
    await checked.finish()
    _require_recorded(range(start, until), pruned)
    findings = Findings(entries=newest.size, root=root.hex() if newest.size else "")
    findings.checkpoints = 1 + len(list(trusted)) + (since is not None)
    findings.unchecked += [*lost_keys(history), *told(filter(None, lost))]
    findings.unchecked.append(
        "the signatures of single entries, which no tile holds; that of the checkpoint covers all"
    )
    if until > start:
        findings.pruned_until, findings.pruned_by = until, pruned.index
        findings.archive = pruned.archive
    if start:
        findings.unchecked.append(
            f"the first {start} entries, which the checkpoint given with --since covers"
        )
    return findings


def _require_recorded(missing: range, pruned: Pruned) -> None:
    """Pass when an entry of the log, which was checked, says of those that are missing why.

    Raises:
        MissingError: none does.
    """
    if missing and missing.stop > pruned.until:
        raise MissingError(
            f"The entries from {missing.start} to {missing.stop - 1} are missing, and no entry "
            "says that they were pruned.",
            missing.start,
        )


async def _first_entry(source: Source, start: int, size: int) -> int:
    """Return the index of the first entry from a start on that is not pruned.

    Only full bundles are pruned, and only from the first on (C2SP tlog-tiles, *Pruning*).
    """
    low, high = start // WIDTH, size // WIDTH
    if low == high or await _is_there(source, low):
        return start
    while low + 1 < high:
        middle = (low + high) // 2
        if await _is_there(source, middle):
            high = middle
        else:
            low = middle
    return high * WIDTH


async def _is_there(source: Source, number: int) -> bool:
    try:
        await source.read(Bundle(number).path)
    except MissingError:
        return False
    return True


async def _pass_pruned(
    source: Source, verifier: LogVerifier, indices: range, checked: "_Levels"
) -> None:
    """Give a verifier the leaf hashes of entries that are pruned, if any are."""
    if not indices:
        return
    for number in range(indices.start // WIDTH, indices.stop // WIDTH):
        tile = Tile(0, number)
        hashes = await read_file(source, tile)
        try:
            require_whole(tile, hashes)
        except InvalidInputError as error:
            raise VerificationError(str(error), tile.first) from error
        for place in range(max(0, indices.start - tile.first), WIDTH):
            verifier.add_pruned(hashes[place * HASH_SIZE : (place + 1) * HASH_SIZE])
        await checked.add(tile, hashes)
    # What proves them is the checkpoint, in the end.
    verifier.begin(verifier.root, "", "")


async def require_log(source: Source, address: str) -> None:
    """Pass when there is a log at all; without a checkpoint nothing is promised.

    Raises:
        UnavailableError: there is none, or it could not be told.
    """
    try:
        await source.read(CHECKPOINT)
    except MissingError as error:
        raise UnavailableError(
            f"there is no log at {address}: {error} Give the address of the server alone, as "
            "https://tfaudit.example.com"
        ) from error


async def require_claimed(source: Source, keys: TrustedKeys) -> None:
    """Pass when the checkpoint of static files names a key that is trusted, or is none at all.

    Raises:
        UnavailableError: neither a trusted key nor one that follows from it.
        VerificationError, MissingError: as ``verify_tree``.
    """
    note = await source.read(CHECKPOINT)
    if not is_claimed(note, keys.checkpoint):
        followed = (await followed_in_tiles(source, keys)).checkpoint
        if not is_claimed(note, followed):
            raise could_not_tell("the log", note, followed)


async def followed_in_tiles(source: Source, keys: TrustedKeys) -> TrustedKeys:
    """Return all keys that follow from these by the rotations in a log's static files.

    All entries are read for it.

    Raises:
        VerificationError, MissingError, UnavailableError: as ``verify_tree``.
    """
    try:
        return keys.follow(await _rotations(source, await source.read(CHECKPOINT)))[0]
    except InvalidInputError as error:
        raise VerificationError(f"The checkpoint does not hold. {error}", 0) from error


class Roots:
    """The roots that a log had, from its tiles; each is proved to have led to the newest.

    Args:
        source: of the tiles; nothing it says is believed.
        size: of the tree.
        root: of the tree, which was proved.
    """

    def __init__(self, source: Source, size: int, root: bytes) -> None:
        self._source = source
        self._size = size
        self._root = root
        self._tiles: dict[Tile, bytes] = {}

    async def at(self, size: int) -> bytes:
        """Return the root over the first so many entries, at most all.

        Raises:
            VerificationError: the tiles are not those that were proved.
            MissingError, UnavailableError: as ``read_file``.
        """
        of_root, of_growth = root_nodes(size), consistency_nodes(size, self._size)
        wanted = {tile_of(node, self._size) for node in (*of_root, *of_growth)}
        self._tiles |= await read_all(self._source, wanted - self._tiles.keys())
        try:
            hashes = [hash_of(node, self._tiles, self._size) for node in of_root]
            proof = [hash_of(node, self._tiles, self._size) for node in of_growth]
            root = root_hash(size, hashes)
            steps = consistency_proof(size, self._size, proof)
        except InvalidInputError as error:
            raise VerificationError(str(error), 0) from error
        verify_consistency(size, root, self._size, self._root, steps)
        return root


async def _follow(
    source: Source, keys: TrustedKeys, note: bytes, kept: Iterable[str]
) -> tuple[TrustedKeys, KeyHistory]:
    """Find the keys of all checkpoints; where one's is not a trusted one, by the rotations.

    They stand among the entries, which are read once more for it.

    Args:
        source: nothing it says is believed.
        keys: from outside.
        note: the newest checkpoint.
        kept: checkpoints from elsewhere.

    Raises:
        VerificationError: it is not a checkpoint, or a tile is not what its path says.
        MissingError: an entry bundle is not there.
        UnavailableError: it could not be told.
    """
    try:
        verify_checkpoint(note, *keys.checkpoint)
        for each in kept:
            verify_checkpoint(each, *keys.checkpoint)
        return keys.follow(())
    except InvalidInputError as error:
        raise VerificationError(f"The checkpoint does not hold. {error}", 0) from error
    except VerificationError:
        return keys.follow(await _rotations(source, note))


async def _rotations(source: Source, note: bytes) -> list[Rotation]:
    """Return the rotations among the entries that a checkpoint promises, which goes unchecked."""
    size = parse(note.decode("utf-8", "replace").rpartition("\n\n")[0] + "\n").size
    found: list[tuple[int, bytes]] = []
    for first in range(await _first_entry(source, 0, size) // WIDTH * WIDTH, size, WIDTH):
        tile, _, entries = await _read(source, Tile(0, first // WIDTH, min(WIDTH, size - first)))
        found += [(tile.first + place, entry) for place, entry in enumerate(entries)]
    return rotations_in(each for each in found if ROTATED in each[1])


async def _resume(
    source: Source, verifier: LogVerifier, since: str, newest: Checkpoint
) -> Checkpoint:
    """Find the tree of an older checkpoint in the tiles of the newest one."""
    size = verify_checkpoint(since, *verifier.checkpoint_verifiers).size
    if size > newest.size:
        raise MissingError(
            f"The log has {newest.size} entries, the checkpoint given with --since promises "
            f"{size}: its tail was cut, or it was put back to an older state.",
            newest.size,
        )
    nodes = root_nodes(size)
    tiles = await read_all(source, {tile_of(node, newest.size) for node in nodes})
    try:
        hashes = [hash_of(node, tiles, newest.size) for node in nodes]
    except InvalidInputError as error:
        raise VerificationError(str(error), 0) from error
    return verifier.resume(since, b"".join(hashes))


async def _read(source: Source, tile: Tile) -> tuple[Tile, bytes, list[bytes]]:
    """Return a tile of leaf hashes with its entries.

    Raises:
        VerificationError: one of them is not what its path says.
    """
    bundle = Bundle(tile.number, tile.width)
    hashes, packed = await asyncio.gather(read_file(source, tile), read_file(source, bundle))
    try:
        require_whole(tile, hashes)
        return tile, hashes, unpack_entries(bundle, packed)
    except InvalidInputError as error:
        raise VerificationError(str(error), tile.first) from error


class _Levels:
    """Makes the tiles above level 0 anew and compares them with those that are served.

    Args:
        source: of the tiles.
        size: of the tree.
        start: from which entry on tiles of level 0 are added.
    """

    def __init__(self, source: Source, size: int, start: int) -> None:
        self._source = source
        self._wanted = [tile for tile in tiles_of(size, start - start % WIDTH) if tile.level]
        self._roots: dict[tuple[int, int], bytes] = {}

    async def add(self, tile: Tile, hashes: bytes) -> None:
        """Take a tile of level 0, which was checked."""
        if tile.width == WIDTH:
            self._roots[0, tile.number] = fold(hashes)

    async def finish(self) -> None:
        """Compare every tile above.

        Raises:
            MissingError: one is not there.
            VerificationError: one is not made of those below.
            UnavailableError: one could not be read.
        """
        for tile in self._wanted:
            content = await read_file(self._source, tile)
            made = [
                self._roots.get((tile.level - 1, number))
                for number in range(tile.first, tile.first + tile.width)
            ]
            served = [content[at : at + HASH_SIZE] for at in range(0, len(content), HASH_SIZE)]
            # Below the start nothing was made; what is not compared is no part of what was proved.
            if len(served) != tile.width or any(
                mine is not None and mine != each for mine, each in zip(made, served, strict=True)
            ):
                first = tile.first << 8 * tile.level
                raise VerificationError(
                    f"The tile {tile.path} is not made of those below it: it was changed.", first
                )
            if tile.width == WIDTH:
                self._roots[tile.level, tile.number] = fold(content)


def verify_one(receipt: Receipt, keys: TrustedKeys, trusted: Iterable[str]) -> Checkpoint:
    """Check a receipt, and hold its tree against checkpoints kept elsewhere of the same size.

    Returns:
        What the receipt's checkpoint promises.

    Raises:
        VerificationError: it proves nothing.
        UnavailableError: it names none of the keys.
        InvalidInputError: it can't be checked.
    """
    if not is_claimed(receipt.checkpoint, keys.checkpoint):
        raise could_not_tell("the receipt", receipt.checkpoint, keys.checkpoint)
    checkpoint = verify_receipt(receipt, keys.checkpoint)
    for note in trusted:
        other = verify_checkpoint(note, *keys.checkpoint)
        if other.size != checkpoint.size:
            raise InvalidInputError(
                f"a receipt alone does not show how the log of {checkpoint.size} entries and that "
                f"of {other.size} belong together: verify the data directory, the tiles or the "
                "server with this checkpoint"
            )
        if other.root != checkpoint.root:
            raise VerificationError(
                f"The receipt is of another log than the checkpoint kept elsewhere: both have "
                f"{checkpoint.size} entries, and not the same.",
                receipt.index,
            )
    return checkpoint
