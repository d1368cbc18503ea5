# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, binding=False, always_allow_keywords=False
"""Bytes to frames and back (RFC 6455, 5).  Compiled twin of ``_wire.py``.

Every index into raw memory stands under a length test in the same function.
Lengths from the wire are compared as unsigned 64-bit numbers with the limit
before they are narrowed.
"""

import os

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITE, PyBuffer_Release, PyObject_CheckBuffer, PyObject_GetBuffer
from cpython.bytearray cimport PyByteArray_AS_STRING
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.memoryview cimport PyMemoryView_FromMemory
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF, Py_XDECREF
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from ..kernels._zlib_c cimport Inflater
from ..errors import PayloadTooBig, ProtocolError

include "../kernels/_c_api.pxi"

cdef enum:
    # An incomplete payload of at least this size, or any incomplete text, is
    # received into its own object; a smaller one waits as a tail.
    DIRECT = 4096
    # The first allocation for a payload whose announced size is larger.
    FIRST_STEP = 4194304
    MASK_BLOCK = 4096
    # A compressed message up to this size is joined with its end on the stack.
    SMALL = 4096


include "_queue_c.pxi"
include "_interfaces_c.pxi"
include "_limits_c.pxi"
include "_held_c.pxi"


def ignore_frame(head, payload):
    return False


cdef object _bytes(uint8_t *p, Py_ssize_t size):
    cdef object payload = PyBytes_FromStringAndSize(NULL, size)
    fdx_copy(<uint8_t*>PyBytes_AS_STRING(payload), p, size)
    return payload


