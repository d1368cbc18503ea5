"""The end of a server's handler: its log record, and the close code for the client."""

from __future__ import annotations

import functools
import logging
from typing import Any

from ..diagnostics.connect_trace import show_address
from ..frames.close import ConnectionClosedOK, State
from .hooks import only_closed
from .responder import Answering


class Handling(Answering):
    """Base of the server connections of all faces, around the handler."""

    ws_handler: Any

    def _tls_failed(self, peer: Any, exc: BaseException) -> None:
        """
        Log at INFO that the TLS handshake of a client has failed.

        It is no WARNING: port scanners cause it too.

        Args:
            peer: address of the client; None if that is not known.
        """
        name = show_address(peer) if peer else "a client"
        text = str(exc) or type(exc).__name__
        self._note(logging.INFO, "TLS handshake with %s failed: %s", name, text)

    def _returned(self) -> tuple[int, str]:
        """Note that the handler has returned; returns what to close with."""
        if self.open:
            self._note(logging.DEBUG, "handler returned; closing")
        return 1000, ""

    def _failed(self, exc: Exception) -> tuple[int, str]:
        """Log what the handler raised; returns what to close with."""
        # A ConnectionClosed while this connection is open is another one's, such
        # as that of a client that the handler runs: nobody has noticed it yet.
        if self.state is State.OPEN or not only_closed(exc):
            self.logger.error("connection handler failed", exc_info=exc)
        elif isinstance(exc, ConnectionClosedOK):
            self._note(logging.DEBUG, "handler ended: %s", exc)
        else:
            self._note(logging.INFO, "handler ended: %s", exc)
        return 1011, ""

    def _cancelled(self) -> tuple[int, str]:
        """Return what to close with when the handler was cancelled."""
        return self._reception._closing_with or (1011, "")

    def _describe(self) -> str:
        """Name the handler and its client, for the log."""
        handler: Any = self.ws_handler
        while isinstance(handler, functools.partial):
            handler = handler.func
        name = getattr(handler, "__qualname__", type(handler).__name__)
        path = "?" if self.request is None else self.request.path
        return f"{name} with path {path[:64]!r} from {self.remote_address}"
