# cython: language_level=3, boundscheck=False, wraparound=False, binding=False
"""Masking and the UTF-8 check.  Compiled twin of ``_kernels.py``."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t, uint32_t


cdef extern from "csrc/kernels.h":
    void fdx_mask(uint8_t *dst, const uint8_t *src, size_t n, const uint8_t *key, size_t phase) nogil
    int fdx_utf8(uint32_t *state, const uint8_t *p, size_t n) nogil


def apply_mask(data, mask):
    cdef Py_buffer src, key
    cdef bytes result
    if isinstance(data, str) or isinstance(mask, str):
        raise TypeError("data and mask must be bytes-like, not str")
    if isinstance(data, memoryview) and not data.c_contiguous:
        data = bytes(data)
    if isinstance(mask, memoryview) and not mask.c_contiguous:
        mask = bytes(mask)
    PyObject_GetBuffer(mask, &key, PyBUF_SIMPLE)
    try:
        if key.len != 4:
            raise ValueError(f"mask has {key.len} bytes; a mask is 4 bytes long")
        PyObject_GetBuffer(data, &src, PyBUF_SIMPLE)
        try:
            result = PyBytes_FromStringAndSize(NULL, src.len)
            fdx_mask(<uint8_t*>PyBytes_AS_STRING(result), <const uint8_t*>src.buf, src.len, <const uint8_t*>key.buf, 0)
            return result
        finally:
            PyBuffer_Release(&src)
    finally:
        PyBuffer_Release(&key)


cdef class Utf8Validator:
    cdef uint32_t state

    def feed(self, data):
        cdef Py_buffer src
        cdef int verdict
        PyObject_GetBuffer(data, &src, PyBUF_SIMPLE)
        try:
            verdict = fdx_utf8(&self.state, <const uint8_t*>src.buf, src.len)
        finally:
            PyBuffer_Release(&src)
        return verdict == 0

    @property
    def complete(self):
        return self.state == 0
