# cython: language_level=3, boundscheck=False, wraparound=False, binding=False
"""A transport for one TCP or Unix socket, on loops with `add_reader`.

An idle one takes some 200 bytes beside its socket.  It does what asyncio's own
transports do, for protocols that have `get_buffer`; TLS is not its business.
"""

import os
import socket as _socket
import warnings
from asyncio.trsock import TransportSocket

from cpython.buffer cimport PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.errno cimport EAGAIN, EBADF, EINTR, errno
from libc.string cimport memset

from ..core.wire._wire_c cimport ReaderInterface
from ._hot_c cimport HotDriver, NativeTransport

include "_tcp_api_c.pxi"
include "_addresses_c.pxi"


cdef object bad_descriptor():
    return OSError(EBADF, "the socket was closed by another owner")


cdef class TcpTransport(NativeTransport):
    cdef object __weakref__
    cdef object _loop
    # The `EpollReader` that watches the socket for input; None for `loop.add_reader`.
    cdef object _poller
    cdef object _protocol
    # The protocol again, once it is a driver that carries messages.
    cdef HotDriver _hot
    cdef object _sock
    cdef object _peername
    cdef object _sockname
    # Output that waits: bytes objects, of which the first has been sent up to an
    # offset; None while nothing waits.
    cdef list _chunks
    cdef Py_ssize_t _offset
    cdef Py_ssize_t _size
    cdef Py_ssize_t _high
    cdef Py_ssize_t _low
    cdef int _fd
    # Whether others have the socket too, and may have closed it.
    cdef bint _guest
    cdef bint _closing
    cdef bint _lost
    # Whether `eof_received` is scheduled; `connection_lost` follows in the same
    # callback.  The reason is the one of a loss in between.
    cdef bint _at_end
    # Whether the socket is closed already when `connection_lost` is called.
    cdef readonly bint closed
    cdef object _reason
    cdef bint _eof
    cdef bint _reading
    cdef bint _protocol_paused
    # Number of bytes that make the socket ready, 0 for any; the timer that checks
    # whether they come; and whether bytes have come since its last check.
    cdef int _portion
    cdef object _timer
    cdef bint _moved

    def __init__(self, loop, sock, protocol, peername, poller=None, bint guest=False):
        """
        Args:
            sock: a socket, or the descriptor of one, which gets an object if asked for.
            peername: its address; None to look it up.
            poller: the `EpollReader` to watch it; None for the loop.
            guest: whether the socket is the program's, which may close it: its number
                may be another's then, so it is asked for each time.
        """
        self._loop = loop
        self._poller = poller
        if type(sock) is int:
            self._fd = sock
        else:
            self._sock = sock
            self._fd = sock.fileno()
            self._guest = guest
        self._protocol = protocol
        self._peername = peername
        self._high = 65536
        self._low = 16384

    def start(self):
        """Tell the protocol, and begin to read unless it has paused or closed."""
        self._protocol.connection_made(self)
        if not self._closing and not self._reading:
            self.resume_reading()

    def read_now(self):
        """Read what may have arrived with the connection, before the loop looks."""
        if self._reading:
            self.readable()

    def __repr__(self):
        return f"<TcpTransport fd={self._fd} closing={bool(self._closing)}>"

    # State

    def get_extra_info(self, name, default=None):
        if name == "socket":
            # A program that closed the real one would leave us with a number that may
            # be another's.
            sock = self._object()
            return default if sock is None else TransportSocket(sock)
        if name == "peername":
            return self._peername
        if name == "sockname":
            if self._sockname is None and not self._lost:
                self._remember_name()
            return self._sockname
        return default

    cdef object _object(self):
        """Return the socket; None if nobody wanted it until the end."""
        if self._sock is None and self._fd >= 0:
            self._sock = _socket.socket(fileno=self._fd)
            self._sock.setblocking(False)
        return self._sock

    def fileno(self):
        """Return the descriptor; -1 once it is closed."""
        return self._fd

    def set_options_of_ip(self, wanted):
        """Set options of a socket that is known to be one of IP; returns whether."""
        cdef int value
        if self._sock is not None or self._fd < 0:
            return False
        for level, name, number in wanted:
            value = number
            # Options that this system does not know are left out.
            c_setsockopt(self._fd, level, name, &value, sizeof(value))
        return True

    cdef _remember_name(self):
        cdef fdx_name name
        if self._fd < 0 or (self._guest and self._lent()):
            return
        if fdx_getsockname(self._fd, &name) == 0:
            self._sockname = address_in(&name)
        if self._sockname is None:
            try:
                self._sockname = self._object().getsockname()
            except OSError:
                pass

    cdef _close_socket(self):
        cdef int fd = self._fd
        if fd < 0 or (self._guest and self._lent()):
            return
        self._fd = -1
        if self._sock is not None:
            self._sock.close()
        else:
            with nogil:
                c_close(fd)

    def get_protocol(self):
        return self._protocol

    def set_protocol(self, protocol):
        self._protocol = protocol
        self._wait_for(0)
        self._hot = None
        if isinstance(protocol, HotDriver) and (<HotDriver>protocol).session is not None:
            self._hot = protocol

    def is_closing(self):
        return self._closing

    cdef bint leaving(self) except -1:
        return self._closing

    def is_reading(self):
        return self._reading

    def can_write_eof(self):
        return True

    def get_write_buffer_size(self):
        return self._size

    def get_write_buffer_limits(self):
        return self._low, self._high

    def set_write_buffer_limits(self, high=None, low=None):
        if high is None:
            high = 65536 if low is None else 4 * low
        if low is None:
            low = high // 4
        if not high >= low >= 0:
            raise ValueError(f"high is {high!r} and low is {low!r}; low must be 0 to high")
        self._high = high
        self._low = low
        self._check_high()

    # Reading

    def pause_reading(self):
        if not self._closing:
            self._stop_reading()

    def resume_reading(self):
        if self._closing or self._reading:
            return
        if self._lent():
            self._force_close(bad_descriptor())
            return
        try:
            if self._poller is None:
                if type(self._loop).__module__ == "uvloop":
                    self._loop.add_reader(self._fd, self._readable_or_over)
                else:
                    self._loop.add_reader(self._fd, self._readable)
            else:
                self._poller.add_reader(self._fd, self)
        except OSError as exc:
            # The system watches as many as it can, or has no memory.
            self._complain(exc, "a connection cannot be watched by the system")
            self._force_close(exc)
        else:
            self._reading = True

    cdef bint _lent(self) except -1:
        """Whether the socket was closed by somebody else, and is not to be touched."""
        if self._guest and self._fd >= 0 and self._sock.fileno() != self._fd:
            # The descriptor that the loop watches may be another's by now.
            self._fd = -1
            self._reading = False
        return self._guest and self._fd < 0

    def _readable(self):
        self.readable()

    def _readable_or_over(self):
        """
        Read on a loop that tells of a reset once, with what came before it.

        libuv watches a socket no more once it has an error: a transport that does not
        read up to that would never hear of the end.
        """
        self.readable()
        while self._reading and not self._closing and fdx_hung_up(self._fd):
            self.readable()

    cdef int readable(self) except -1:
        cdef Py_buffer view
        cdef ssize_t count
        if self._closing:
            return 0
        if self._guest and self._lent():
            self._force_close(bad_descriptor())
            return 0
        if self._hot is not None:
            self._read_message(self._hot)
            return 0
        protocol = self._protocol
        try:
            memory = protocol.get_buffer(-1)
            PyObject_GetBuffer(memory, &view, PyBUF_WRITABLE)
        except Exception as exc:
            self._failed(exc, "get_buffer")
            return 0
        if view.len == 0:
            PyBuffer_Release(&view)
            self._failed(RuntimeError("get_buffer() returned no memory"), "get_buffer")
            return 0
        count = receive(self._fd, <char *>view.buf, view.len, LONG_READ)
        if count < 0:
            exc = None if errno == EAGAIN else os_error()
            PyBuffer_Release(&view)
            if exc is not None:
                self._force_close(exc)
            return 0
        PyBuffer_Release(&view)
        memory = None
        if count == 0:
            self._ended()
            return 0
        try:
            protocol.buffer_updated(count)
        except Exception as exc:
            self._failed(exc, "buffer_updated")
        return 0

    cdef _read_message(self, HotDriver hot):
        """Read to where the driver's reader wants it, without a view of it."""
        cdef char *start = NULL
        cdef Py_ssize_t room = 0
        cdef ssize_t count
        cdef ReaderInterface reader = hot.session.reader
        try:
            reader.writable_region(&start, &room)
        except Exception as exc:
            self._failed(exc, "get_buffer")
            return
        count = receive(self._fd, start, room, LONG_READ)
        if count > 0:
            try:
                hot.received(count)
            except Exception as exc:
                self._failed(exc, "buffer_updated")
            room = reader.payload_remaining() if count >= FLOWING else 0
            if room or self._portion:
                self._moved = True
                self._wait_for(min(room, PORTION))
        elif count == 0:
            self._ended()
        elif errno != EAGAIN:
            self._force_close(os_error())

    cdef _wait_for(self, int size):
        """Be called for a good part of a large payload, not for each packet."""
        if size == self._portion or self._closing or (size < FLOWING and not self._portion):
            return
        if self._guest and self._lent():
            return
        fdx_ready_at(self._fd, size or 1)
        self._portion = size
        if self._timer is None:
            self._moved = True
            self._timer = self._loop.call_later(STALL, self._check_flow)

    def _check_flow(self):
        self._timer = None
        if self._portion == 0:
            return
        if not self._moved:
            # The bytes that are there may be all for long.  It is a sign of life; read
            # it.
            self._wait_for(0)
            return
        self._moved = False
        self._timer = self._loop.call_later(STALL, self._check_flow)

    cdef _ended(self):
        self._at_end = True
        try:
            if self._protocol.eof_received():
                self.pause_reading()
            else:
                self.close()
        except Exception as exc:
            self._failed(exc, "eof_received")
        self._at_end = False
        if self._lost:
            reason, self._reason = self._reason, None
            self._end(reason)

    # Writing

    def write(self, data):
        # `bytes` alone would make NUL bytes of a number.
        self.send(data if type(data) is bytes else bytes(memoryview(data)))

    cdef int send(self, bytes data, bint last=False) except -1:
        cdef ssize_t count = 0
        # The end of our direction follows at once, and travels with it.
        cdef int flags = FDX_SEND_FLAGS | FDX_MORE if last else FDX_SEND_FLAGS
        cdef Py_ssize_t size = PyBytes_GET_SIZE(data)
        cdef const char *start
        if size == 0 or self._lost or self._eof:
            return 0
        if self._guest and self._lent():
            self._force_close(bad_descriptor())
            return 0
        if self._chunks is None:
            start = PyBytes_AS_STRING(data)
            while True:
                if size > LONG:
                    with nogil:
                        count = c_send(self._fd, start, size, flags)
                else:
                    count = c_send(self._fd, start, size, flags)
                if count >= 0 or errno != EINTR:
                    break
            if count == size:
                return 0
            if count < 0:
                if errno != EAGAIN:
                    self._force_close(os_error())
                    return 0
                count = 0
            self._chunks = [data]
            self._offset = count
            self._size = size - count
            try:
                self._loop.add_writer(self._fd, self._writable)
            except OSError as exc:
                self._chunks = None
                self._size = self._offset = 0
                self._complain(exc, "a connection cannot be watched by the system")
                self._force_close(exc)
                return 0
        else:
            self._chunks.append(data)
            self._size += size
        self._check_high()
        return 0

    def writelines(self, pieces):
        self.write(b"".join(pieces))

    cdef _check_high(self):
        if self._size <= self._high or self._protocol_paused:
            return
        self._protocol_paused = True
        try:
            self._protocol.pause_writing()
        except Exception as exc:
            self._complain(exc, "protocol.pause_writing() failed")

    def _writable(self):
        cdef iovec vectors[PIECES]
        cdef msghdr message
        cdef ssize_t count
        cdef Py_ssize_t size
        cdef int number = 0
        cdef int done = 0
        if self._lost or self._chunks is None:
            return
        if self._guest and self._lent():
            self._force_close(bad_descriptor())
            return
        for chunk in self._chunks:
            vectors[number].iov_base = PyBytes_AS_STRING(chunk)
            vectors[number].iov_len = PyBytes_GET_SIZE(chunk)
            number += 1
            if number == PIECES:
                break
        vectors[0].iov_base = <char *> vectors[0].iov_base + self._offset
        vectors[0].iov_len -= self._offset
        memset(&message, 0, sizeof(message))
        message.msg_iov = vectors
        message.msg_iovlen = number
        while True:
            with nogil:
                count = c_sendmsg(self._fd, &message, FDX_SEND_FLAGS)
            if count >= 0 or errno != EINTR:
                break
        if count < 0:
            if errno != EAGAIN:
                self._force_close(os_error())
            return
        self._size -= count
        count += self._offset
        self._offset = 0
        while done < number:
            size = PyBytes_GET_SIZE(self._chunks[done])
            if count < size:
                self._offset = count
                break
            count -= size
            done += 1
        if done:
            del self._chunks[:done]
        if self._size == 0:
            self._chunks = None
            self._loop.remove_writer(self._fd)
        if self._protocol_paused and self._size <= self._low:
            self._protocol_paused = False
            try:
                self._protocol.resume_writing()
            except Exception as exc:
                self._complain(exc, "protocol.resume_writing() failed")
        if self._size == 0 and not self._lost:
            # The protocol may have written again.
            if self._closing:
                self._lose(None)
            elif self._eof:
                self._shut_down()

    def write_eof(self):
        if self._closing or self._eof:
            return
        self._eof = True
        if self._size == 0:
            self._shut_down()

    cdef _shut_down(self):
        if self._guest and self._lent():
            return
        with nogil:
            # If it fails, the peer has gone; reading will tell.
            c_shutdown(self._fd, SHUT_WR)

    # Ending

    def close(self):
        if self._closing:
            return
        self._stop_reading()
        self._closing = True
        if self._size == 0:
            self._lose(None)

    def abort(self):
        self._force_close(None)

    cdef _stop_reading(self):
        if not self._reading or (self._guest and self._lent()):
            return
        self._reading = False
        if self._poller is None:
            self._loop.remove_reader(self._fd)
        else:
            self._poller.remove_reader(self._fd, self)

    cdef _force_close(self, exc):
        if self._lost:
            return
        if self._chunks is not None:
            self._chunks = None
            self._size = self._offset = 0
            if self._fd >= 0:
                self._loop.remove_writer(self._fd)
        self._stop_reading()
        self._closing = True
        self._lose(exc)

    cdef _lose(self, exc):
        self._lost = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._at_end:
            self._reason = exc
        else:
            self._loop.call_soon(self._end, exc)

    def _end(self, exc):
        protocol = self._protocol
        if self._sockname is None:
            self._remember_name()
        try:
            if exc is None:
                # The protocol that is told now may go on at once.
                self.closed = True
                self._close_socket()
            protocol.connection_lost(exc)
        finally:
            self._close_socket()
            self._protocol = self._hot = None
            self._loop = self._poller = None

    cdef _failed(self, exc, where):
        # A fault of the protocol, which its owner should hear of.
        self._complain(exc, f"protocol.{where}() failed")
        self._force_close(exc)

    cdef _complain(self, exc, what):
        self._loop.call_exception_handler(
            {
                "message": what,
                "exception": exc,
                "transport": self,
                "protocol": self._protocol,
            }
        )

    def __del__(self):
        if self._lost or self._fd < 0:
            return
        text = repr(self)
        self._close_socket()
        # Where the interpreter ends, nobody is left to be warned.
        if warnings is not None:
            warnings.warn(f"unclosed transport {text}", ResourceWarning, source=self)
