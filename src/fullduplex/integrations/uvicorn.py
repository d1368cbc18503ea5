"""WebSocket for uvicorn: ``--ws fullduplex.integrations.uvicorn:WebSocketProtocol``.

uvicorn reads the request, makes a `WebSocketProtocol`, and gives it the transport
and the request's bytes.  From then on this is a driver like that of any other
connection; instead of `recv` and `send` it has the two calls of ASGI.
"""

from __future__ import annotations

from uvicorn.protocols.utils import ClientDisconnected

from ..asyncio._time_slice import yield_once
from ..core.endpoint import operations
from ..core.endpoint.endpoint import Endpoint
from ..core.endpoint.message_sender import message_payload
from ..core.endpoint.operations import Operation
from ..core.frames.close import ConnectionClosed, State
from ._asgi import (
    CLOSE,
    CONNECT,
    SEND,
    Event,
    Stage,
    check_event,
    close_arguments,
    disconnect_event,
    payload_of,
)
from ._uvicorn_handshake import HandshakePhase

__all__ = ["WebSocketProtocol"]

# Seconds for a client to answer the close frame of a server that shuts down, before
# TCP is cut.
SHUTDOWN_TIMEOUT = 3.0


class WebSocketProtocol(HandshakePhase):
    """
    One WebSocket connection of a uvicorn server; uvicorn makes it.

    It honours ``ws_max_size`` (bytes), ``ws_max_queue`` (messages), and
    ``ws_ping_interval`` and ``ws_ping_timeout`` (seconds; 0 or None for none),
    ``ws_per_message_deflate`` and ``root_path``, and logs where uvicorn logs.
    Reading pauses while more than ``ws_max_queue`` messages, or 1 MiB, wait for the
    application; its `send` waits while more than 64 KiB wait for the client.

    Args:
        config: of the server.
        server_state: of the server; connections and tasks are entered there.
        app_state: state of the application's lifespan.
        _loop: the running loop.
    """

    __slots__ = ()

    def shutdown(self) -> None:
        """Close the connection, for the server goes away (1012)."""
        if self.session is not None:
            self.begin_close(1012, "")
            self._end_within(SHUTDOWN_TIMEOUT)
        elif self.stage is Stage.CONNECTING:
            self._answer(503, b"Server is shutting down.\n")
            self._wake()

    # The application

    async def _run(self) -> None:
        scope = self._scope
        logger = self._shared.logger
        code = 1000
        try:
            result = await self._app(scope, self.receive, self.send)
        except BaseException as exc:
            code = 1011
            if not isinstance(exc, Exception):
                self._app_ended(code)
                raise
            if not _only_disconnected(exc):
                logger.error("Exception in ASGI application", exc_info=exc)
        else:
            if result is not None:
                code = 1011
                logger.error(
                    "ASGI application returned %r; expected None", type(result).__name__
                )
            if not self.ended and self.stage in (Stage.CONNECTING, Stage.DENYING):
                logger.error(
                    "ASGI application returned before it had answered the handshake"
                )
        self._app_ended(code)

    def _app_ended(self, code: int) -> None:
        """End the connection, unless that was done."""
        stage, self.stage = self.stage, Stage.DONE
        if self._gone():
            return
        if stage is Stage.OPEN:
            self.begin_close(code, "")
        elif stage is Stage.DENYING:
            denial = self._denial
            assert denial is not None
            if denial.begun:
                # The client must not take a part for the whole.
                self.transport.abort()
            elif code == 1000:
                self._last(denial.body(b"", False))
            else:
                self._answer(500, b"Internal Server Error")
        elif stage is Stage.CONNECTING:
            self._answer(500, b"Internal Server Error")

    # The calls of ASGI

    async def receive(self) -> Event:
        """
        Wait for the next event of ASGI.

        After the end it gives disconnect, as often as it is called.

        Cancellation: safe.  A cancelled call takes nothing; the next call gets the
        event.

        Raises:
            ConcurrencyError: another call is waiting for a message already.
        """
        if self.time_slice.spend(self.loop):
            # Before a message is taken, which would be lost where this is cancelled.
            await yield_once()
        session = self.session
        if session is None or not self._connect_told:
            return await self._receive_unopened()
        messages = session.messages
        data = messages.take()
        if data is None:
            # This waits without a second coroutine, for it is most of the cost.
            waiter = None if self.stage is Stage.DONE else self.begin_wait()
            if waiter is not None:
                try:
                    await waiter
                finally:
                    self.end_wait()
                self.time_slice.renew()
                data = messages.take()
            if data is None:
                return await self._receive_slowly(session)
        if type(data) is str:
            return {"type": "websocket.receive", "text": data}
        return {"type": "websocket.receive", "bytes": data}

    async def _receive_unopened(self) -> Event:
        if not self._connect_told:
            self._connect_told = True
            return {"type": CONNECT}
        while self.session is None:
            if self._gone() or self.stage is Stage.DONE:
                return disconnect_event(None)
            await self._wait()
        return await self.receive()

    async def _receive_slowly(self, session: Endpoint) -> Event:
        """Receive where reading is paused, fragments are queued, or all is over."""
        if (
            self.stage is Stage.DONE
            and not session.messages
            and not session.holder.holding
        ):
            return disconnect_event(session.protocol)
        try:
            return _receive_event(await self.run(operations.recv(session)))
        except ConnectionClosed:
            return disconnect_event(session.protocol)

    async def send(self, message: Event) -> None:
        """
        Carry out an event of ASGI.

        ``websocket.close`` starts to close the connection and doesn't wait for its
        end; when the client has closed it already, it does nothing.

        Cancellation: a message goes out whole or not at all.

        Raises:
            ClientDisconnected: (an `OSError`) the connection is closed, and not by
                the application.
            RuntimeError: the event is not one for now; nothing was sent.
            ProtocolError: the close code must not be sent; the connection is open.
        """
        session = self.session
        if session is not None and session.clear_to_send and message["type"] == SEND:
            data = message.get("text")
            if data is None:
                data = message.get("bytes")
            if session.writer.add_message(data):
                self.schedule_flush()
                if session.writing_paused:
                    await self._finish(operations.drain(session))
                elif self.time_slice.spend(self.loop):
                    await yield_once()
                return
        try:
            check_event(self.stage, message["type"])
            if session is not None:
                await self._send_open(session, message)
            else:
                await self._send_unopened(message)
        except Exception:
            # An application may go on in spite of what was raised.
            await self.share()
            raise
        await self.share()

    async def _send_open(self, session: Endpoint, message: Event) -> None:
        protocol = session.protocol
        if message["type"] == CLOSE:
            if protocol.state is State.OPEN:
                self.begin_close(*close_arguments(message))
            self.stage = Stage.DONE
            return
        if protocol.state is not State.OPEN:
            exc = protocol.close_exc
            raise ClientDisconnected(str(exc)) from exc
        given = payload_of(message)
        payload = message_payload(given, None)
        if payload is None:
            raise TypeError(
                "'text' must be str and 'bytes' must be bytes, "
                f"not {type(given).__name__}"
            )
        if session.fragmenting or session.writing_paused or session.leaving:
            await self._finish(operations.send(session, *payload))
            return
        protocol.send_message(*payload)
        self.schedule_flush()
        if session.writing_paused:
            await self._finish(operations.drain(session))

    async def _finish(self, operation: Operation[None]) -> None:
        try:
            await self.run_fairly(operation)
        except ConnectionClosed as exc:
            raise ClientDisconnected(str(exc)) from exc


def _receive_event(data: str | bytes) -> Event:
    kind = "text" if isinstance(data, str) else "bytes"
    return {"type": "websocket.receive", kind: data}


def _only_disconnected(exc: BaseException) -> bool:
    """Whether an exception says nothing but that the client has left."""
    if isinstance(exc, BaseExceptionGroup):
        return all(_only_disconnected(inner) for inner in exc.exceptions)
    return isinstance(exc, ClientDisconnected)
