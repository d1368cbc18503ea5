"""The server's end of a connection: what handlers get and subclasses override."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any

from ..core.closing import State
from ..core.datastructures import Headers
from ..core.errors import ConnectionClosedOK
from ..core.extensions.base import ServerExtensionFactory
from ..core.handshake.negotiation import (
    OriginRule,
    process_origin,
    process_server_extensions,
    process_server_subprotocol,
)
from ..core.hooks import call_hook, only_closed
from ..core.http1 import Request
from ..core.typing import Subprotocol
from ._server_handshake import Opening, maybe

if TYPE_CHECKING:
    from ._server import Server

__all__ = ["ServerConnection"]


class ServerConnection(Opening):
    """
    A connection from a client, as a handler of `serve` gets it.

    Not made by programs, but programs may subclass it and pass the subclass, or a
    `functools.partial` of it, as ``create_protocol``.  It is called with keyword
    arguments only; a subclass takes ``*args, **kwargs`` and passes them on.

    A subclass may override `process_request`, `select_subprotocol`,
    `process_origin`, `process_extensions` and `process_subprotocol`.

    Args:
        ws_handler: called with the connection once it is open.
        ws_server: the server that accepted it.
        **kwds: parameters of `serve` that concern connections.
    """

    server: Server
    #: user name of HTTP Basic authentication; None without
    username: str | None = None
    #: handler of the route that was taken, for `Router`
    handler: Callable[..., Awaitable[None]]
    #: values of the variable parts of its path, for `Router`
    handler_kwargs: dict[str, Any]

    def __init_subclass__(cls, **kwds: Any) -> None:
        super().__init_subclass__(**kwds)
        base = ServerConnection

        def own(name: str) -> bool:
            return getattr(cls, name) is not getattr(base, name)

        steps = ("process_origin", "process_extensions", "process_subprotocol")
        cls._own_request = own("process_request")
        cls._own_select = own("select_subprotocol")
        cls._own_steps = tuple(name for name in steps if own(name))

    # The handler

    async def _serve(self, request: Request | None) -> None:
        """
        Live from the request to the end of the handler.

        Args:
            request: None if it has been answered.
        """
        if request is not None:
            try:
                if not await self._answer(request):
                    return
            except asyncio.CancelledError:
                self.transport.abort()
                raise
            except Exception:
                self._fail_handshake()
                return
            request = None
        try:
            await self.ws_handler(self)
        except asyncio.CancelledError:
            await self.close(*(self.server._closing_with or (1011, "")))
            raise
        except Exception as exc:
            self._handler_failed(exc)
            await self.close(1011)
        else:
            if self.open:
                self._note(logging.DEBUG, "handler returned; closing")
            await self.close()

    def _handler_failed(self, exc: Exception) -> None:
        # A ConnectionClosed while this connection is open is another one's, such
        # as that of a client that the handler runs: nobody has noticed it yet.
        if self.state is State.OPEN or not only_closed(exc):
            self.logger.error("connection handler failed", exc_info=exc)
        elif isinstance(exc, ConnectionClosedOK):
            self._note(logging.DEBUG, "handler ended: %s", exc)
        else:
            self._note(logging.INFO, "handler ended: %s", exc)

    def _is_running(self) -> bool:
        """Whether a hook or the handler is at work."""
        return self.handler_task is not None and not self.handler_task.done()

    def _describe(self) -> str:
        """Name the handler and its client, for the log."""
        handler: Any = self.ws_handler
        while isinstance(handler, functools.partial):
            handler = handler.func
        name = getattr(handler, "__qualname__", type(handler).__name__)
        path = "?" if self.request is None else self.request.path
        return f"{name} with path {path[:64]!r} from {self.remote_address}"

    def _begin_close(self, code: int, reason: str) -> None:
        """Send a close frame and don't wait; the connection's own timer does."""
        closing = self._session.close(code, reason, monotonic())
        next(closing, None)
        closing.close()
        self._driver.step()

    # What programs override

    async def process_request(self, path: str, request_headers: Headers) -> Any:
        """
        Override to answer plain HTTP, or to check requests.

        By default this calls the function that was given to `serve`.

        Returns:
            None to go on, or ``(status, headers, body)``, or a `Response`.
        """
        hook = self._settings.process_request
        if hook is None or self.request is None:
            return None
        return await maybe(hook(self, self.request))

    def select_subprotocol(
        self, client_subprotocols: Sequence[str], server_subprotocols: Sequence[str]
    ) -> str | None:
        """
        Override to choose a subprotocol; called if neither list is empty.

        By default this calls the function that was given to `serve`, or takes the
        server's first one that the client offers too.
        """
        hook = self._settings.select_subprotocol
        client, server = list(client_subprotocols), list(server_subprotocols)
        if hook is not None:
            return hook(self, client, server)
        return next((name for name in server if name in client), None)

    #: overridable step: ``(headers, origins) -> origin``
    process_origin = staticmethod(process_origin)
    #: overridable step: ``(headers, factories) -> (header value, extensions)``
    process_extensions = staticmethod(process_server_extensions)

    def process_subprotocol(
        self, headers: Headers, available_subprotocols: Sequence[str] | None
    ) -> Subprotocol | None:
        """Override to read and choose a subprotocol."""
        available = list(available_subprotocols or ())
        if self._own_select:

            def select(offered: list[Subprotocol]) -> str | None:
                if not offered or not available:
                    return None
                return call_hook(
                    "select_subprotocol", self.select_subprotocol, offered, available
                )

            return process_server_subprotocol(headers, available, select)
        hook = self._settings.select_subprotocol
        if hook is None:
            return process_server_subprotocol(headers, available)
        return process_server_subprotocol(
            headers,
            available,
            lambda offered: call_hook(
                "select_subprotocol", hook, self, offered, available
            ),
        )

    async def wait_closed(self) -> None:
        """
        Wait until the connection is closed, by whichever side.

        A hook may call it too, to learn that its client has gone.

        Never raises.  Cut: safe.
        """
        while self._session is None:
            if self._driver.ended:
                return
            if self._gone is None:
                self._gone = asyncio.Event()
            await self._gone.wait()
        await super().wait_closed()

    def _known(self, part: Any, name: str) -> Any:
        # The request is known to hooks already.
        if part is None:
            raise AttributeError(f"{name} is not known before the request is complete")
        return part

    @property
    def ws_server(self) -> Server:
        """The server that accepted the connection."""
        return self.server

    @property
    def origins(self) -> Sequence[OriginRule] | None:
        """Origins that are admitted; None for all."""
        return self._settings.origins

    @property
    def available_extensions(self) -> Sequence[ServerExtensionFactory] | None:
        """Extensions that the server supports."""
        return self._settings.extensions

    @property
    def available_subprotocols(self) -> Sequence[str] | None:
        """Subprotocols that the server supports."""
        return self._settings.subprotocols

    @property
    def extra_headers(self) -> Any:
        """What is added to the response 101."""
        return self._settings.extra_headers

    @property
    def server_header(self) -> str | None:
        """Value of ``Server``."""
        return self._settings.server_header
