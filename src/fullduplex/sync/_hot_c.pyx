# cython: language_level=3, binding=False, boundscheck=False, wraparound=False
"""Short paths of `recv` and `send`.  Compiled twin of ``_hot.py``.

Between two Python calls nothing can interrupt this code, so Ctrl-C finds what was
read parsed, or nothing read.
"""

import math
import os
from ssl import SSLWantReadError, SSLZeroReturnError

from cpython.buffer cimport PyBUF_READ, PyBUF_WRITE
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.exc cimport PyErr_CheckSignals
from cpython.memoryview cimport PyMemoryView_FromMemory
from libc.errno cimport EAGAIN, EINTR, errno

from ..core.endpoint._hot_c cimport HotEndpoint
from ..core.wire._wire_c cimport MessageQueue, ReadBuffer, ReaderInterface

from ..core.endpoint.write_buffer import WriteBuffer as Backlog

include "../core/kernels/_clock_c.pxi"
include "_lock_c.pxi"

NOTHING = object()

cdef enum:
    RECEIVING = 1
    PAUSED = 2
    SPARE = 16
    GLANCE = 64

cdef extern from *:
    """
    #ifdef _WIN32
    /* Where sockets are non-blocking, the general way does it. */
    #include <errno.h>
    static Py_ssize_t fdx_recv(int fd, void *p, size_t n) {
        errno = EAGAIN;
        return -1;
    }
    static Py_ssize_t fdx_send(int fd, const void *p, size_t n) {
        errno = EAGAIN;
        return -1;
    }
    #else
    #include <sys/types.h>
    #include <sys/socket.h>
    #ifndef MSG_NOSIGNAL
    #define MSG_NOSIGNAL 0
    #endif
    static Py_ssize_t fdx_recv(int fd, void *p, size_t n) {
        return recv(fd, p, n, 0);
    }
    static Py_ssize_t fdx_send(int fd, const void *p, size_t n) {
        return send(fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    #endif
    """
    Py_ssize_t fdx_recv(int fd, void *p, size_t n) nogil
    Py_ssize_t fdx_send(int fd, const void *p, size_t n) nogil


cdef object _nothing = NOTHING

cdef list _spare = [None] * SPARE
cdef Py_ssize_t _spares = 0


def spare_buffer():
    if not _spares:
        give_buffer(ReadBuffer(65536))
    return _spare[_spares - 1]


cpdef ReadBuffer take_buffer():
    global _spares
    cdef ReadBuffer buffer
    if not _spares:
        return ReadBuffer(65536)
    _spares -= 1
    buffer = <ReadBuffer>_spare[_spares]
    _spare[_spares] = None
    return buffer


cpdef give_buffer(ReadBuffer buffer):
    global _spares
    if _spares < SPARE:
        _spare[_spares] = buffer
        _spares += 1


