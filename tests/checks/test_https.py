"""HTTPS probes: what a certificate must be, and what is said when it is not."""

import asyncio
import ssl
from pathlib import Path

import pytest

from checks.outcome import Outcome
from checks.probes import open_prober
from checks.probes.tls import context_of
from director.model.address import Endpoint
from director.model.check import HttpCheck, Pace, Target, TcpCheck, Tls

FOLDER = Path(__file__).parents[1] / "data" / "tls"
CA = str(FOLDER / "ca.pem")
CLIENT = str(FOLDER / "client.pem")
NAME = "www.example.com"
PACE = Pace(timeout=2.0)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
GOOD = "HTTP 200"
HUNDRED_YEARS = 36500


def _probe_with(check: TcpCheck | HttpCheck, context: ssl.SSLContext | None = None) -> Outcome:
    if context is None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(FOLDER / "server.pem")

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(OK)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def go() -> Outcome:
        async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context) as server:
            port = server.sockets[0].getsockname()[1]
            prober = open_prober(type(check))
            outcome = await prober.probe(Target("t", Endpoint("127.0.0.1", port), check))
            await prober.close()
        return outcome

    return asyncio.run(go())


def _probe(
    tls: Tls, *, shown: str = "server", host: str = "", wants_client: bool = False
) -> Outcome:
    """One probe of a server that shows one of the certificates of tests/data/tls."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(FOLDER / f"{shown}.pem")
    if wants_client:
        context.load_verify_locations(CA)
        context.verify_mode = ssl.CERT_REQUIRED

    return _probe_with(HttpCheck(host=host, tls=tls, pace=PACE), context)


REFUSED = "certificate refused: "
CASES = {
    # what                              settings                                   the server shows        so
    "of the authority, by address":     (Tls(ca=CA),                               ("server", ""),         GOOD),
    "by name":                          (Tls(ca=CA, sni=NAME),                     ("server", ""),         GOOD),
    "by the Host header":               (Tls(ca=CA),                               ("server", NAME),       GOOD),
    "of nobody that the system knows":  (Tls(),                                    ("server", ""),         REFUSED + "unable to get local issuer certificate"),
    "nobody asks":                      (Tls(verify=False),                        ("server", ""),         GOOD),
    "for another name":                 (Tls(ca=CA, sni="other.example.com"),      ("server", ""),         REFUSED + "Hostname mismatch, certificate is not valid for 'other.example.com'"),
    "expired":                          (Tls(ca=CA, sni=NAME),                     ("expired", ""),        REFUSED + "certificate has expired"),
    "expired, and nobody asks":         (Tls(verify=False),                        ("expired", ""),        GOOD),
    "days enough are left":             (Tls(ca=CA, min_days_left=30),             ("server", ""),         GOOD),
}  # fmt: skip


@pytest.mark.parametrize(("tls", "server", "text"), CASES.values(), ids=CASES)
def test_the_certificate(tls: Tls, server: tuple[str, str], text: str) -> None:
    outcome = _probe(tls, shown=server[0], host=server[1])

    assert (outcome.ok, outcome.text, outcome.ours) == (text == GOOD, text, False)


def test_a_certificate_that_ends_too_soon() -> None:
    outcome = _probe(Tls(ca=CA, min_days_left=2 * HUNDRED_YEARS))

    assert not outcome.ok
    assert outcome.text.startswith("certificate expires in ")
    assert outcome.text.endswith(" days")


def test_a_client_certificate() -> None:
    """
    A server that wants one refuses whoever has none.
    """
    assert _probe(Tls(ca=CA, certificate=CLIENT), wants_client=True).text == GOOD
    assert not _probe(Tls(ca=CA), wants_client=True).ok


def test_a_file_that_is_not_there_is_ours() -> None:
    """
    A missing file of this machine takes no server out.
    """
    outcome = _probe(Tls(ca="/nowhere/ca.pem"))

    assert (outcome.ours, outcome.text) == (
        True,
        "cannot use /nowhere/ca.pem: no such file or directory",
    )


def test_a_server_without_tls_is_told_as_such() -> None:
    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK)
        writer.close()

    async def go() -> Outcome:
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            prober = open_prober(HttpCheck)
            check = HttpCheck(tls=Tls(), pace=PACE)
            outcome = await prober.probe(Target("t", Endpoint("127.0.0.1", port), check))
            await prober.close()
        return outcome

    assert asyncio.run(go()).text == "layer6 TLS handshake failed"


TCP = {
    "a handshake": (TcpCheck(tls=Tls(ca=CA), pace=PACE), "layer6 ok"),
    "a talk": (
        TcpCheck(tls=Tls(ca=CA), send="PING\r\n\r\n", expect=" 200 ", pace=PACE),
        "layer7 ok",
    ),
    "another talk": (
        TcpCheck(tls=Tls(ca=CA), send="PING\r\n\r\n", expect="PONG", pace=PACE),
        "another answer than expected",
    ),
    "of nobody": (
        TcpCheck(tls=Tls(), pace=PACE),
        "certificate refused: unable to get local issuer certificate",
    ),
    "too few days": (
        TcpCheck(tls=Tls(ca=CA, min_days_left=2 * HUNDRED_YEARS), pace=PACE),
        "certificate expires in ",
    ),
    "no file": (
        TcpCheck(tls=Tls(certificate="/nowhere.pem"), pace=PACE),
        "cannot use /nowhere.pem: no such file or directory",
    ),
}


@pytest.mark.parametrize(("check", "text"), TCP.values(), ids=TCP)
def test_tcp_with_tls(check: TcpCheck, text: str) -> None:
    """
    The same talks as without, behind a certificate that is judged alike.
    """
    outcome = _probe_with(check)

    assert outcome.text.startswith(text)
    assert outcome.ok == text.endswith(" ok")


def test_a_context_verifies_unless_it_is_told_not_to() -> None:
    assert context_of(Tls()).verify_mode is ssl.CERT_REQUIRED
    assert context_of(Tls()).check_hostname
    assert context_of(Tls(verify=False)).verify_mode is ssl.CERT_NONE
