# Nothing that holds a capability reads what somebody wrote: the child drops all of them first. It
# has no other way in than its arguments and no other way out than these frames.
"""Read the file in a child."""

import sys
from pathlib import Path
from subprocess import PIPE

import trio

from director.errors import DirectorError, Exit, Fault
from director.kernel.capabilities import SETPCAP, has
from director.model.config import Config
from director.wire.framing import BrokenFrame, Unframer
from director.wire.parsed import Assembly

READ_WITHIN = 120.0  # seconds: 20,000 services of 8 destinations take about three
READ_SIZE = 256 * 1024
DROP = ("setpriv", "--no-new-privs", "--inh-caps=-all", "--ambient-caps=-all")


async def read_file(path: Path, node: str | None) -> Config:
    """The file as this node sees it.

    Raises DirectorError: the faults of the file (78), what the machine lacks for it (71), or that
    the child failed (70).
    """
    argv = [*DROP, *(("--bounding-set=-all",) if has(SETPCAP) else ()), "--"]
    argv += [sys.executable, "-m", "director", "check", "--parsed", "--config", str(path)]
    argv += ["--node", node] if node else []
    assembly = Assembly()
    with trio.move_on_after(READ_WITHIN):
        try:
            await _read(argv, assembly)
            return assembly.config()
        except (BrokenFrame, OSError) as error:
            raise _failed(f"whoever reads the file failed: {error}") from error
    raise _failed(f"the file was not read within {READ_WITHIN:g} s")


async def _read(argv: list[str], assembly: Assembly) -> None:
    unframer = Unframer()
    child = await trio.lowlevel.open_process(argv, stdout=PIPE)
    assert child.stdout is not None
    try:
        while data := await child.stdout.receive_some(READ_SIZE):
            for payload in unframer.feed(bytes(data)):
                assembly.take(payload)
                await trio.lowlevel.checkpoint()
    finally:
        child.kill()
        with trio.CancelScope(shield=True):
            await child.stdout.aclose()
            await child.wait()


def _failed(fault: str) -> DirectorError:
    return DirectorError(Exit.BUG, Fault(fault=fault, mend="see the log for what it said last"))
