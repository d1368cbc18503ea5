"""Failures in one line, without secrets and without escapes."""

from __future__ import annotations

import re
import socket
import ssl

from ..core.credentials import escape
from ..core.diagnostics.diagnosis import status_of
from ..exceptions import InvalidStatus

_MAX_LENGTH = 500  # characters

_USER_INFORMATION = re.compile(r"//[^/?#\s]*@")
_UP_TO_THE_LAST_AT = re.compile(r"//\S*@")


def without_credentials(text: str, *, strict: bool = False) -> str:
    """
    Hide the user information of every URI in ``text``.

    Args:
        text: a URI, or an error message that may quote one.
        strict: hide everything up to the last ``@``, also beyond a slash.
            For what does not parse as a URI.
    """
    pattern = _UP_TO_THE_LAST_AT if strict else _USER_INFORMATION
    return pattern.sub("//***@", text)


def one_line(text: str) -> str:
    """Make text that a server may have chosen safe, one line, and not too long."""
    text = " ".join(text.split())
    if len(text) > _MAX_LENGTH:
        text = text[:_MAX_LENGTH] + "…"
    return escape(text)


def describe(error: BaseException, *, open_timeout: float) -> str:
    """
    Say in one line why a connection could not be opened.

    Args:
        error: exception that ``connect`` raised.
        open_timeout: the limit that was set, in seconds, for a timeout's text.
    """
    return one_line(without_credentials(_reason(error, open_timeout)))


def _reason(error: BaseException, open_timeout: float) -> str:
    match error:
        case ssl.SSLCertVerificationError():
            return (
                f"certificate not accepted: {error.verify_message or error}"
                " (--insecure connects without the check)"
            )
        case ssl.SSLError():
            return f"TLS failed: {error.reason or error}"
        case socket.gaierror():
            return f"host name not resolved: {error.strerror or error}"
        case ConnectionRefusedError():
            return "connection refused"
        case TimeoutError() if error.errno is None:
            return f"no connection within {open_timeout:g} s"
        case InvalidStatus():
            status, colon, hint = status_of(error.response).partition(": ")
            return f"the server answered {status}, expected 101{colon}{hint}"
    reason = str(error) or type(error).__name__
    cause = error.__cause__
    if cause is not None and str(cause) and str(cause) not in reason:
        reason = f"{reason}: {cause}"
    return reason
