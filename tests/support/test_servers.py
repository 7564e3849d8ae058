"""The servers of the tests themselves."""

from __future__ import annotations

import asyncio
import gc
import socket
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.support.servers import thread


def test_a_server_leaves_no_transport_behind() -> None:
    async def flood(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(bytes(2**24))  # more than the socket takes of a peer that waits
        writer.close()
        flooded.set()

    @asynccontextmanager
    async def listen() -> AsyncIterator[asyncio.Server]:
        async with await asyncio.start_server(flood, "127.0.0.1", 0) as server:
            peer = await asyncio.to_thread(
                socket.create_connection, server.sockets[0].getsockname()
            )
            peers.append(peer)
            await flooded.wait()
            yield server

    flooded = asyncio.Event()
    peers: list[socket.socket] = []
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        with thread(listen):
            pass
        gc.collect()
    peers[0].close()
    assert not [str(each.message) for each in said]
