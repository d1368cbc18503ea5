"""Server side of a connection on asyncio, for handlers and subclasses."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from ..core.endpoint.not_open import NOT_OPEN
from ..core.http.headers import Headers
from ..core.http.messages import Request
from ..core.server.hooks import maybe
from ._protocol_server_connection import Standalone
from .connection import Connection

if TYPE_CHECKING:
    from ._server import Server


class ServerConnection(Standalone, face=True):
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
    #: handler of the route that was taken, for `Router`
    handler: Callable[..., Awaitable[None]]
    #: values of the variable parts of its path, for `Router`
    handler_kwargs: dict[str, Any]

    # The handler

    async def _serve(self, request: Request | None) -> None:
        """
        Live from the request to the end of the handler.

        Args:
            request: None if it has been answered.
        """
        if request is not None:
            try:
                if not await self._answer_request(request):
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
            await self._close_anyway(*self._cancelled())
            raise
        except Exception as exc:
            await self._close_anyway(*self._failed(exc))
        else:
            await self._close_anyway(*self._returned())

    async def _close_anyway(self, code: int, reason: str) -> None:
        """Close, also where an override of `close` raises, or closes nothing."""
        try:
            await self.close(code, reason)
        except Exception:
            self.logger.error("close() of the connection failed", exc_info=True)
        if not self._driver.ended:
            await Connection.close(self, code, reason)

    def _is_running(self) -> bool:
        """Whether a hook or the handler is at work."""
        return self.handler_task is not None and not self.handler_task.done()

    # Methods that programs override

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

    async def wait_closed(self) -> None:
        """
        Wait until the connection is closed, by whichever side.

        A hook may call it too, to learn that its client has gone.

        Never raises.  Cancellation: safe.
        """
        while self._session is NOT_OPEN:
            if self._driver.ended:
                return
            if self._gone is None:
                self._gone = asyncio.Event()
            await self._gone.wait()
        await super().wait_closed()
