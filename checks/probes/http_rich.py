# What aiohttp does by default and a probe must not:
# - keep connections (a live keep-alive does not prove that accept works): force_close;
# - follow redirects, keep cookies, decompress: all off;
# - try a GET again on a fresh connection when the first is reset (aiohttp/client.py,
#   retry_persistent_connection, also for connections that were never reused). One probe is one
#   attempt, so a middleware turns those two errors into one that aiohttp hands through;
# - round a timeout above 5 s up to whole seconds: ours is asyncio's own.
#
# The verdict is the status line, a whole header, and of the body what a pattern needs; the rest
# stays unread and the connection is closed. Line and field limits are aiohttp's (8190 bytes each,
# 128 fields), set for the session.
"""HTTP by aiohttp, where the fast lane does not reach."""

import asyncio
import re
import socket
from typing import NamedTuple

import aiohttp
from aiohttp import hdrs
from yarl import URL

from checks.outcome import Outcome
from checks.probes.faults import fault, overdue
from checks.probes.tls import NoCredentials, context_of, days_left, refusal
from checks.route import NoRoute, route
from checks.talk import Verdict
from director.model.check import HttpCheck, Target, Tls

FIELD_MAX = 8190
BUFFER = 4096
BODY_SEARCHED = 8192  # a pattern may cost the square of this (config/patterns.py)
AGENT = "director-check"


class _Progress:
    """How far one probe came: it decides between `layer4 timeout` and `layer7 timeout`."""

    __slots__ = ("layer",)

    def __init__(self) -> None:
        self.layer = "layer4"


class _LostError(aiohttp.ClientError):
    """The server went away before it had answered."""

    def __init__(self, cause: OSError | None) -> None:
        super().__init__()
        self.cause = cause