cdef class HotDriver:
    cdef public bint aside
    cdef public object backlog
    cdef public list blocked
    cdef public object buffer
    cdef public bint mid_transition
    cdef public double due
    cdef public bint ended
    cdef public bint eof
    cdef public list followers
    cdef public list unparsed_reads
    cdef public object leader
    cdef readonly Lock lock
    cdef public HotEndpoint session
    cdef public object sock
    cdef public object tls
    cdef public int unseen
    cdef public object view
    cdef object _pieces
    cdef double _tick
    cdef int _fd
    cdef bint _guest
    # Parts of the TLS object, unless it is in other TLS.
    cdef object _coder
    cdef object _incoming
    cdef object _outgoing
    cdef object _take_in
    cdef object _decode
    cdef object _encode
    cdef object _take_out

    def __init__(self, sock, session, tls, double tick, bint guest=False):
        self.sock = sock
        self.session = session
        self.tls = tls
        self.new_lock()
        self.due = math.inf
        self.followers = []
        self.blocked = []
        self.backlog = Backlog()
        self._pieces = self.backlog.pieces
        self.unparsed_reads = []
        self._fd = sock.fileno()
        self._guest = guest
        self._tick = tick
        if tls is not None and tls.single:
            self._coder = tls.coder
            self._incoming = tls.incoming
            self._outgoing = tls.outgoing
            self._take_in = tls.incoming.write
            self._decode = tls.coder.read
            self._encode = tls.coder.write
            self._take_out = tls.outgoing.read

    def new_lock(self):
        self.lock = Lock()

    # Sending

    def send_now(self, message):
        cdef HotEndpoint session = self.session
        cdef Lock lock = self.lock
        cdef bytes data
        cdef Py_ssize_t size
        if not session.clear_to_send or not lock.attempt():
            return False
        try:
            if self.mid_transition or self.ended or self._pieces or not session.clear_to_send:
                return False
            if not session.writer.add_message(message):
                return False
            session.sent_at = clock()
            data = session.writer.take()
            if self.tls is not None:
                self.mid_transition = True
                data = self._encrypt(data)
                self.mid_transition = False
            size = self._send(data)
            if size < PyBytes_GET_SIZE(data):
                self.backlog.add(memoryview(data)[size:])
                return None
            self.unseen += 1
            if self.unseen >= GLANCE:
                self.glance()
            return True
        finally:
            lock.drop()

    cdef bytes _encrypt(self, bytes data):
        if self._coder is None:
            return self.tls.encrypt(data)
        self._encode(data)
        return self._take_out()

    cdef Py_ssize_t _send(self, bytes data) except -1:
        """Return how much the system has taken; why not, the general way finds out."""
        cdef const char *p = PyBytes_AS_STRING(data)
        cdef Py_ssize_t size = PyBytes_GET_SIZE(data)
        cdef int fd = self._fd
        if self._guest and self.sock.fileno() != fd:
            return 0
        with nogil:
            size = fdx_send(fd, p, size)
        return max(size, 0)

    # Receiving

    def receive_now(self, double deadline):
        cdef HotEndpoint session = self.session
        cdef MessageQueue messages = session.messages
        cdef Lock lock = self.lock
        cdef ReadBuffer buffer
        cdef object message
        cdef char *start = NULL
        cdef Py_ssize_t room = 0
        cdef double now
        if messages._count > messages.take_threshold and not self.mid_transition and not lock.held:
            # Nobody else is at work, and nobody will be while we hold the GIL.
            return messages.first()
        lock.take()
        try:
            if self.mid_transition:
                return _nothing
            if messages._count or session.holder.holding:
                if messages._count > messages.take_threshold:
                    return messages.first()
                message = session.take_held()
                if session.needs_sync:
                    self.step()
                return _nothing if message is None else message
            if (
                session._recv_blockers
                or self.leader is not None
                or self._pieces
                or self.eof
                or self.ended
                or self.unparsed_reads
                or (self.tls is not None and self._coder is None)
            ):
                return _nothing
            # A close frame that is put off is due within the tick.
            now = clock()
            if self.due - now <= self._tick or deadline - now <= self._tick:
                return _nothing
            buffer = take_buffer()
            session.reader._buffer = buffer
            if self.tls is None:
                session.reader.writable_region(&start, &room)
            else:
                start = <char*>buffer.ptr
                room = buffer.size
            session.set_recv_blockers(RECEIVING)
            self.leader = self
        finally:
            lock.drop()
        try:
            room = self._recv(start, room)
        except BaseException:
            self._received(buffer, -1)
            raise
        return self._received(buffer, room)

    cdef Py_ssize_t _recv(self, char *start, Py_ssize_t room) except -2:
        """Wait for input; return its size, 0 at the end, -1 where there is none yet."""
        cdef Py_ssize_t size
        cdef int fd = self._fd
        cdef int error = 0
        if self._guest and self.sock.fileno() != fd:
            return -1
        while True:
            with nogil:
                size = fdx_recv(fd, start, room)
                if size < 0:
                    error = errno
            if size >= 0:
                return size
            if error != EINTR:
                break
            # Ctrl-C raises; nothing was read.
            PyErr_CheckSignals()
        if error == EAGAIN:
            return -1  # the tick
        self.failure = OSError(error, os.strerror(error))
        return 0

    cdef object _received(self, ReadBuffer buffer, Py_ssize_t size):
        """Stop leading, parse what was read, and take a message."""
        cdef HotEndpoint session = self.session
        cdef MessageQueue messages = session.messages
        cdef Lock lock = self.lock
        cdef object message = _nothing
        cdef object interrupt = None
        cdef double now
        while True:
            try:
                # A call that is interrupted from here on has no message to lose.
                PyErr_CheckSignals()
                lock.take()
                break
            except BaseException as exc:  # Ctrl-C, perhaps while another has the lock
                interrupt = exc
        try:
            session.set_recv_blockers(session._recv_blockers & ~RECEIVING)
            self.leader = None
            if self.ended:
                pass
            elif size == 0:
                self.end_input(clock())
            elif size > 0:
                self.mid_transition = True
                now = clock()
                if self.tls is None:
                    session.parse(size, now)
                elif not self._decrypt(buffer, size, now):
                    self.end_input(now)
                # The marks are looked at before anybody takes a message.
                if session.needs_sync or messages._count > 1 or session.holder.holding:
                    session.after_delivery()
                self.mid_transition = False
            if size >= 0 and interrupt is None and (messages._count or session.holder.holding):
                message = session.take_held()
                if message is None:
                    message = _nothing
            give_buffer(buffer)
            if session.needs_sync or session.writer.pending:
                self.step()
            if self.followers or self._pieces or self.ended or self.aside:
                self.leave(self)
        finally:
            lock.drop()
        if interrupt is not None:
            raise interrupt
        return message

    cdef bint _decrypt(self, ReadBuffer buffer, Py_ssize_t size, double now) except -1:
        """Parse what was read through TLS; false if the peer has ended it."""
        cdef HotEndpoint session = self.session
        cdef ReaderInterface reader = session.reader
        cdef char *start = NULL
        cdef Py_ssize_t room = 0
        cdef object view
        try:
            self._take_in(PyMemoryView_FromMemory(<char*>buffer.ptr, size, PyBUF_READ))
            # The ciphertext has been copied: its memory is free.
            while True:
                reader.writable_region(&start, &room)
                if start == <char*>buffer.ptr:
                    view = buffer.view
                else:
                    view = PyMemoryView_FromMemory(start, room, PyBUF_WRITE)
                size = self._decode(room, view)
                if size == 0:
                    return False
                session.parse(size, now)
                if not self._incoming.pending and (size < room or not self._coder.pending()):
                    return True
        except SSLWantReadError:
            return True
        except SSLZeroReturnError:
            return False
        except OSError as exc:
            self.failure = exc
            return False
        finally:
            if self._outgoing.pending:
                self.backlog.add(self._take_out())
