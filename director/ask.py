"""Ask the engine one thing over its socket; plain blocking I/O, quick to start."""

import socket
from collections.abc import Iterator
from pathlib import Path

import msgspec

from director import paths
from director.errors import DirectorError, Exit, NoRight, Unreachable
from director.wire.framing import BrokenFrame, Unframer
from director.wire.messages import Answer, Ask, decode, encode

READ_SIZE = 65536


def ask_engine(
    runtime: Path, timeout: float, verb: str, *, change: bool = False, **args: str
) -> Answer:
    """The engine's answer; one that came in pieces of a text is whole again.

    Raises Unreachable, NoRight, or what the engine itself found wrong.
    """
    pieces = list(ask_for_pieces(runtime, timeout, verb, change=change, **args))
    return msgspec.structs.replace(pieces[-1], body="".join(one.body for one in pieces))


def ask_for_pieces(
    runtime: Path, timeout: float, verb: str, *, change: bool = False, **args: str
) -> Iterator[Answer]:
    """The answers one by one, of a verb that is told in pieces; `timeout` is for each.

    Raises as `ask_engine` does, also between two pieces.
    """
    path = runtime / (paths.CONTROL_SOCKET if change else paths.VIEW_SOCKET)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(timeout)
            sock.connect(str(path))
            sock.sendall(encode(Ask(verb, args)))
            for answer in _answers(sock):
                if answer.faults:
                    raise DirectorError(Exit(answer.status), *answer.faults)
                yield answer
    except PermissionError as error:
        group = "director-admin" if change else "director-view"
        raise NoRight(
            f"{path} is not open to you", mend=f"become root, or a member of {group}"
        ) from error
    except (OSError, BrokenFrame) as error:
        raise Unreachable(
            f"no engine answers at {path} ({error})",
            mend="systemctl status director-engine; the table in the kernel stands without it",
        ) from error


def _answers(sock: socket.socket) -> Iterator[Answer]:
    unframer = Unframer()
    while data := sock.recv(READ_SIZE):
        for payload in unframer.feed(data):
            message = decode(payload)
            if isinstance(message, Answer):
                yield message
                if not message.more:
                    return
    raise BrokenFrame("the engine closed the connection")
