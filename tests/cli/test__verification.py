"""Tests of proxy.cli._verification: what can't be seen from the command line of one process."""

import asyncio
from contextlib import suppress
from pathlib import Path

from proxy.cli._common import settings
from proxy.cli._verification import TrustedKeys, verify_store
from proxy.contracts import Store
from proxy.program import open_program
from proxy.storage.reader import SQLiteReader
from tests.samples import a_draft

ABOVE_A_PAGE = 1_050
"""Checkpoints; the store gives a thousand at a time."""


async def commit(store: Store) -> None:
    """Commit one entry, and with it a checkpoint."""
    await store.write(lambda tx: tx.append(a_draft()))


async def test_a_clean_log_holds_while_a_server_writes(data: Path) -> None:
    """Whatever is committed after the start is left for the next time."""
    async with open_program(settings(data, None), create=False) as program:
        for _ in range(ABOVE_A_PAGE):
            await commit(program.store)

        async def write_on() -> None:
            while True:
                await commit(program.store)

        writer = asyncio.create_task(write_on())
        try:
            async with SQLiteReader(program.config.data.database) as reader:
                keys = TrustedKeys.of_ring(program.keys)
                findings = await verify_store(reader, keys, (), lambda: None)
        finally:
            writer.cancel()
            with suppress(asyncio.CancelledError):
                await writer
        assert ABOVE_A_PAGE <= findings.entries < await program.store.size()
