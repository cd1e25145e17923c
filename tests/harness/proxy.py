"""A TCP proxy on loopback whose faults are switched while connections are open.

Modes, set by the method of that name: `pass_`, `refuse` (the port is closed, open connections reset),
`deaf` (accepts, reads nothing, answers nothing), `freeze` (open connections stop moving, new ones are
deaf), `drip` (the server's bytes arrive at a given pace), `reset` (every connection, open or new, ends with
RST), `half_close` (the server's side of the open connections ends with FIN, the client may go on writing),
`cut_after` (RST after n more bytes from the server).
"""

from __future__ import annotations

import asyncio
import gc
import socket
import struct
import threading
import warnings
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

from tests.harness import ports

Mode = Literal["pass", "refuse", "deaf", "freeze", "drip", "reset", "half_close", "cut_after"]
T = TypeVar("T")


class Proxy:
    """`with Proxy(pg.port) as proxy:` and connect to `proxy.port`; `proxy.freeze()` and the like return once in force.

    `accepted` counts connections since the start, `open_connections` those there are now.
    """

    def __init__(self, upstream_port: int, *, upstream_host: str = "127.0.0.1") -> None:
        self.upstream = (upstream_host, upstream_port)
        self.accepted = 0
        self._claim = ports.claim()
        self.port = self._claim.number
        self._mode: Mode = "pass"
        self._pace = 0.0
        self._budget = 0
        self._server: asyncio.Server | None = None
        self._clients: dict[asyncio.StreamWriter, asyncio.Task[None] | None] = {}
        self._loop = asyncio.new_event_loop()
        self._moving = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self._run(self._listen())
        self.pass_()

    # -- modes -------------------------------------------------------------------------------------

    @property
    def mode(self) -> Mode:
        return self._mode

    def pass_(self) -> None:
        """Forward everything. Connections frozen before go on where they were."""
        self._set("pass")

    def refuse(self) -> None:
        self._set("refuse")

    def deaf(self) -> None:
        self._set("deaf")

    def freeze(self) -> None:
        self._set("freeze")

    def drip(self, bytes_per_second: float) -> None:
        self._pace = bytes_per_second
        self._set("drip")

    def reset(self) -> None:
        self._set("reset")

    def half_close(self) -> None:
        self._set("half_close")

    def cut_after(self, count: int) -> None:
        """Each connection ends with RST once `count` more bytes of the server have gone through the proxy."""
        self._budget = count
        self._set("cut_after")

    # -- life --------------------------------------------------------------------------------------

    @property
    def open_connections(self) -> int:
        return len(self._clients)

    def url(self, original: str) -> str:
        """`original` (a URL of the server behind) with this proxy's port in place of the server's."""
        return original.replace(f":{self.upstream[1]}", f":{self.port}", 1)

    def close(self) -> None:
        if self._loop.is_closed():
            return
        self._run(self._shut())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
        with warnings.catch_warnings():
            # A peer that came in the last moment is a transport that the loop no longer closes; its end is ours.
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()
        self._claim.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- in the loop's thread ----------------------------------------------------------------------

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def _set(self, mode: Mode) -> None:
        self._run(self._switch(mode))

    async def _switch(self, mode: Mode) -> None:
        self._mode = mode
        (self._moving.clear if mode in ("deaf", "freeze") else self._moving.set)()
        if mode == "refuse":
            await self._unlisten()
        else:
            await self._listen()
        if mode in ("refuse", "reset"):
            self._for_each(_abort)
        elif mode == "half_close":
            self._for_each(_end_writing)
        elif mode == "pass":
            # a connection accepted while deaf has met nobody: it goes on to the server now
            self._moving.set()

    def _for_each(self, act: Callable[[asyncio.StreamWriter], None]) -> None:
        for client in list(self._clients):
            act(client)

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(
                self._accept, "127.0.0.1", self.port, reuse_address=True, backlog=128
            )

    async def _unlisten(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()

    async def _shut(self) -> None:
        await self._unlisten()
        self._mode = "refuse"
        # Cancelled are our clients alone. A connection that the kernel has just handed over is a task that ends by
        # itself; cancelled before its first step it would close nothing.
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            self._for_each(_abort)
            for task in self._clients.values():
                if task is not None:
                    task.cancel()
            await asyncio.wait(others, timeout=0.1)
        for _ in range(3):
            await asyncio.sleep(0)  # lets the transports say goodbye before the loop closes

    async def _accept(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self._clients[client] = asyncio.current_task()
        server: asyncio.StreamWriter | None = None
        try:
            if self._mode in ("reset", "refuse"):
                _abort(client)
                return
            await self._moving.wait()
            answers, server = await asyncio.open_connection(*self.upstream)
            async with asyncio.TaskGroup() as both:
                both.create_task(self._requests(reader, server))
                both.create_task(self._answers(answers, client))
        except* (OSError, asyncio.CancelledError):
            _abort(client)  # the server is gone, or one side reset: the other side hears RST too
        finally:
            for writer in (client, server):
                if writer is not None:
                    writer.close()
            self._clients.pop(client, None)

    async def _requests(self, reader: asyncio.StreamReader, server: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            await self._moving.wait()
            server.write(data)
            await server.drain()
        if server.can_write_eof():
            server.write_eof()

    async def _answers(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        sent_in_cut = 0
        while data := await reader.read(65536):
            await self._moving.wait()
            while data:
                await self._moving.wait()
                piece = data
                if self._mode == "drip":
                    piece = data[: max(1, int(self._pace / 20))]
                    await asyncio.sleep(len(piece) / self._pace)
                elif self._mode == "cut_after":
                    piece = data[: self._budget - sent_in_cut]
                    sent_in_cut += len(piece)
                elif self._mode == "half_close":
                    break  # the client has been told that nothing more comes
                if piece:
                    client.write(piece)
                    await client.drain()
                if self._mode == "cut_after" and sent_in_cut >= self._budget:
                    _abort(client, flush=True)
                    raise ConnectionResetError("cut")
                data = data[len(piece) :]
        _end_writing(client)


def _abort(writer: asyncio.StreamWriter, *, flush: bool = False) -> None:
    """End with RST. `flush`: what was written has left for the peer's kernel, which may still drop it unread."""
    sock = writer.get_extra_info("socket")
    if sock is not None and not writer.transport.is_closing():
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if flush and isinstance(writer.transport, asyncio.WriteTransport):
            writer.transport.close()
        else:
            writer.transport.abort()


def _end_writing(writer: asyncio.StreamWriter) -> None:
    if writer.can_write_eof() and not writer.is_closing():
        writer.write_eof()
