/* UTF-8 to str.  Most text is ASCII and short: for that, one look at it and one copy. */
#ifndef FULLDUPLEX_TEXT_H
#define FULLDUPLEX_TEXT_H

#include <Python.h>
#include <stdint.h>
#include <string.h>

static inline int fdx_ascii(const char *p, size_t n)
{
    uint64_t word, all;
    size_t i = 0, j;
    for (; i + 64 <= n; i += 64) {
        for (all = 0, j = 0; j < 64; j += 8) {
            memcpy(&word, p + i + j, 8);
            all |= word;
        }
        if (all & 0x8080808080808080ULL)
            return 0;
    }
    for (; i < n; i++)
        if (p[i] & 0x80)
            return 0;
    return 1;
}

static inline PyObject *fdx_text(const char *p, Py_ssize_t n)
{
    PyObject *text;
    if (n < 128 || !fdx_ascii(p, (size_t)n))
        return PyUnicode_DecodeUTF8(p, n, NULL);
    text = PyUnicode_New(n, 127);
    if (text)
        memcpy(PyUnicode_1BYTE_DATA(text), p, (size_t)n);
    return text;
}

#endif
