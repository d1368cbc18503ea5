"""Log records of the head of a request or a response."""

from __future__ import annotations

import logging

from ..credentials import display_header, escape
from ..typing import LoggerLike
from .headers import Headers


def log_head(logger: LoggerLike, mark: str, start: str, headers: Headers) -> None:
    """
    Log a handshake message at DEBUG, without credentials and control characters.

    Args:
        mark: ``>`` for what is sent, ``<`` for what is received.
        start: the request line or the status line.
    """
    if not logger.isEnabledFor(logging.DEBUG):
        return
    logger.debug("%s %s", mark, escape(start))
    for name, value in headers.raw_items():
        logger.debug("%s %s: %s", mark, name, display_header(name, value))
