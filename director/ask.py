"""Ask the engine one thing over its socket; plain blocking I/O, quick to start."""

import socket
from pathlib import Path

from director import paths
from director.errors import DirectorError, Exit, NoRight, Unreachable
from director.wire.framing import BrokenFrame, Unframer
from director.wire.messages import Answer, Ask, decode, encode

READ_SIZE = 65536


def ask_engine(
    runtime: Path, timeout: float, verb: str, *, change: bool = False, **args: str
) -> Answer:
    """The engine's answer.

    Raises Unreachable, NoRight, or what the engine itself found wrong.
    """
    path = runtime / (paths.CONTROL_SOCKET if change else paths.VIEW_SOCKET)
    try:
        answer = _converse(path, timeout, Ask(verb, args))
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
    if answer.faults:
        raise DirectorError(Exit(answer.status), *answer.faults)
    return answer


def _converse(path: Path, timeout: float, ask: Ask) -> Answer:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(timeout)
        sock.connect(str(path))
        sock.sendall(encode(ask))
        unframer = Unframer()
        while data := sock.recv(READ_SIZE):
            for payload in unframer.feed(data):
                message = decode(payload)
                if isinstance(message, Answer):
                    return message
    raise BrokenFrame("the engine closed the connection")
