# cython: language_level=3, boundscheck=False, wraparound=False, binding=False
"""Read and write paths of TLS on asyncio.  Compiled twin of ``_tls_link.py``."""

import ssl

from cpython.buffer cimport (
    PyBUF_READ,
    PyBUF_WRITABLE,
    PyBUF_WRITE,
    PyBuffer_Release,
    PyObject_GetBuffer,
)
from cpython.bytes cimport (
    PyBytes_AS_STRING,
    PyBytes_FromStringAndSize,
    PyBytes_GET_SIZE,
)
from cpython.memoryview cimport PyMemoryView_FromMemory
from libc.stdint cimport uint8_t
from libc.string cimport memcpy

from ..core.wire._wire_c cimport ReaderInterface
from ._hot_c cimport HotDriver, NativeTransport

cdef object WantRead = ssl.SSLWantReadError
cdef object ZeroReturn = ssl.SSLZeroReturnError

cdef enum:
    # Bytes of plain text in one record, and what encryption adds at most (RFC 5246,
    # 6.2.3; RFC 8446, 5.2).
    RECORD = 16384
    HEAD = 5
    EXPANSION = 2048
    # Encrypted bytes that TLS is given at a time: its memory for input stays with it.
    PORTION = 18432
    # Room before what is read, for the part of a record that came before.
    FRONT = HEAD + RECORD + EXPANSION
    # Records, where their number is not known.
    MANY = 1 << 20
    # A copy of fewer bytes takes less than a view of them.
    SMALL = 2048


# The last view that was made: most reads of all connections go to the same memory.
cdef object _view = None
cdef char *_view_start = NULL
cdef Py_ssize_t _view_size = 0


cdef object view_of(char *start, Py_ssize_t size):
    """Return a view of memory; only for those who do not keep it nor release it."""
    global _view, _view_start, _view_size
    if _view is None or start != _view_start or size != _view_size:
        _view = PyMemoryView_FromMemory(start, size, PyBUF_WRITE)
        _view_start = start
        _view_size = size
    return _view


