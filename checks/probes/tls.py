"""TLS for probes: verified unless the file says otherwise."""

import ssl
import time
from functools import lru_cache

from director.model.check import Tls

DAY = 86400.0


class NoCredentials(Exception):
    """A file that this check needs cannot be read here; its words say which."""


@lru_cache(maxsize=256)
def context_of(tls: Tls) -> ssl.SSLContext:
    """A context for these settings. Raises NoCredentials.

    It is made once: a certificate that changes on disk is read when the worker starts again.
    """
    context = ssl.create_default_context()
    try:
        if tls.ca:
            context = ssl.create_default_context(cafile=tls.ca)
        if tls.certificate:
            context.load_cert_chain(tls.certificate, tls.key or None)
    except OSError as error:  # ssl.SSLError is one
        raise NoCredentials(f"cannot use {tls.ca or tls.certificate}: {_why(error)}") from error
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def days_left(connection: ssl.SSLObject | None) -> int:
    """Whole days until the certificate that the server showed expires; 0 when it is not known."""
    shown = connection.getpeercert() if connection is not None else None
    ends = shown.get("notAfter") if shown else None
    if not isinstance(ends, str):
        return 0
    return int((ssl.cert_time_to_seconds(ends) - time.time()) // DAY)


def refusal(error: Exception) -> str:
    """Why there is no TLS with this server."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate refused: {error.verify_message.rstrip('.')}"
    return "layer6 TLS handshake failed"


def _why(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
