"""A transport that encrypts, on any transport for `asyncio.BufferedProtocol`.

It has two roles: the protocol of the transport below, from which it gets encrypted
bytes, and the transport of the protocol above.

    state       begins with           reads                   writes
    ---------   -------------------   ---------------------   ---------------------
    handshake   the transport below   the peer's handshake    wait
    open        the handshake done    go to the protocol      are encrypted at once
    closing     `close`, or the       are thrown away, up to  are thrown away
                peer's close_notify   the peer's close_notify
    lost        `abort`, or the end   none                    are thrown away
                of what is below

A peer that ends TCP without close_notify has ended its input all the same (RFC 8446,
6.1).  The protocol decides on a truncated stream, and WebSocket has close frames for
that.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from .._net.tls import RECORD, TLS
from .._net.tls_context import CONTEXT
from ..core.implementation import IMPLEMENTATION, loading

if TYPE_CHECKING or IMPLEMENTATION == "pure":
    from ._tls_link import TlsLink
else:
    with loading():
        from ._tls_link_c import TlsLink

__all__ = ["TlsTransport", "check_tls"]

# Seconds, as asyncio has them.
HANDSHAKE_TIMEOUT = 60.0
SHUTDOWN_TIMEOUT = 30.0
# Bytes that are read at once: shared by the connections of a loop, or its own where
# the loop keeps the memory while it waits.
SHARED, OWN = 131072, 53248
# Where plain text goes that nobody wants.
WASTE = memoryview(bytearray(RECORD))

_memories: WeakKeyDictionary[asyncio.AbstractEventLoop, memoryview] = (
    WeakKeyDictionary()
)


def _memory(loop: asyncio.AbstractEventLoop, *, shared: bool) -> memoryview:
    if not shared:
        return memoryview(bytearray(OWN))
    memory = _memories.get(loop)
    if memory is None:
        memory = _memories[loop] = memoryview(bytearray(SHARED))
    return memory


def check_tls(
    context: Any, handshake_timeout: float | None, shutdown_timeout: float | None
) -> None:
    """
    Check the parameters of TLS.

    Raises:
        TypeError: `context` is no `ssl.SSLContext`.
        ValueError: a timeout is not a positive number of seconds.
    """
    if not isinstance(context, CONTEXT):
        raise TypeError(f"ssl must be an SSLContext, not {type(context).__name__}")
    for name, value in (
        ("ssl_handshake_timeout", handshake_timeout),
        ("ssl_shutdown_timeout", shutdown_timeout),
    ):
        if value is not None and not value > 0:
            raise ValueError(f"{name} is {value!r}; it must be more than 0 seconds")


class TlsTransport(TlsLink, asyncio.BufferedProtocol):
    """
    TLS on a transport.

    Args:
        loop: the running loop.
        protocol: has `get_buffer`; it is told of this transport after the handshake.
        context: settings of encryption and trust.
        server_side: side of the connection.
        server_hostname: name that the certificate must have; None checks no name.
        handshake_timeout: seconds; None for 60.
        shutdown_timeout: seconds for the peer's answer to close_notify in which it
            takes nothing of what waits; None for 30.
        shared: whether connections may share the memory for encrypted bytes: the
            transport below asks for it only when there is something to read, and
            does not read from that memory itself.
        early: tell the protocol before the handshake, so that it can keep count of
            connections and end them.

    Raises:
        TypeError, ValueError: as ``SSLContext.wrap_bio``.
    """

    __slots__ = (
        "__weakref__",
        "_context",
        "_early",
        "_end_held",
        "_established",
        "_failure",
        "_finishing",
        "_handshake_timeout",
        "_loop",
        "_shutdown_timeout",
        "_tcp_ended",
        "_timer",
        "_when_secure",
        "secured",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        protocol: Any,
        context: ssl.SSLContext,
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
        handshake_timeout: float | None = None,
        shutdown_timeout: float | None = None,
        shared: bool = True,
        early: bool = False,
    ) -> None:
        tls = TLS(context, server_side=server_side, server_hostname=server_hostname)
        super().__init__(tls, _memory(loop, shared=shared))
        self.set_protocol(protocol)
        self._loop = loop
        self._context = context
        self._early = early
        self._handshake_timeout = handshake_timeout or HANDSHAKE_TIMEOUT
        self._shutdown_timeout = shutdown_timeout or SHUTDOWN_TIMEOUT
        self._established = False
        # Whether the end of input waits until the protocol reads again.
        self._end_held = False
        self._tcp_ended = False
        self._finishing = False
        self._failure: BaseException | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._when_secure: Callable[[], object] | None = None
        #: ends with the handshake; None if nobody waits for it
        self.secured: asyncio.Future[None] | None = None

    def __repr__(self) -> str:
        return (
            f"<TlsTransport established={self._established} closing={self.closing}"
            f" over {self.lower!r}>"
        )

    # The handshake

    def connection_made(self, transport: Any) -> None:
        """Begin the handshake on a transport (asyncio calls this)."""
        self.set_lower(transport)
        if self._early:
            self.protocol.connection_made(self)
            if self.closing:
                return
        self._timer = self._loop.call_later(
            self._handshake_timeout, self._handshake_due
        )
        self._shake_hands()

    def call_when_secure(self, callback: Callable[[], object]) -> None:
        """Call back after the handshake, before anything is read; only with `early`."""
        self._when_secure = callback

    @property
    def established(self) -> bool:
        """Whether the handshake was done."""
        return self._established

    def _received_slowly(self) -> None:
        if self.closing:
            self._discard()
        elif self._established:
            self._send_output()
            self.pump()
        else:
            while not self._established and not self.closing and self.feed_some():
                self._shake_hands()

    def _shake_hands(self) -> None:
        try:
            done = self.tls.shake_hands()
        except Exception as exc:
            # Also what subclasses of contexts raise that verify on their own.
            self._broken(exc)
            return
        if done:
            # The last of the handshake travels with what the protocol writes.
            self._secure()
        else:
            self._send_output()

    def _handshake_due(self) -> None:
        self._timer = None
        self._failure = TimeoutError(
            f"TLS handshake took more than {self._handshake_timeout:g} s"
            " (ssl_handshake_timeout)"
        )
        self.abort()

    def _secure(self) -> None:
        self._stop_timer()
        self._established = True
        callback, self._when_secure = self._when_secure, None
        secured, self.secured = self.secured, None
        try:
            if not self._early:
                self.protocol.connection_made(self)
            elif callback is not None:
                callback()
        except Exception as exc:
            self._protocol_failed(exc, "connection_made")
        if secured is not None and not secured.done():
            secured.set_result(None)
        if self.closing:
            return
        # Output that was written meanwhile goes out now.
        self._send_output()
        self.pump()

    # Writing

    def _write_slowly(self, data: bytes | bytearray | memoryview) -> None:
        if self.closing or not data:
            return
        self.tls.waiting.append(bytes(data))
        if self._established:
            self._send_output()

    def _send_output(self) -> None:
        if not self._established:
            data = self.tls.outgoing.read()
        else:
            try:
                data = self.tls.output()
            except ssl.SSLError as exc:
                self._broken(exc)
                return
            self.slow = bool(self.tls.waiting) or self.closing
        if data:
            self.lower.write(data)

    def writelines(self, pieces: Any) -> None:
        """Write pieces, one after the other."""
        self.write(b"".join(pieces))

    def can_write_eof(self) -> bool:
        """Tell that only both directions can be closed."""
        return False

    def write_eof(self) -> None:
        """Not supported, as with TLS of asyncio."""
        raise NotImplementedError("TLS closes both directions together")

    def get_write_buffer_size(self) -> int:
        """Return how many bytes wait, here and below."""
        size: int = self.lower.get_write_buffer_size()
        return size + sum(map(len, self.tls.waiting)) if self.tls.waiting else size

    def get_write_buffer_limits(self) -> Any:
        """Return the marks of the transport below, low and high, in bytes."""
        return self.lower.get_write_buffer_limits()

    def set_write_buffer_limits(
        self, high: int | None = None, low: int | None = None
    ) -> None:
        """Set the marks of the transport below, in bytes."""
        self.lower.set_write_buffer_limits(high=high, low=low)

    def pause_writing(self) -> None:
        """Pass on that the transport below holds enough (asyncio calls this)."""
        self._call_protocol("pause_writing")

    def resume_writing(self) -> None:
        """Pass on that the transport below has room again (asyncio calls this)."""
        self._call_protocol("resume_writing")

    def _call_protocol(self, name: str) -> None:
        if self.protocol is None or not (self._established or self._early):
            return
        try:
            getattr(self.protocol, name)()
        except Exception as exc:
            self._complain(exc, name)

    # Reading

    def is_reading(self) -> bool:
        """Tell whether the protocol gets what arrives."""
        return not (self.paused or self.closing)

    def pause_reading(self) -> None:
        """Deliver nothing more, until `resume_reading`."""
        if self.closing or self.paused:
            return
        self.paused = True
        if self._established and not self.lower.is_closing():
            self.lower.pause_reading()

    def resume_reading(self) -> None:
        """Deliver again, first what is held."""
        if self.closing or not self.paused:
            return
        self.paused = False
        if not self._established:
            return
        if not self.lower.is_closing():
            self.lower.resume_reading()
        if self._end_held or self.holds():
            # Not within the call: the protocol may not be ready for it.
            self._loop.call_soon(self._deliver_held)

    def _deliver_held(self) -> None:
        self.pump()
        if self._end_held and not (self.paused or self.closing):
            self._peer_finished()

    # The end

    def is_closing(self) -> bool:
        """Tell whether the transport is closing, or closed."""
        return self.closing or self.lower is None or self.lower.is_closing()

    @property
    def closed(self) -> bool:
        """Whether the socket is closed, if that is known."""
        return getattr(self.lower, "closed", False)

    def close(self) -> None:
        """Send what waits and close_notify, and close when the peer has answered."""
        if self.closing:
            return
        self.closing = self.slow = True
        if not self._established:
            self.lower.abort()
            return
        done = self.tls.finish() or self._tcp_ended
        try:
            data = self.tls.output()
        except ssl.SSLError:
            data, done = b"", True
        self.slow = True
        if data:
            self.lower.write(data)
        if done:
            self.lower.close()
            return
        self._finishing = True
        self._wait_for_answer(2**62)
        if self.paused and not self.lower.is_closing():
            self.lower.resume_reading()
        # The answer may be among what is held.
        self._discard()

    def _wait_for_answer(self, before: int) -> None:
        """Give up when nothing of what waits was taken within the timeout."""
        self._timer = None
        left = self.lower.get_write_buffer_size()
        if left >= before:
            self._failure = TimeoutError(
                "the peer did not answer close_notify within"
                f" {self._shutdown_timeout:g} s (ssl_shutdown_timeout)"
            )
            self.abort()
            return
        self._timer = self._loop.call_later(
            self._shutdown_timeout, self._wait_for_answer, left
        )

    def _discard(self) -> None:
        """Throw away what the peer still sends, up to its close_notify."""
        if not self._finishing:
            self.drop_rest()
            return
        try:
            while self.tls.pending() or self.feed_some():
                self.tls.read_into(WASTE)
        except ssl.SSLZeroReturnError:
            self._finishing = False
            self.lower.close()
        except ssl.SSLError:
            self.abort()

    def abort(self) -> None:
        """End at once; what waits is lost."""
        self.closing = self.slow = True
        self._finishing = False
        if self.lower is not None:
            self.lower.abort()

    def _peer_finished(self) -> None:
        if self.paused:
            self._end_held = True
            return
        self._end_held = False
        try:
            self.protocol.eof_received()
        except Exception as exc:
            self._protocol_failed(exc, "eof_received")
            return
        self.close()

    def eof_received(self) -> bool:
        """Take the end of TCP (asyncio calls this); returns whether to keep it open."""
        if self.closing:
            return False
        if not self._established:
            self._failure = ConnectionResetError(
                "the peer closed TCP during the TLS handshake"
            )
            return False
        self._tcp_ended = True
        self._peer_finished()
        return self._end_held

    def _broken(self, exc: BaseException) -> None:
        if self._failure is None:
            self._failure = exc
        self.closing = self.slow = True
        # An alert tells the peer what was wrong (RFC 8446, 6.2).
        alert = self.tls.outgoing.read()
        if alert and not self.lower.is_closing():
            self.lower.write(alert)
        if self._established:
            self.lower.abort()
        else:
            self.lower.close()

    def _protocol_failed(self, exc: BaseException, where: str) -> None:
        self._complain(exc, where)
        self._failure = self._failure or exc
        self.abort()

    def _complain(self, exc: BaseException, where: str) -> None:
        self._loop.call_exception_handler(
            {
                "message": f"protocol.{where}() failed",
                "exception": exc,
                "transport": self,
                "protocol": self.protocol,
            }
        )

    def connection_lost(self, exc: BaseException | None) -> None:
        """Take the end of the transport below (asyncio calls this)."""
        self._stop_timer()
        failure, self._failure = self._failure, None
        if failure is None:
            failure = exc
        protocol = self.protocol
        secured, self.secured = self.secured, None
        if secured is not None and not secured.done():
            secured.set_exception(
                failure or ConnectionAbortedError("TLS handshake was aborted")
            )
        if self._established:
            # The protocol may connect again at once.
            self.tls.store_session()
        try:
            if self._established or self._early:
                protocol.connection_lost(failure)
        finally:
            self.closing = self.slow = True
            self.set_protocol(None)
            self._when_secure = None

    def receive_rest(self, memory: memoryview) -> int:
        """
        Read what has been received, without waiting, in `connection_lost`.

        Returns:
            Number of bytes; 0 if there are none.
        """
        try:
            while True:
                if self.tls.pending() or self.feed_some():
                    size = self.tls.read_into(memory)
                    if size:
                        return size
                elif not self._read_below():
                    return 0
        except (OSError, ValueError):
            return 0

    def _read_below(self) -> bool:
        """Read encrypted bytes that nobody has read; returns whether there were any."""
        if isinstance(self.lower, TlsTransport):
            part = memoryview(bytearray(RECORD))
            raw = bytes(part[: self.lower.receive_rest(part)])
        else:
            sock = self.lower.get_extra_info("socket")
            if sock is None:
                return False
            raw = os.read(sock.fileno(), RECORD)
        self.hold(raw)
        return bool(raw)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # State

    def fileno(self) -> int:
        """Return the descriptor of the socket; -1 if there is none."""
        if hasattr(self.lower, "fileno"):
            number: int = self.lower.fileno()
            return number
        sock = self.get_extra_info("socket")
        return -1 if sock is None else sock.fileno()

    def get_protocol(self) -> Any:
        """Return the protocol."""
        return self.protocol

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what is known of TLS, by the names of asyncio, or of what is below."""
        if name == "sslcontext":
            return self._context
        if name in ("ssl_object", "peercert", "cipher", "compression"):
            if not self._established:
                return default
            tls = self.tls.object
            if name == "ssl_object":
                return tls
            return tls.getpeercert() if name == "peercert" else getattr(tls, name)()
        if self.lower is None:
            return default
        return self.lower.get_extra_info(name, default)