async def _once(
    request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Hand a lost connection through, so that aiohttp does not try again."""
    try:
        return await send(request)
    except aiohttp.ClientConnectorError:
        raise
    except aiohttp.ServerDisconnectedError as error:
        raise _LostError(None) from error
    except aiohttp.ClientOSError as error:
        raise _LostError(error) from error


async def _connected(
    _session: aiohttp.ClientSession,
    context: object,
    _params: aiohttp.TraceConnectionCreateEndParams,
) -> None:
    progress = getattr(context, "trace_request_ctx", None)
    assert isinstance(progress, _Progress)
    progress.layer = "layer7"


class _Response(aiohttp.ClientResponse):
    """Remembers the certificate: a short answer gives its connection back before anybody asks."""

    days_left = 0

    async def start(self, connection: "aiohttp.connector.Connection") -> aiohttp.ClientResponse:
        transport = connection.transport
        self.days_left = days_left(transport.get_extra_info("ssl_object") if transport else None)
        return await super().start(connection)


class Way(NamedTuple):
    """What connections have in common that may share a session."""

    source: str
    interface: str
    tls: Tls | None


def _open_session(way: Way) -> aiohttp.ClientSession:
    trace = aiohttp.TraceConfig()
    trace.on_connection_create_end.append(_connected)

    def opened(info: aiohttp.AddrInfoType) -> socket.socket:
        sock = socket.socket(info[0], socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            route(sock, info[0] == socket.AF_INET6, way.source, way.interface)
        except BaseException:
            sock.close()
            raise
        return sock

    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            force_close=True,
            limit=0,
            use_dns_cache=False,
            ssl=context_of(way.tls) if way.tls else True,
            socket_factory=opened,
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        headers={hdrs.USER_AGENT: AGENT},
        skip_auto_headers=(hdrs.ACCEPT_ENCODING, hdrs.CONTENT_TYPE),
        timeout=aiohttp.ClientTimeout(),
        trust_env=False,
        read_bufsize=BUFFER,
        max_line_size=FIELD_MAX,
        max_field_size=FIELD_MAX,
        trace_configs=[trace],
        response_class=_Response,
        middlewares=(_once,),
    )


class RichProber:
    """Requests over fresh connections; a session for each way to connect."""

    def __init__(self) -> None:
        self._sessions: dict[Way, aiohttp.ClientSession] = {}

    async def probe(self, target: Target) -> Outcome:
        """One request, from connect to the verdict within the timeout."""
        timeout = target.check.pace.timeout
        clock = asyncio.get_running_loop().time
        started = clock()
        progress = _Progress()
        try:
            async with asyncio.timeout_at(started + timeout) as deadline:
                verdict = await self._verdict(target, progress)
        except TimeoutError as error:
            if not deadline.expired():
                return fault(error, progress.layer, clock() - started)
            return overdue(timeout, progress.layer, clock() - started)
        except (NoRoute, NoCredentials) as error:
            return Outcome(ok=False, text=str(error), seconds=clock() - started, ours=True)
        except (aiohttp.ClientError, ValueError, OSError) as error:
            return _failure(error, progress.layer, clock() - started)
        return Outcome(ok=verdict.ok, text=verdict.text, seconds=clock() - started)

    async def _verdict(self, target: Target, progress: _Progress) -> Verdict:
        check = target.check
        assert isinstance(check, HttpCheck)
        scheme = "http" if check.tls is None else "https"
        # The path goes out as the file spells it: `encoded` keeps yarl from changing it.
        async with self._session(check).request(
            check.method,
            URL(f"{scheme}://{target.endpoint}{check.path}", encoded=True),
            headers=[*check.headers, *([(hdrs.HOST, check.host)] if check.host else [])],
            data=check.body.encode() or None,
            allow_redirects=False,
            server_hostname=server_name(check) if check.tls else None,
            trace_request_ctx=progress,
        ) as response:
            try:
                return await _judge(check, response)
            finally:
                response.close()

    def _session(self, check: HttpCheck) -> aiohttp.ClientSession:
        way = Way(check.source, check.interface, check.tls)
        if way not in self._sessions:
            self._sessions[way] = _open_session(way)
        return self._sessions[way]

    async def close(self) -> None:
        """Close the sessions and with them every connection."""
        for session in self._sessions.values():
            await session.close()


def server_name(check: HttpCheck) -> str | None:
    """The name that the certificate must be for, and that SNI says."""
    assert check.tls is not None
    return check.tls.sni or check.host.partition(":")[0] or None


async def _judge(check: HttpCheck, response: aiohttp.ClientResponse) -> Verdict:
    if not any(low <= response.status <= high for low, high in check.status):
        return Verdict(ok=False, text=f"HTTP {response.status}")
    if check.tls is not None and check.tls.min_days_left:
        assert isinstance(response, _Response)
        if response.days_left < check.tls.min_days_left:
            return Verdict(ok=False, text=f"certificate expires in {response.days_left} days")
    if check.body_regex:
        body = b""
        async for piece in response.content.iter_chunked(BUFFER):
            body += piece
            if len(body) >= BODY_SEARCHED:
                break
        if not re.search(check.body_regex.encode(), body[:BODY_SEARCHED]):
            return Verdict(ok=False, text=f"HTTP {response.status}, body does not match")
    return Verdict(ok=True, text=f"HTTP {response.status}")


def _failure(error: Exception, layer: str, seconds: float) -> Outcome:
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return Outcome(ok=False, text=refusal(error.certificate_error), seconds=seconds)
        case aiohttp.ClientSSLError():
            return Outcome(ok=False, text="layer6 TLS handshake failed", seconds=seconds)
        case aiohttp.ClientConnectorError():
            return fault(error.os_error, layer, seconds)
        case _LostError(cause=None):
            return Outcome(ok=False, text="connection closed", seconds=seconds)
        case _LostError(cause=OSError() as cause):
            return fault(cause, layer, seconds)
        case OSError():
            return fault(error, layer, seconds)
    # What is left is aiohttp refusing the server's bytes (ClientResponseError, ValueError).
    return Outcome(ok=False, text="layer7 invalid response", seconds=seconds)
