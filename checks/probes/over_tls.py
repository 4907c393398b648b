"""A talk over TLS, by asyncio's streams: OpenSSL's handshake costs more than they do."""

import asyncio
import socket
import ssl

from checks.outcome import Outcome
from checks.probes.faults import fault, overdue
from checks.probes.tls import NoCredentials, context_of, days_left, refusal
from checks.route import NoRoute, route
from checks.talk import Talk, Verdict
from director.model.check import Target, Tls

READ_SIZE = 4096


async def over_tls(target: Target, talk: Talk, tls: Tls) -> Outcome:
    """One attempt, from connect to the verdict within the timeout."""
    timeout = target.check.pace.timeout
    clock = asyncio.get_running_loop().time
    started = clock()
    layer = "layer4"
    try:
        async with asyncio.timeout_at(started + timeout) as deadline:
            with await _connect(target) as sock:
                layer = "layer6"
                verdict = await _converse(sock, talk, tls, target)
    except TimeoutError as error:
        if not deadline.expired():
            return fault(error, layer, clock() - started)
        return overdue(timeout, layer, clock() - started)
    except (NoRoute, NoCredentials) as error:
        return Outcome(ok=False, text=str(error), seconds=clock() - started, ours=True)
    except ssl.SSLError as error:
        return Outcome(ok=False, text=refusal(error), seconds=clock() - started)
    except OSError as error:
        return fault(error, layer, clock() - started)
    return Outcome(ok=verdict.ok, text=verdict.text, seconds=clock() - started)


async def _connect(target: Target) -> socket.socket:
    endpoint, check = target.endpoint, target.check
    six = ":" in endpoint.address
    family = socket.AF_INET6 if six else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        route(sock, six, check.source, check.interface)
        await asyncio.get_running_loop().sock_connect(sock, (endpoint.address, endpoint.port))
    except BaseException:
        sock.close()
        raise
    return sock


async def _converse(sock: socket.socket, talk: Talk, tls: Tls, target: Target) -> Verdict:
    reader, writer = await asyncio.open_connection(
        sock=sock, ssl=context_of(tls), server_hostname=tls.sni or target.endpoint.address
    )
    try:
        days = days_left(writer.get_extra_info("ssl_object"))
        if days < tls.min_days_left:
            return Verdict(ok=False, text=f"certificate expires in {days} days")
        step = talk.begin()
        while True:
            if isinstance(step, Verdict):
                return step
            assert isinstance(step, bytes)
            writer.write(step)
            data = await reader.read(READ_SIZE)
            step = talk.hear(data) if data else talk.end()
    finally:
        writer.transport.abort()
