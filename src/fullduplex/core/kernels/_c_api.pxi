# Functions of C and of the interpreter that the wire layer calls.

cdef extern from "csrc/kernels.h":
    void fdx_mask(uint8_t *dst, const uint8_t *src, size_t n, const uint8_t *key, size_t phase) nogil
    void fdx_copy(uint8_t *dst, const uint8_t *src, size_t n) nogil
    int fdx_utf8(uint32_t *state, const uint8_t *p, size_t n) nogil

cdef extern from "csrc/populate.h":
    void fdx_populate(void *start, size_t n) nogil

cdef extern from "csrc/text.h":
    object fdx_text(const char *p, Py_ssize_t n)

cdef extern from "Python.h":
    Py_ssize_t PY_SSIZE_T_MAX
    int _PyBytes_Resize(PyObject **bytes, Py_ssize_t size) except -1
    PyObject *PyBytes_FromStringAndSize_raw "PyBytes_FromStringAndSize"(char *v, Py_ssize_t size) except NULL
    char *PyBytes_AS_STRING_raw "PyBytes_AS_STRING"(PyObject *o)
    const char *PyUnicode_AsUTF8AndSize(object o, Py_ssize_t *size) except NULL
