# cython: language_level=3, binding=False, always_allow_keywords=False
"""One-shot future of a waiting task.  Compiled twin of ``_waiter.py``."""

import asyncio
import sys

cimport cython
from cpython.dict cimport PyDict_GetItemWithError
from cpython.object cimport PyObject

cdef extern from "Python.h":
    int PyContext_Enter(object context) except -1
    int PyContext_Exit(object context) except -1
    bint PyCFunction_Check(object o)
    PyObject *PyCFunction_GetSelf(object o)

cdef extern from *:
    """
    #if CYTHON_COMPILING_IN_CPYTHON && PY_VERSION_HEX < 0x030F0000
    /* Where the interpreter keeps the context that is entered. */
    #define FDX_CONTEXT 1
    #define fdx_context() ((void *) PyThreadState_Get()->context)
    #else
    #define FDX_CONTEXT 0
    #define fdx_context() NULL
    #endif
    """
    const int FDX_CONTEXT
    void *fdx_context() noexcept

cdef object _current_task
cdef dict _current_tasks = None

if sys.version_info < (3, 14):  # later, each thread has its task in a place of its own
    from asyncio.tasks import _current_tasks as _tasks
    _current_tasks = _tasks
_current_task = asyncio.current_task


cdef class _NoLoop:
    def get_debug(self):
        return False


# Result of `fire` for compiled tasks.  They only ask for its result, which of a future
# of their own kind takes them a twentieth of the time.
cdef object _done = asyncio.Future(loop=_NoLoop())
_done.set_result(None)
cdef type _Task = asyncio.Task


cdef bint nests(loop) except -1:
    """Whether tasks may run `loop` again from within; see ``_waiter.py``."""
    return getattr(loop, "_nest_patched", False)


cdef bint _of_task(callback) except -1:
    """Whether it is the wake-up call of a compiled task."""
    return PyCFunction_Check(callback) and isinstance(<object>PyCFunction_GetSelf(callback), _Task)


def _raise(exc):
    raise exc


@cython.freelist(16)
cdef class Waiter:
    def __init__(self, loop, bint eager):
        self._loop = loop
        self._eager = eager

    def __await__(self):
        return self

    def __iter__(self):
        return self

    def __next__(self):
        if not self._fired:
            self._asyncio_future_blocking = True
            return self
        raise StopIteration

    def get_loop(self):
        return self._loop

    def add_done_callback(self, callback, *, context=None):
        if self._fired:
            self._loop.call_soon(callback, self, context=context)
        else:
            self._callback = callback
            self._context = context

    def remove_done_callback(self, callback):
        if self._callback == callback:
            self._callback = None
            return 1
        return 0

    def result(self):
        if self._cancelled:
            if self._message is None:
                raise asyncio.CancelledError
            raise asyncio.CancelledError(self._message)
        return None

    def exception(self):
        self.result()
        return None

    def done(self):
        return self._fired

    def cancelled(self):
        return self._cancelled

    def cancel(self, msg=None):
        if self._fired:
            return False
        self._message = msg
        self._cancelled = True
        self.fire_soon()
        return True

    def fire_soon(self):
        self._fire_soon()

    cdef int _fire_soon(self) except -1:
        cdef object callback = self._callback
        if self._fired:
            return 0
        self._fired = True
        if callback is not None:
            self._callback = None
            self._loop.call_soon(callback, self, context=self._context)
        return 0

    def fire(self):
        return self.fire_now()

    cdef bint fire_now(self) except -1:
        cdef object callback
        if self._fired:
            return False
        if not self._eager or self._callback is None or self._busy() or nests(self._loop):
            self._fire_soon()
            return False
        callback = self._callback
        self._callback = None
        self._fired = True
        try:
            PyContext_Enter(self._context)
        except RuntimeError:
            # The context is entered already: the caller runs in it.
            self._loop.call_soon(callback, self, context=self._context)
            return False
        try:
            callback(_done if _of_task(callback) else self)
        except (KeyboardInterrupt, SystemExit) as exc:
            # Transports may swallow these; the loop's own callbacks may not.
            self._loop.call_soon(_raise, exc)
        finally:
            PyContext_Exit(self._context)
        return True

    cdef bint _busy(self) except -1:
        """Whether a task is being run; another one cannot be entered then."""
        if _current_tasks is not None:
            return PyDict_GetItemWithError(_current_tasks, self._loop) != NULL
        return _current_task(self._loop) is not None


cdef void *current_step(loop) except? NULL:
    """
    Tell what the loop is running from what it runs next: tasks, and callbacks.

    Each has a context of its own, unless a program gives the same one to several.
    """
    cdef object task
    if FDX_CONTEXT:
        return fdx_context()
    task = _current_task(loop)
    return <void *>task


cdef Waiter new_waiter(loop, bint eager):
    """Make a waiter without an argument tuple."""
    cdef Waiter waiter = Waiter.__new__(Waiter)
    waiter._loop = loop
    waiter._eager = eager
    return waiter
