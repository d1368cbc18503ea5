# cython: language_level=3, binding=False
"""The two calls that programs make most, compiled.  ``_hot.py`` is the reference.

Between two Python calls nothing can interrupt this code, so Ctrl-C finds what was
read parsed, or nothing read.
"""

import math
import os
import threading
from time import monotonic

from cpython.buffer cimport PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.exc cimport PyErr_CheckSignals
from libc.errno cimport EAGAIN, EINTR, errno

from ..core.backlog import Backlog

NOTHING = object()

DEF RECEIVING = 1
DEF PAUSED = 2

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
cdef object _now = monotonic


cdef class Hot:
    cdef public object backlog
    cdef public object blocked
    cdef public object buffer
    cdef public bint delicate
    cdef public double due
    cdef public bint ended
    cdef public bint eof
    cdef public list followers
    cdef public list got
    cdef public object leader
    cdef public object lock
    cdef public object session
    cdef public object sock
    cdef public object tls
    cdef public object view
    cdef object _acquire
    cdef object _release
    cdef object _locked
    cdef Py_ssize_t _low
    cdef int _fd
    cdef object _messages
    cdef object _pieces
    cdef object _reader
    cdef object _writer
    cdef list _spare
    cdef double _tick

    def __init__(self, sock, session, tls, spare, double tick):
        self.sock = sock
        self.session = session
        self.tls = tls
        self.new_lock()
        self.due = math.inf
        self.followers = []
        self.blocked = []
        self.backlog = Backlog()
        self._pieces = self.backlog.pieces
        self.got = []
        self._fd = sock.fileno()
        self._messages = session.messages
        self._reader = session.reader
        self._writer = session.writer
        self._spare = spare
        self._tick = tick
        self._low = session.options.queue_low

    def new_lock(self):
        self.lock = threading.Lock()
        self._acquire = self.lock.acquire
        self._release = self.lock.release
        self._locked = self.lock.locked

    def send_now(self, message):
        cdef object session = self.session
        cdef object data
        cdef Py_ssize_t size
        if not session.clear_to_send or not self._acquire(False):
            return False
        try:
            # The lock was free, so no other thread has run since the first look.
            if self.delicate or self.ended or self._pieces:
                return False
            if not self._writer.add_message(message):
                return False
            session.sent_at = _now()
            data = self._writer.take()
            if self.tls is not None:
                self.delicate = True
                data = self.tls.encrypt(data)
                self.delicate = False
            size = self._send(data)
            if size == len(data):
                return True
            self.backlog.add(memoryview(data)[size:])
            return None
        finally:
            self._release()

    def receive_now(self, double deadline):
        cdef object session = self.session
        cdef object message = _nothing
        cdef object messages = self._messages
        cdef double now
        cdef long slow
        cdef Py_ssize_t size
        if messages and not self.delicate and not self._locked():
            # Nobody else is at work, and nobody will be while we hold the GIL.
            slow = session.slow
            # Taking a message changes the marks only at the low one.
            if not slow or (slow == PAUSED and len(messages) > self._low + 1):
                return messages.popleft()
        if not self._acquire(False):
            self._acquire()
        try:
            if self.delicate:
                return _nothing
            slow = session.slow
            if messages:
                if not slow:
                    return messages.popleft()
                if slow != PAUSED:
                    return _nothing
                message = messages.popleft()
                session.taken()
                if session.attention:
                    self.step()
                return message
            if (
                slow
                or self.leader is not None
                or self._pieces
                or self.eof
                or self.ended
                or self.got
            ):
                return _nothing
            # A close frame that is put off is due within the tick.
            now = _now()
            if self.due - now <= self._tick or deadline - now <= self._tick:
                return _nothing
            self._borrow_now()
            session.slow = slow | RECEIVING
            self.leader = self
            self.blocked.append(self)
        finally:
            self._release()
        size = -1
        try:
            size = self._recv()
        finally:
            message = self._received(size)
        return message

    cdef Py_ssize_t _send(self, bytes data):
        """Return how much the system has taken; why not, the general way finds out."""
        cdef const char *p = PyBytes_AS_STRING(data)
        cdef Py_ssize_t size = PyBytes_GET_SIZE(data)
        cdef int fd = self._fd
        with nogil:
            size = fdx_send(fd, p, size)
        return max(size, 0)

    cdef Py_ssize_t _recv(self) except -2:
        """Wait for input; return its size, 0 at the end, -1 where there is none yet."""
        cdef Py_buffer room
        cdef Py_ssize_t size
        cdef int fd = self._fd
        cdef int error = 0
        PyObject_GetBuffer(self.view, &room, PyBUF_WRITABLE)
        try:
            while True:
                with nogil:
                    size = fdx_recv(fd, room.buf, room.len)
                    if size < 0:
                        error = errno
                if size >= 0:
                    return size
                if error != EINTR:
                    break
                # Ctrl-C raises; nothing was read.
                PyErr_CheckSignals()
        finally:
            PyBuffer_Release(&room)
        if error == EAGAIN:
            return -1  # the tick
        self.failure = OSError(error, os.strerror(error))
        return 0

    cdef int _borrow_now(self) except -1:
        if self.buffer is None:
            if self._spare:
                self.buffer = self._spare.pop()
                self._reader.buffer = self.buffer
                self.view = self._reader.get_buffer(-1) if self.tls is None else self.buffer.view
            else:
                self.borrow()
        return 0

    cdef object _received(self, Py_ssize_t size):
        """Parse what was read and stop leading."""
        cdef object session = self.session
        cdef object messages = self._messages
        cdef object message = _nothing
        cdef object interrupt = None
        cdef object now
        while True:
            try:
                self._acquire()
                break
            except BaseException as exc:  # Ctrl-C while another thread has the lock
                interrupt = exc
        try:
            session.slow = session.slow & ~RECEIVING
            self.leader = None
            self.blocked.remove(self)
            if self.ended:
                pass
            elif size == 0:
                self.end_input(_now())
            elif size > 0:
                self.delicate = True
                now = _now()
                if self.tls is None:
                    session.data_received(size, now)
                elif not self.decrypt(size, now):
                    self.end_input(now)
                # The marks are looked at before anybody takes a message.
                if session.attention or len(messages) > 1:
                    session.delivered()
                self.delicate = False
            if interrupt is None and messages:
                if not session.slow:
                    message = messages.popleft()
                elif session.slow == PAUSED:
                    message = messages.popleft()
                    session.taken()
            self.view = None
            if self.buffer is not None:
                self._spare.append(self.buffer)
                self.buffer = None
            if session.attention or self._writer.pending:
                self.step()
            if self.followers or self._pieces or self.ended:
                self.leave(self)
        finally:
            self._release()
        if interrupt is not None:
            raise interrupt
        return message
