"""A process between Redis and one worker that drops replies: ``python -m benchmarks.chaos.proxy PORT REDIS_PORT``.

On SIGUSR1 each open connection loses the next thing that Redis says on it, and is closed. Redis has done what it was
asked; whoever asked can't know, and a client library asks again. That is how one append became two.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys

_HOST = "127.0.0.1"
_CHUNK = 65536


class Proxy:
    """Passes everything on until it is told to drop."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._open: set[asyncio.StreamWriter] = set()
        self._doomed: set[asyncio.StreamWriter] = set()

    def drop(self) -> None:
        """Drop the next reply on every connection that is open now."""
        self._doomed |= self._open

    async def serve(self, caller_out: asyncio.StreamReader, caller_in: asyncio.StreamWriter) -> None:
        """One connection, from its opening to its end."""
        try:
            redis_out, redis_in = await asyncio.open_connection(_HOST, self._target)
        except OSError:
            caller_in.close()
            return
        self._open.add(caller_in)
        pumps = [
            asyncio.create_task(self._pump(caller_out, redis_in)),
            asyncio.create_task(self._pump(redis_out, caller_in)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._open.discard(caller_in)
            self._doomed.discard(caller_in)
            for pump in pumps:
                pump.cancel()
            for end in (redis_in, caller_in):
                end.close()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(_CHUNK):
                if sink in self._doomed:
                    return
                sink.write(data)
                await sink.drain()


async def _main(port: int, target: int) -> None:
    proxy = Proxy(target)
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGUSR1, proxy.drop)
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    server = await asyncio.start_server(proxy.serve, _HOST, port)
    await stop.wait()
    server.close()


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]), int(sys.argv[2])))
