# What aiohttp does by default and a probe must not:
# - keep connections (a live keep-alive does not prove that accept works): force_close;
# - follow redirects, keep cookies, decompress: all off;
# - try a GET again on a fresh connection when the first is reset (aiohttp/client.py,
#   retry_persistent_connection, also for connections that were never reused). One probe is one
#   attempt, so a middleware turns those two errors into one that aiohttp hands through;
# - round a timeout above 5 s up to whole seconds: ours is asyncio's own.
#
# The verdict is the status line and a whole header; the body stays unread and the connection is
# closed. Line and field limits are aiohttp's (8190 bytes each, 128 fields), set for the session.
"""HTTP by aiohttp, where the fast lane does not reach."""

import asyncio

import aiohttp
from aiohttp import hdrs
from yarl import URL

from checks.outcome import Outcome
from checks.probes.faults import fault, overdue
from director.model.check import HttpCheck, Target

FIELD_MAX = 8190
BUFFER = 4096
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


def _open_session() -> aiohttp.ClientSession:
    trace = aiohttp.TraceConfig()
    trace.on_connection_create_end.append(_connected)
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(force_close=True, limit=0, use_dns_cache=False),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        headers={hdrs.USER_AGENT: AGENT},
        skip_auto_headers=(hdrs.ACCEPT_ENCODING,),
        timeout=aiohttp.ClientTimeout(),
        trust_env=False,
        read_bufsize=BUFFER,
        max_line_size=FIELD_MAX,
        max_field_size=FIELD_MAX,
        trace_configs=[trace],
        middlewares=(_once,),
    )


class HttpProber:
    """GET over a fresh connection; one session for the whole worker."""

    def __init__(self) -> None:
        self._session = _open_session()

    async def probe(self, target: Target) -> Outcome:
        """One GET, from connect to the end of the header within the timeout."""
        timeout = target.check.pace.timeout
        clock = asyncio.get_running_loop().time
        started = clock()
        progress = _Progress()
        try:
            async with asyncio.timeout_at(started + timeout) as deadline:
                status = await self._status(target, progress)
        except TimeoutError as error:
            if not deadline.expired():
                return fault(error, progress.layer, clock() - started)
            return overdue(timeout, progress.layer, clock() - started)
        except (aiohttp.ClientError, ValueError, OSError) as error:
            return _failure(error, progress.layer, clock() - started)
        assert isinstance(target.check, HttpCheck)
        good = any(low <= status <= high for low, high in target.check.status)
        return Outcome(ok=good, text=f"HTTP {status}", seconds=clock() - started)

    async def _status(self, target: Target, progress: _Progress) -> int:
        check = target.check
        assert isinstance(check, HttpCheck)
        # The path goes out as the file spells it: `encoded` keeps yarl from changing it.
        async with self._session.get(
            URL(f"http://{target.endpoint}{check.path}", encoded=True),
            headers={hdrs.HOST: check.host} if check.host else None,
            allow_redirects=False,
            trace_request_ctx=progress,
        ) as response:
            response.close()
            return response.status

    async def close(self) -> None:
        """Close the session and with it every connection."""
        await self._session.close()


def _failure(error: Exception, layer: str, seconds: float) -> Outcome:
    match error:
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


def open_prober() -> HttpProber:
    """The prober for HttpCheck."""
    return HttpProber()
