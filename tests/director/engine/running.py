"""A whole engine in the loop of a test, over a kernel in memory."""

import socket
from pathlib import Path

import trio

from director import paths
from director.ask import ask_engine
from director.engine.process import _main
from director.engine.reload import Read
from director.model.config import Config
from director.wire.messages import Answer
from tests.director.engine.scene import WatchedKernel, no_firewall

WITHIN = 20.0


async def never() -> Config:
    """Reads the file again."""
    raise AssertionError("nobody asked for it")


class Running:
    """An engine that runs in this loop."""

    def __init__(
        self, nursery: trio.Nursery, config: Config, runtime: Path, read: Read = never
    ) -> None:
        self.kernel = WatchedKernel()
        self.runtime = runtime
        self.state_file = runtime / paths.STATE_FILE
        self.ended = trio.Event()
        self.read = read
        nursery.start_soon(self._run, config)

    async def _run(self, config: Config) -> None:
        await _main(
            config, self.runtime, self.state_file, self.read, lambda: self.kernel, no_firewall
        )
        self.ended.set()

    async def ask(self, verb: str, *, change: bool = False, **args: str) -> Answer:
        return await trio.to_thread.run_sync(
            lambda: ask_engine(self.runtime, WITHIN, verb, change=change, **args)
        )


async def hear(sock: socket.socket) -> bytes:
    return await trio.to_thread.run_sync(sock.recv, 100)