cdef class TlsLink(NativeTransport):
    cdef public object lower
    cdef public object protocol
    cdef public object tls
    cdef readonly object memory
    cdef readonly bytes rest
    cdef public bint slow
    cdef public bint paused
    cdef public bint closing
    # The parts of `tls`.
    cdef object _coder
    # Whether it is that of the module ssl.
    cdef bint _direct
    cdef object _incoming
    cdef object _outgoing
    # The protocol again, once it is a driver that carries messages; and the
    # transport below, if it is one of ours.
    cdef HotDriver _hot
    cdef NativeTransport _link
    cdef uint8_t *_start
    # Whether what arrives is not seen to be records, so that TLS is to judge it.
    cdef bint _unframed
    # Whether TLS may hold plain text; and how many records it was given and has not
    # been asked for.
    cdef bint _more
    cdef int _records
    # Bytes that `_fill` has written, also when it fails.
    cdef Py_ssize_t _filled

    def __cinit__(self):
        self.rest = b""

    def __init__(self, tls not None, memory not None):
        cdef Py_buffer view
        self.tls = tls
        self.memory = memory[FRONT:]
        self.slow = True
        self._coder = tls.coder
        self._direct = tls.coder is not tls.object
        self._incoming = tls.incoming
        self._outgoing = tls.outgoing
        PyObject_GetBuffer(memory, &view, PyBUF_WRITABLE)
        # `memory` keeps it where it is.
        self._start = <uint8_t *> view.buf + FRONT
        PyBuffer_Release(&view)

    # Input

    def get_buffer(self, sizehint):
        return self.memory

    def buffer_updated(self, Py_ssize_t nbytes):
        cdef uint8_t *start = self._start
        cdef Py_ssize_t before = PyBytes_GET_SIZE(self.rest)
        if not 0 <= nbytes <= len(self.memory):
            raise ValueError(f"{nbytes} bytes cannot have been read")
        if self.slow or self.paused or self.closing or before > FRONT:
            self.rest += PyBytes_FromStringAndSize(<char *> start, nbytes)
            if self.slow or self.closing:
                self._received_slowly()
            else:
                self.pump()
            return
        if before:
            start -= before
            memcpy(start, PyBytes_AS_STRING(self.rest), before)
            self.rest = b""
        self._take(start, before + nbytes)

    cdef Py_ssize_t _portion(self, const uint8_t *data, Py_ssize_t size) noexcept:
        """Return the size of the whole records that TLS can be given next."""
        cdef Py_ssize_t whole = 0
        cdef Py_ssize_t record
        self._records = 0
        while not self._unframed and size - whole >= HEAD:
            record = HEAD + (data[whole + 3] << 8 | data[whole + 4])
            if not 20 <= data[whole] <= 24 or record > FRONT:
                self._unframed = True
                break
            if whole + record > size or (whole and whole + record > PORTION):
                return whole
            whole += record
            self._records += 1
        if self._unframed:
            return min(size, PORTION)
        return whole

    def hold(self, bytes data not None):
        self.rest += data

    def drop_rest(self):
        self.rest = b""

    def feed_some(self):
        cdef bytes rest = self.rest
        cdef Py_ssize_t size = self._portion(
            <uint8_t *> PyBytes_AS_STRING(rest), PyBytes_GET_SIZE(rest)
        )
        if size == 0:
            return False
        self._incoming.write(rest[:size])
        self.rest = rest[size:]
        self._more = True
        return True

    def holds(self):
        return self._more or PyBytes_GET_SIZE(self.rest) > 0 or self.tls.pending()

    def pump(self):
        # The handshake may have left records that nobody has counted.
        self._more = self.tls.pending()
        self._records = MANY
        self._take_rest()

    cdef int _take_rest(self) except -1:
        cdef bytes rest = self.rest
        self.rest = b""
        return self._take(<uint8_t *> PyBytes_AS_STRING(rest), PyBytes_GET_SIZE(rest))

    cdef int _take(self, uint8_t *data, Py_ssize_t size) except -1:
        """Decrypt and deliver; what can't be is kept in `rest`."""
        cdef Py_ssize_t room, total
        cdef bytes rest
        cdef Py_buffer view
        cdef char *start
        cdef ReaderInterface reader
        cdef object memory = None
        cdef object failure = None
        while not (self.paused or self.closing):
            start = NULL
            room = 0
            try:
                if self._hot is not None:
                    reader = self._hot.session.reader
                    reader.writable_region(&start, &room)
                else:
                    memory = self.protocol.get_buffer(-1)
                    PyObject_GetBuffer(memory, &view, PyBUF_WRITABLE)
                    start = <char *> view.buf
                    room = view.len
                    PyBuffer_Release(&view)
                if room == 0:
                    raise RuntimeError("get_buffer() returned no memory")
            except Exception as exc:
                self._protocol_failed(exc, "get_buffer")
                return 0
            # No code of the protocol runs until it is called: the memory stays.
            try:
                total = self._fill(&data, &size, start, room)
            except Exception as exc:
                failure = exc
                total = self._filled
            memory = None
            # The following steps may end up here again.
            if size:
                self.rest = PyBytes_FromStringAndSize(<char *> data, size)
                size = 0
            if self._outgoing.pending:
                self._send_output()
            if total:
                try:
                    if self._hot is not None:
                        self._hot.received(total)
                    else:
                        self.protocol.buffer_updated(total)
                except Exception as exc:
                    self._protocol_failed(exc, "buffer_updated")
                    return 0
            if failure is not None:
                if not self.closing:
                    if isinstance(failure, ZeroReturn):
                        self._peer_finished()
                    else:
                        self._broken(failure)
                return 0
            if total < room:
                return 0
            rest = self.rest
            self.rest = b""
            data = <uint8_t *> PyBytes_AS_STRING(rest)
            size = PyBytes_GET_SIZE(rest)
        if size:
            self.rest = PyBytes_FromStringAndSize(<char *> data, size)
        return 0

    cdef Py_ssize_t _fill(
        self, uint8_t **data, Py_ssize_t *size, char *start, Py_ssize_t room
    ) except -1:
        """Decrypt into memory; returns how many bytes, fewer than `room` if no more come."""
        cdef Py_ssize_t portion, count
        self._filled = 0
        while self._filled < room:
            if not self._more:
                portion = self._portion(data[0], size[0])
                if portion == 0:
                    break
                if portion < SMALL:
                    self._incoming.write(
                        PyBytes_FromStringAndSize(<char *> data[0], portion)
                    )
                else:
                    self._incoming.write(
                        PyMemoryView_FromMemory(<char *> data[0], portion, PyBUF_READ)
                    )
                data[0] += portion
                size[0] -= portion
            if self._direct:
                view = view_of(start + self._filled, room - self._filled)
            else:
                view = PyMemoryView_FromMemory(
                    start + self._filled, room - self._filled, PyBUF_WRITE
                )
            try:
                count = self._coder.read(room - self._filled, view)
            except WantRead:
                self._more = False
                continue
            if count == 0:
                self.tls.over = True
                raise ZeroReturn()
            self._filled += count
            if self._filled == room and self._coder.pending():
                self._more = True  # this record has not been read to its end
            else:
                self._records -= 1
                self._more = self._records > 0 or (
                    self._unframed and self._incoming.pending
                )
        return self._filled

    # Output

    def write(self, data):
        # `bytes` alone would make NUL bytes of a number.
        self.send(data if type(data) is bytes else bytes(memoryview(data)))

    cdef int send(self, bytes data, bint last=False) except -1:
        cdef Py_ssize_t size = PyBytes_GET_SIZE(data)
        if self.slow or self.closing:
            self._write_slowly(data)
        elif size > RECORD:
            self._send_records(data)
        elif size:
            try:
                self._coder.write(data)
            except Exception as exc:
                self._write_failed(exc, data)
                return 0
            self._pass_on(self._outgoing.read())
        return 0

    cdef int _send_records(self, bytes data) except -1:
        """Encrypt record by record; memory for output stays with TLS for its life."""
        cdef Py_ssize_t size = PyBytes_GET_SIZE(data)
        cdef Py_ssize_t start = 0
        cdef Py_ssize_t part
        cdef list records = []
        cdef object failure = None
        while start < size:
            part = min(size - start, RECORD)
            view = PyMemoryView_FromMemory(
                PyBytes_AS_STRING(data) + start, part, PyBUF_READ
            )
            try:
                self._coder.write(view)
            except Exception as exc:
                failure = exc
                break
            records.append(self._outgoing.read())
            start += part
        self._pass_on(b"".join(records))
        if failure is not None:
            self._write_failed(failure, data[start:])
        return 0

    cdef int _write_failed(self, exc, bytes data) except -1:
        if isinstance(exc, WantRead):
            self.tls.waiting.append(data)
            self.slow = True
            self._send_output()
        else:
            self._broken(exc)
        return 0

    cdef int _pass_on(self, bytes data) except -1:
        if self._link is not None:
            self._link.send(data)
        elif PyBytes_GET_SIZE(data):
            self.lower.write(data)
        return 0

    def set_protocol(self, protocol):
        self.protocol = protocol
        self._hot = None
        if isinstance(protocol, HotDriver) and (<HotDriver>protocol).session is not None:
            self._hot = protocol

    def set_lower(self, lower):
        self.lower = lower
        self._link = lower if isinstance(lower, NativeTransport) else None

    cdef int readable(self) except -1:
        return 0  # the transport below is what is polled

    cdef bint leaving(self) except -1:
        if self.closing:
            return True
        return self.is_closing() if self._link is None else self._link.leaving()