cdef class FrameReader(Holder):
    cdef object _append
    cdef object _handler
    cdef bint _masked
    cdef bint _direct_view
    # The part of a frame that has no payload object yet.
    cdef uint8_t *_tail
    cdef Py_ssize_t _tail_size
    # A payload that is being received.
    cdef PyObject *_payload
    cdef Py_ssize_t _payload_size
    cdef Py_ssize_t _payload_room
    cdef Py_ssize_t _payload_filled
    cdef Py_ssize_t _payload_ready
    cdef int _payload_head
    cdef uint8_t _payload_key[4]
    cdef bint _payload_is_text
    cdef uint32_t _utf8
    # The message in progress.
    cdef readonly int opcode
    cdef bint _compressed
    cdef public uint64_t message_size
    cdef public int allowed_rsv
    cdef public bint deliver_messages
    # Decompressor of whole messages; None gives them to the handler.
    cdef public object deflate
    # Bytes that have come in since the beginning.
    cdef readonly uint64_t total
    cdef readonly uint64_t payload
    cdef readonly uint64_t count

    def __cinit__(self):
        self._tail = NULL
        self._payload = NULL

    def __init__(self, handler, append, *, bint masked, max_size=None, max_fragment=None, buffer=None, bint direct_view=True):
        self._handler = handler
        self._inbox = append if isinstance(append, MessageQueue) else NOWHERE
        self._append = append
        self._masked = masked
        self._direct_view = direct_view
        self._buffer = ReadBuffer(65536) if buffer is None else buffer
        self.deliver_messages = True
        self.max_size = max_size
        self.max_fragment = max_fragment

    def __dealloc__(self):
        PyMem_Free(self._tail)
        Py_XDECREF(self._payload)

    @property
    def buffer(self):
        return self._buffer

    @buffer.setter
    def buffer(self, ReadBuffer buffer not None):
        self._buffer = buffer

    @property
    def between_frames(self):
        return self._payload == NULL and self._tail_size == 0 and not self.holding

    cpdef get_buffer(self, Py_ssize_t hint):
        cdef ReadBuffer buffer = self._buffer
        cdef char *start = NULL
        cdef Py_ssize_t size = 0
        if self.payload_remaining():
            self.writable_region(&start, &size)
            return PyMemoryView_FromMemory(start, size, PyBUF_WRITE)
        if self._tail_size:
            # A tail is shorter than DIRECT plus a header, so room is left.
            return buffer.view[self._tail_size :]
        return buffer.view

    cdef int writable_region(self, char **start, Py_ssize_t *size) except -1:
        """Tell what `get_buffer` returns."""
        cdef ReadBuffer buffer = self._buffer
        if self.payload_remaining():
            self._payload_ready = _ahead(self._payload, self._payload_filled, self._payload_ready, self._payload_room)
            start[0] = PyBytes_AS_STRING_raw(self._payload) + self._payload_filled
            size[0] = self.payload_remaining()
        else:
            start[0] = <char*>buffer.ptr + self._tail_size
            size[0] = buffer.size - self._tail_size
        return 0

    cdef Py_ssize_t payload_remaining(self) noexcept:
        if self._payload == NULL or not self._direct_view or self.stopped:
            return 0
        return self._payload_room - self._payload_filled

    cpdef received(self, Py_ssize_t size):
        cdef Py_ssize_t used = 0
        cdef ReadBuffer buffer = self._buffer
        if self.stopped:
            self.total += max(size, 0)
            return
        used = self.payload_remaining()
        if used == 0:
            used = buffer.size - self._tail_size
        if not 0 <= size <= used:
            raise ValueError(f"{size} bytes were received; get_buffer() had room for {used}")
        used = 0
        self.total += size
        if self.holding:
            self._hold(buffer.ptr, size)
            return
        if self._payload != NULL:
            if self._direct_view:
                self._payload_grew(size)
                return
            used = self._absorb(buffer.ptr, size)
        elif self._tail_size:
            used = self._tail_size
            memcpy(buffer.ptr, self._tail, used)
            self._drop_tail()
            size += used
            used = 0
        if used < size:
            used += self._parse(buffer.ptr + used, size - used)
            if used < size and not self.stopped:
                self._hold(buffer.ptr + used, size - used)

    def split(self, handler):
        cdef FrameReader other = FrameReader(
            handler,
            self._inbox,
            masked=self._masked,
            max_size=self._max_size,
            max_fragment=self._max_fragment,
            buffer=self._buffer,
            direct_view=False,
        )
        other.allowed_rsv = self.allowed_rsv
        other.deflate = self.deflate
        other.opcode = self.opcode
        other.queued_bytes = self.queued_bytes
        other.message_size = self.message_size
        other.deliver_messages = self.deliver_messages
        other._compressed = self._compressed
        other._utf8 = self._utf8
        other._queue_mark = self._queue_mark
        other._unread_mark = self._unread_mark
        other._hold(self._held + self._held_at, self._held_size - self._held_at)
        self.deliver_messages = False
        self.hold_above(None, None)
        return other

    def feed(self, data):
        cdef Py_buffer src
        cdef Py_ssize_t done = 0, step
        cdef object room
        PyObject_GetBuffer(data, &src, PyBUF_SIMPLE)
        try:
            with memoryview(data) as source:
                while done < src.len and not self.stopped:
                    room = self.get_buffer(-1)
                    step = min(len(room), src.len - done)
                    room[:step] = source[done : done + step]
                    done += step
                    self.received(step)
        finally:
            PyBuffer_Release(&src)

    cdef int _put(self, object message) except -1:
        if self._inbox is not NOWHERE:
            self._inbox.append(message)
        else:
            self._append(message)
        return 0

    cdef int _push(self, object message, Py_ssize_t size) except -1:
        self._put(message)
        self.queued_bytes += size
        self.payload += size
        self.count += 1
        return 0

    cdef int _drop_tail(self) except -1:
        PyMem_Free(self._tail)
        self._tail = NULL
        self._tail_size = 0
        return 0

    def end(self):
        self.stopped = True
        self._let_go()
        self._handler = ignore_frame

    cdef int _refuse(self, object error) except -1:
        self.stopped = True
        raise error

    cdef int _check_order(self, int head) except -1:
        """Refuse what RFC 6455, 5.2 to 5.5, forbids in the first byte."""
        cdef int opcode = head & 0x0F
        if opcode >= 8:
            if opcode > 10:
                self._refuse(ProtocolError(f"invalid opcode: 0x{opcode:X}"))
            # Extensions other than permessage-deflate may mark these too.
            if head & 0x70 and self.allowed_rsv != 0x70:
                self._refuse(ProtocolError("reserved bits must be 0"))
            if not head & 0x80:
                self._refuse(ProtocolError("fragmented control frame"))
            return 0
        if opcode > 2:
            self._refuse(ProtocolError(f"invalid opcode: 0x{opcode:X}"))
        if head & 0x70 & ~self.allowed_rsv:
            self._refuse(ProtocolError("reserved bits must be 0"))
        if opcode == 0:
            if self.opcode == 0:
                self._refuse(ProtocolError("unexpected continuation frame"))
            if head & 0x40 and self.allowed_rsv != 0x70:
                self._refuse(ProtocolError("reserved bits must be 0 in a continuation frame"))
        elif self.opcode != 0:
            self._refuse(ProtocolError("expected a continuation frame"))
        return 0

    cdef int _check_size(self, int head, uint64_t size) except -1:
        """Refuse a payload over a limit before any of it is kept."""
        cdef uint64_t used, room, slack
        cdef bint compressed
        if head & 8:
            if size > 125:
                self._refuse(ProtocolError(f"control frame announces {size} bytes; 125 are allowed"))
            return 0
        if size > self._fragment_limit:
            self._refuse(PayloadTooBig(size, self._max_fragment))
        if self._max_size is not None:
            # Data that does not shrink grows a little when deflated; what it
            # inflates to is checked against the exact limit.
            compressed = head & 0x40 if head & 0x0F else self._compressed
            slack = (self._size_limit >> 10) + 64 if compressed else 0
            used = self.message_size if not head & 0x0F else 0
            room = self._size_limit - used if self._size_limit > used else 0
            if size > room and size - room > slack:
                self._refuse(PayloadTooBig(size, self._max_size, used if used else None))
        return 0

    cdef Py_ssize_t _parse(self, uint8_t *p, Py_ssize_t have) except -1:
        cdef Py_ssize_t pos = 0, left, start
        cdef MessageQueue inbox = self._inbox
        cdef int head, second, size7
        cdef uint64_t size
        cdef uint8_t *key = NULL
        cdef bint simple
        while True:
            left = have - pos
            if left < 2:
                break
            if (inbox._count > self._queue_mark or self.queued_bytes > self._unread_mark) and self.is_full():
                return pos
            head = p[pos]
            second = p[pos + 1]
            simple = (head == 0x81 or head == 0x82) and self.deliver_messages and self.opcode == 0
            if not simple:
                self._check_order(head)
            if (second >> 7) != self._masked:
                self._refuse(ProtocolError("incorrect masking"))
            size7 = second & 0x7F
            if size7 < 126:
                size = size7
                start = 2
            elif size7 == 126:
                if left < 4:
                    break
                size = (<uint64_t>p[pos + 2] << 8) | p[pos + 3]
                start = 4
                if size < 126:
                    self._refuse(ProtocolError(f"length {size} is not in its shortest form"))
            else:
                if left < 10:
                    break
                size = (
                    (<uint64_t>p[pos + 2] << 56) | (<uint64_t>p[pos + 3] << 48)
                    | (<uint64_t>p[pos + 4] << 40) | (<uint64_t>p[pos + 5] << 32)
                    | (<uint64_t>p[pos + 6] << 24) | (<uint64_t>p[pos + 7] << 16)
                    | (<uint64_t>p[pos + 8] << 8) | p[pos + 9]
                )
                start = 10
                if size >> 63:
                    self._refuse(ProtocolError("the most significant bit of a 64-bit length must be 0"))
                if size < 65536:
                    self._refuse(ProtocolError(f"length {size} is not in its shortest form"))
            if not simple or size > self._whole_limit:
                self._check_size(head, size)
            if self._masked:
                if left < start + 4:
                    break
                key = p + pos + start
                start += 4
            if <uint64_t>(left - start) < size:
                if size >= DIRECT or (head & 8 == 0 and self._is_text(head)):
                    self._begin_payload(head, size, key)
                    self._absorb(p + pos + start, left - start)
                    return have
                break
            if self._masked:
                fdx_mask(p + pos + start, p + pos + start, size, key, 0)
            pos += start
            if not simple:
                if (head == 0xC1 or head == 0xC2) and self.deliver_messages and self.deflate is not None:
                    self._inflate(head, p + pos, <Py_ssize_t>size)
                else:
                    self._frame(head, p + pos, <Py_ssize_t>size)
                if self.stopped:
                    return have
            elif head == 0x81:
                self._push(self._text(<char*>p + pos, <Py_ssize_t>size), <Py_ssize_t>size)
            else:
                self._push(_bytes(p + pos, <Py_ssize_t>size), <Py_ssize_t>size)
            pos += <Py_ssize_t>size
        if left:
            self._tail = <uint8_t*>PyMem_Malloc(left)
            if self._tail == NULL:
                raise MemoryError
            memcpy(self._tail, p + pos, left)
            self._tail_size = left
        return have

    cdef int _inflate(self, int head, uint8_t *p, Py_ssize_t size) except -1:
        """Decompress a whole message whose payload is in the buffer (RFC 7692, 6.2)."""
        cdef uint8_t joined[SMALL + 4]
        cdef uint8_t *start = joined
        cdef object deflate = self.deflate, stream, output
        cdef Inflater inflater = None
        cdef bytes data = None
        cdef Py_ssize_t made = 0, room = self._inflate_room
        cdef bint ended = False
        self.payload += size
        self.count += 1
        if size == 0:
            # Some senders leave out even the header of an empty block.
            self._put("" if head & 1 else b"")
            return 0
        try:
            stream = deflate.decompressor
            if type(stream) is Inflater:
                inflater = <Inflater>stream
            if inflater is None or size > SMALL:
                data = PyBytes_FromStringAndSize(NULL, size + 4)
                start = <uint8_t*>PyBytes_AS_STRING(data)
            memcpy(start, p, size)
            memcpy(start + size, b"\x00\x00\xff\xff", 4)
            if stream is None:
                output = deflate.inflate_whole(data, room - 1 if room else None)
                made = PyBytes_GET_SIZE(output)
            else:
                try:
                    if inflater is not None:
                        output = inflater.read(start, size + 4, room, head & 1, True)
                        made = inflater.made
                        ended = inflater.eof
                    else:
                        output = stream.decompress(data, self._inflate_limit)
                        made = PyBytes_GET_SIZE(output)
                        ended = stream.eof
                except Exception as exc:
                    deflate.refuse(exc)
                if ended or (room and made == room):
                    output = deflate.check_output(stream, output, True, room - 1 if room else None)
                    made = PyBytes_GET_SIZE(output)
                elif inflater is None:
                    deflate.check_complete(stream)
            if head & 1 and type(output) is bytes:
                output = fdx_text(PyBytes_AS_STRING(output), made)
            self._put(output)
        except Exception:
            self.stopped = True
            raise
        self.queued_bytes += made
        return 0

    cdef bint _is_text(self, int head) noexcept:
        if self.allowed_rsv & 0x30:
            return False  # extensions change payloads; what they make is checked
        if head & 0x0F:
            return head & 0x4F == 1
        return self.opcode == 1 and not self._compressed

    cdef int _frame(self, int head, uint8_t *p, Py_ssize_t size) except -1:
        """Deliver a frame that is no whole message; its payload is in the buffer."""
        if not head & 8 and self._is_text(head):
            self._check_text(head, p, size)
        self._deliver(head, _bytes(p, size))
        return 0

    cdef object _text(self, char *p, Py_ssize_t size):
        try:
            return fdx_text(p, size)
        except UnicodeDecodeError:
            self.stopped = True
            raise

    cdef int _check_text(self, int head, uint8_t *p, Py_ssize_t size) except -1:
        """Continue the UTF-8 check of a text message (RFC 6455, 8.1)."""
        if head & 0x0F and self._payload == NULL:
            self._utf8 = 0
        if fdx_utf8(&self._utf8, p, size):
            self._bad_text()
        return 0

    cdef int _bad_text(self) except -1:
        self._refuse(UnicodeDecodeError("utf-8", b"", 0, 0, "invalid UTF-8 in a text message"))

    cdef int _deliver(self, int head, bytes payload) except -1:
        """Hand a frame to the protocol; keep the order of fragments."""
        cdef int opcode = head & 0x0F
        if opcode < 8:
            if opcode:
                self.message_size = 0
                self._compressed = head & 0x40
            if not self._compressed:
                self.message_size += PyBytes_GET_SIZE(payload)
            self.opcode = 0 if head & 0x80 else (opcode if opcode else self.opcode)
            if head & 0x80 and self._utf8:
                self._utf8 = 0
                self._bad_text()
            self.payload += PyBytes_GET_SIZE(payload)
            if head & 0x80:
                self.count += 1
        if self._handler(head, payload):
            self.stopped = True
        return 0

    cdef int _begin_payload(self, int head, uint64_t size, uint8_t *key) except -1:
        cdef Py_ssize_t room
        if size > <uint64_t>PY_SSIZE_T_MAX:  # where addresses have 32 bits
            self._refuse(PayloadTooBig(size, PY_SSIZE_T_MAX))
        self._payload_size = <Py_ssize_t>size
        room = min(self._payload_size, FIRST_STEP)
        self._payload = PyBytes_FromStringAndSize_raw(NULL, room)
        self._payload_room = room
        self._payload_filled = self._payload_ready = 0
        self._payload_head = head
        self._payload_is_text = not head & 8 and self._is_text(head)
        if head & 0x0F:
            self._utf8 = 0
        if self._masked:
            memcpy(self._payload_key, key, 4)
        return 0

    cdef Py_ssize_t _absorb(self, uint8_t *p, Py_ssize_t have) except -1:
        """Copy bytes into the payload; return how many belonged to it."""
        cdef Py_ssize_t step, used = 0
        while used < have and self._payload != NULL:
            step = min(have - used, self._payload_room - self._payload_filled)
            fdx_copy(<uint8_t*>PyBytes_AS_STRING_raw(self._payload) + self._payload_filled, p + used, step)
            used += step
            self._payload_grew(step)
            if self.stopped:
                return have
        return used

    cdef int _payload_grew(self, Py_ssize_t step) except -1:
        cdef uint8_t *p = <uint8_t*>PyBytes_AS_STRING_raw(self._payload) + self._payload_filled
        cdef PyObject *payload
        if self._masked:
            fdx_mask(p, p, step, self._payload_key, self._payload_filled & 3)
        self._payload_filled += step
        if self._payload_is_text and fdx_utf8(&self._utf8, p, step):
            self._bad_text()
        if self._payload_filled < self._payload_room:
            return 0
        if self._payload_filled < self._payload_size:
            # Grow with what has arrived, never with what was announced.
            self._payload_room = min(self._payload_size, self._payload_room * 2)
            _PyBytes_Resize(&self._payload, self._payload_room)
            return 0
        payload = self._payload
        self._payload = NULL
        self._payload_done(payload)
        return 0

    cdef int _payload_done(self, PyObject *raw) except -1:
        cdef int head = self._payload_head
        cdef bytes payload = <bytes>raw
        Py_XDECREF(raw)
        if self.deliver_messages and head == 0x81:
            if self._utf8:
                self._utf8 = 0
                self._bad_text()
            self._push(self._text(PyBytes_AS_STRING(payload), PyBytes_GET_SIZE(payload)), PyBytes_GET_SIZE(payload))
        elif self.deliver_messages and head == 0x82:
            self._push(payload, PyBytes_GET_SIZE(payload))
        else:
            self._deliver(head, payload)
        return 0


include "_writer_c.pxi"
