"""TLS as clients of every face use it: contexts, tickets, and refused certificates.

Making a context costs 25 ms and 0.8 MB, so the default one is made once a process.
"""

from __future__ import annotations

import functools
import ssl
from collections.abc import Hashable, Iterator
from time import monotonic
from types import TracebackType
from typing import Any
from weakref import WeakKeyDictionary

from ..core.client.certificates import describe_refusal, names_in
from ..core.client.os_errors import set_error_text
from ..core.client.tls_sessions import SessionCache

_bases: Any = ssl.SSLContext.__mro__
#: Base of all contexts; programs may replace `ssl.SSLContext`, as truststore does, and
#: have contexts that were made before.
CONTEXT: type[ssl.SSLContext] = _bases[-2]

# Errors of OpenSSL for an answer that is no record of TLS.
NOT_TLS = frozenset(
    {
        "HTTP_REQUEST",
        "HTTPS_PROXY_REQUEST",
        "PACKET_LENGTH_TOO_LONG",
        "RECORD_LAYER_FAILURE",
        "UNKNOWN_PROTOCOL",
        "WRONG_VERSION_NUMBER",
    }
)


@functools.cache
def default_context() -> ssl.SSLContext:
    """Return the context for ``wss`` where the program gave none."""
    return ssl.create_default_context()


def context_for(given: Any) -> ssl.SSLContext:
    """Return the context to use for what was given as ``ssl``."""
    return default_context() if given is None or given is True else given


# -- Tickets -------------------------------------------------------------------

_tickets: WeakKeyDictionary[ssl.SSLContext, SessionCache[ssl.SSLSession]] = (
    WeakKeyDictionary()
)


def _key(tls: Any) -> Hashable:
    """Everything that decides what a handshake checks: OpenSSL checks it only then."""
    context = tls.context
    return (
        tls.server_hostname,
        context.verify_mode,
        context.check_hostname,
        context.verify_flags,
    )


def restore_session(tls: Any) -> None:
    """
    Use the session of the last connection to a server of this name, if there is one.

    Args:
        tls: an `ssl.SSLSocket`, an `ssl.SSLObject`, or what behaves so, of a client
            and before its handshake.
    """
    tickets = _tickets.get(tls.context)
    session = None if tickets is None else tickets.get(_key(tls), monotonic())
    if session is not None:
        tls.session = session


def store_session(tls: Any) -> None:
    """
    Keep the session for the next connection; call it when this one ends.

    By then the server has sent its tickets, which TLS 1.3 does after the handshake.

    Args:
        tls: as for `restore_session`, but used up; None is ignored.
    """
    if tls is None:
        return
    tickets = _tickets.get(tls.context)
    key, now = _key(tls), monotonic()
    if tickets is not None and tls.session_reused and tickets.serves(key, now):
        return
    session = tls.session  # a copy, which is dear
    if session is None or not session.has_ticket:
        return
    if tickets is None:
        tickets = _tickets.setdefault(tls.context, SessionCache())
    tickets.put(key, session, now)


# -- Certificates --------------------------------------------------------------


def explain(exc: ssl.SSLCertVerificationError, expected: str) -> None:
    """
    Let an error say whose certificate was expected, and for whom it is.

    The names are found where TLS has kept the certificate that it refused.

    Args:
        exc: gets the attributes ``expected`` and ``found``, a list of names or
            None, beside its new text.
        expected: the name that was to be verified.
    """
    found = next(_refused_names(exc.__traceback__), None)
    exc.expected = expected  # type: ignore[attr-defined]
    exc.found = found  # type: ignore[attr-defined]
    # Exceptions of other modules than ssl have a text only.
    reason = getattr(exc, "verify_message", "") or exc.strerror or str(exc)
    set_error_text(exc, describe_refusal(reason.rstrip("."), expected, found))


def explain_handshake(exc: OSError, server: str, plain: str) -> None:
    """
    Let an error of a client's TLS handshake say with whom, and what may be wrong.

    Args:
        exc: gets a new text; what is about TCP or a certificate keeps its own.
        server: host and port.
        plain: scheme of the same without TLS.
    """
    reason = getattr(exc, "reason", None)
    if isinstance(exc, (ssl.SSLEOFError, ssl.SSLZeroReturnError)) or (
        isinstance(exc, ConnectionError) and not isinstance(exc, ConnectionRefusedError)
    ):
        what = f"the server hung up; does it speak TLS? ({plain}://)"
    elif reason in NOT_TLS:
        what = f"the server answered, but not in TLS; use {plain}://"
    elif isinstance(exc, ssl.SSLError) and not hasattr(exc, "expected"):
        what = exc.strerror or str(exc)
    else:
        return
    set_error_text(exc, f"TLS handshake with {server}: {what}")


def _refused_names(traceback: TracebackType | None) -> Iterator[list[str]]:
    """Look into the frames that an error went through: nothing else leads there."""
    while traceback is not None:
        variables = traceback.tb_frame.f_locals
        traceback = traceback.tb_next
        try:
            chain = _chain(variables)
        except Exception:  # noqa: S112
            # Most frames have no TLS; what is private may be missing elsewhere.
            continue
        if chain:
            yield names_in(chain[0])


def _chain(variables: dict[str, Any]) -> list[bytes]:
    """Return the peer's certificates in DER, its own first, as a frame has them."""
    owner = variables.get("self")
    tls: Any = owner
    if not isinstance(owner, ssl.SSLObject | ssl.SSLSocket):
        tls = variables["transport"].get_extra_info("ssl_object")
    if not hasattr(tls, "get_unverified_chain"):  # public since Python 3.13
        tls = tls._sslobj
    der = getattr(ssl, "_ssl").ENCODING_DER  # noqa: B009
    return [
        item if isinstance(item, bytes) else item.public_bytes(der)
        for item in tls.get_unverified_chain() or ()
    ]
