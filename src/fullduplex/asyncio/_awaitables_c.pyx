# cython: language_level=3, binding=False, always_allow_keywords=False
"""Awaitables of `recv` and `send`.  Compiled twin of ``_awaitables.py``.

A call is what a coroutine would be, without a frame: the interpreter asks it through
``am_send``, and it answers with the message or with the waiter.  Only where a call
leaves its usual course is there a coroutine, and the call passes on what it is asked.
"""

from types import CoroutineType

cimport cython
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF

from ..core.endpoint._hot_c cimport HotEndpoint
from ..core.wire._wire_c cimport MessageQueue
from ._hot_c cimport HotDriver
from ._time_slice_c cimport TimeSlice
from ._waiter_c cimport Waiter, new_waiter

from ._iteration import done, over
from ._running_loop import explain_other_loop

cdef extern from "Python.h":
    ctypedef enum PySendResult:
        PYGEN_RETURN
        PYGEN_ERROR
        PYGEN_NEXT
    ctypedef PySendResult (*sendfunc)(object, object, PyObject **) except PYGEN_ERROR
    ctypedef struct PyAsyncMethods:
        sendfunc am_send
    ctypedef PyObject *(*iternextfunc)(object) except? NULL
    ctypedef object (*newfunc)(PyTypeObject *, tuple, PyObject *)
    ctypedef struct PyTypeObject:
        PyAsyncMethods *tp_as_async
        iternextfunc tp_iternext
        newfunc tp_new
    ctypedef struct PyStopIterationObject:
        PyObject *value
    void PyErr_Restore(PyObject *, PyObject *, PyObject *)
    PySendResult PyIter_Send(object, object, PyObject **) except PYGEN_ERROR
    int PyErr_WarnFormat(object, Py_ssize_t, const char *, ...) except -1

# Where a call is: not begun, at its waiter, passed on to a coroutine, suspended for one
# event loop iteration, over.
cdef enum:
    NEW
    WAITING
    PASSED_ON
    YIELDED
    OVER

cdef enum:
    RECEIVING = 1
    PAUSED = 2


cdef PySendResult give(value, PyObject **result) except PYGEN_ERROR:
    Py_INCREF(value)
    result[0] = <PyObject*>value
    return PYGEN_RETURN


cdef dict _frames = {}


cdef object _frame(str name):
    """Return a frame for those who look at coroutines: that of a generator."""
    if name not in _frames:
        exec(compile(f"def {name}():\n    yield", "_awaitables_c.pyx", "exec"), _frames)
        _frames[name] = _frames[name]()
    return _frames[name].gi_frame


@cython.freelist(16)
cdef class Call:
    """
    An awaitable with the methods and attributes of a coroutine.

    Its class is said to be that of coroutines: programs and libraries ask with
    ``inspect.iscoroutine``, which is ``isinstance``.
    """

    # Subclasses add no fields: the list of free objects is for one size.
    cdef HotDriver _driver
    cdef object _face
    cdef object _message
    cdef object _coroutine
    cdef Waiter _waiter
    cdef bint _iterating
    cdef int _stage

    cdef PySendResult begin(self, PyObject **result) except PYGEN_ERROR:
        raise NotImplementedError

    cdef PySendResult resume(self, PyObject **result) except PYGEN_ERROR:
        raise NotImplementedError

    cdef PySendResult go_on(self, PyObject **result) except PYGEN_ERROR:
        """Do what is left once the event loop has run."""
        raise NotImplementedError

    cdef int leave(self) except -1:
        """End the waiting."""
        return 0

    cdef const char *name(self) noexcept:
        return b"send"

    @property
    def __class__(self):
        return CoroutineType

    @property
    def __name__(self):
        return self.name().decode()

    @property
    def __qualname__(self):
        return "Connection." + self.name().decode()

    @property
    def cr_running(self):
        return False

    @property
    def cr_suspended(self):
        return self._stage not in (NEW, OVER)

    @property
    def cr_await(self):
        return self._waiter if self._stage == WAITING else self._coroutine

    @property
    def cr_frame(self):
        return None if self._stage == OVER else _frame(self.name().decode())

    @property
    def cr_code(self):
        return _frame(self.name().decode()).f_code

    @property
    def cr_origin(self):
        return None

    def __repr__(self):
        return f"<coroutine object {self.__qualname__} at {<Py_ssize_t><void *>self:#x}>"

    @cython.nonecheck(False)  # of nothing but `self`
    cdef PySendResult step(self, value, PyObject **result) except PYGEN_ERROR:
        cdef int stage = self._stage
        cdef PySendResult status
        self._stage = OVER  # unless it turns out to wait
        if stage == NEW:
            if value is not None:
                self._stage = NEW
                raise TypeError("can't send non-None value to a just-started coroutine")
            return self.begin(result)
        if stage == WAITING:
            return self.resume(result)
        if stage == YIELDED:
            return self.go_on(result)
        if stage == OVER:
            raise RuntimeError("cannot reuse already awaited coroutine")
        status = PyIter_Send(self._coroutine, value, result)
        if status == PYGEN_NEXT:
            self._stage = PASSED_ON
        return status

    cdef PySendResult yield_once(self, PyObject **result) except PYGEN_ERROR:
        """Let the event loop run once, as ``asyncio.sleep(0)`` does."""
        self._stage = YIELDED
        give(None, result)
        return PYGEN_NEXT

    cdef PySendResult pass_on(self, coroutine, PyObject **result) except PYGEN_ERROR:
        self._coroutine = coroutine
        self._stage = PASSED_ON
        return self.step(None, result)

    def __await__(self):
        return self

    def __next__(self):
        return self.send(None)

    def send(self, value):
        cdef PyObject *raw = NULL
        cdef object result
        cdef PySendResult status = self.step(value, &raw)
        result = <object>raw
        Py_DECREF(result)
        if status == PYGEN_RETURN:
            raise StopIteration(result)
        return result

    def throw(self, *exception):
        cdef int stage = self._stage
        cdef object result
        self._stage = OVER
        if stage == PASSED_ON:
            result = self._coroutine.throw(*exception)
            self._stage = PASSED_ON
            return result
        if stage == WAITING or stage == YIELDED:
            self.leave()
        if stage == OVER:
            raise RuntimeError("cannot reuse already awaited coroutine")
        if stage == WAITING and isinstance(exception[0], RuntimeError):
            raise explain_other_loop(self._driver.loop, exception[0])
        _throw(*exception)

    def close(self):
        cdef int stage = self._stage
        self._stage = OVER
        if stage == PASSED_ON:
            self._coroutine.close()
        elif stage == WAITING or stage == YIELDED:
            self.leave()

    def __dealloc__(self):
        if self._stage == NEW:
            PyErr_WarnFormat(RuntimeWarning, 1, b"coroutine '%s' was never awaited", self.name())
        elif self._stage == WAITING or self._stage == YIELDED:
            # The garbage collector may have cleared what this refers to.
            if self._driver is not None and self._driver.session is not None:
                self.leave()


def _throw(kind, value=None, traceback=None):
    if isinstance(kind, BaseException):
        value = kind
    elif value is None:
        value = kind()
    elif not isinstance(value, BaseException):
        value = kind(value)
    raise value if traceback is None else value.with_traceback(traceback)


@cython.nonecheck(False)
cdef PySendResult step(self, value, PyObject **result) except PYGEN_ERROR:
    return (<Call>self).step(value, result)


cdef PyObject *step_as_iterator(self) except? NULL:
    """From Python 3.12 on, how the interpreter asks all but its own coroutines.

    ``None`` is returned by no more than the end, and for anything else there is an
    exception, made here without the traceback that ``raise`` would give it.
    """
    cdef PyObject *result = NULL
    cdef object stop
    if (<Call>self).step(None, &result) == PYGEN_NEXT:
        return result
    if result == <PyObject*>None:
        Py_DECREF(None)
        return NULL
    stop = (<PyTypeObject*>StopIteration).tp_new(<PyTypeObject*>StopIteration, (), NULL)
    (<PyStopIterationObject*>stop).value = result
    Py_INCREF(StopIteration)
    Py_INCREF(stop)
    PyErr_Restore(<PyObject*>StopIteration, <PyObject*>stop, NULL)
    return NULL


@cython.final
cdef class Receive(Call):
    cdef const char *name(self) noexcept:
        return b"recv"

    @cython.nonecheck(False)
    cdef PySendResult begin(self, PyObject **result) except PYGEN_ERROR:
        cdef HotEndpoint session
        if self._driver is None or self._driver.session is None:
            return self.otherwise(result)
        self._driver.check_thread()
        session = self._driver.session
        if session.messages is None or self._driver.time_slice is None:
            return self.otherwise(result)
        if session.messages._count > session.messages.take_threshold:
            self._driver.time_slice.left -= 1
            if self._driver.time_slice.left <= 0 and self._driver.time_slice.look(self._driver.loop):
                # Before a message is taken, which would be lost where this is cancelled.
                session.set_recv_blockers(session._recv_blockers | RECEIVING)
                return self.yield_once(result)
            return give(session.messages.first(), result)
        return self.wait(session, result)

    cdef PySendResult go_on(self, PyObject **result) except PYGEN_ERROR:
        cdef HotEndpoint session = self._driver.session
        session.stop_wait()
        if session.messages._count > session.messages.take_threshold:
            return give(session.messages.first(), result)
        return self.wait(session, result)

    cdef PySendResult wait(self, HotEndpoint session, PyObject **result) except PYGEN_ERROR:
        cdef Waiter waiter
        cdef object message
        if session.holder.holding and not session._recv_blockers & ~PAUSED:
            if self._driver.time_slice.spend(self._driver.loop):
                session.set_recv_blockers(session._recv_blockers | RECEIVING)
                return self.yield_once(result)
            message = session.take_held()
            if session.needs_sync:
                self._driver.step()
            if message is not None:
                return give(message, result)
        waiter = new_waiter(self._driver.loop, self._driver._eager)
        if not session.start_wait(waiter):
            return self.otherwise(result)
        self._waiter = waiter
        return self.wait_on(result)

    cdef PySendResult wait_on(self, PyObject **result) except PYGEN_ERROR:
        self._stage = WAITING
        self._waiter._asyncio_future_blocking = True
        give(self._waiter, result)
        return PYGEN_NEXT

    cdef PySendResult resume(self, PyObject **result) except PYGEN_ERROR:
        cdef HotEndpoint session = self._driver.session
        if not self._waiter._fired:
            return self.wait_on(result)
        self._driver.time_slice.begin()
        session.stop_wait()
        if self._waiter._cancelled:
            self._waiter.result()
        if session.messages._count > session.messages.take_threshold:
            return give(session.messages.first(), result)
        return self.otherwise(result)

    cdef PySendResult otherwise(self, PyObject **result) except PYGEN_ERROR:
        return self.pass_on(self._face._next() if self._iterating else self._face._receive(None), result)

    cdef int leave(self) except -1:
        return self._driver.session.stop_wait()


@cython.final
cdef class Send(Call):
    @cython.nonecheck(False)
    cdef PySendResult begin(self, PyObject **result) except PYGEN_ERROR:
        cdef object sent
        if self._driver is None or self._driver.time_slice is None:
            raise RuntimeError("the connection is gone")
        sent = self._driver.send_plain(self._message)
        if sent:
            self._driver.time_slice.left -= 1
            if self._driver.time_slice.left <= 0 and self._driver.time_slice.look(self._driver.loop):
                return self.yield_once(result)
            return give(None, result)
        if sent is None:
            return self.pass_on(self._face._drain(), result)
        return self.pass_on(self._face._send(self._message, None, None), result)

    cdef PySendResult go_on(self, PyObject **result) except PYGEN_ERROR:
        return give(None, result)


@cython.final
cdef class Messages:
    cdef HotDriver _driver
    cdef object _face

    def __init__(self, HotDriver driver not None, face):
        self._driver = driver
        self._face = face

    def __aiter__(self):
        return self

    def aclose(self):
        self._driver = None
        return done()

    def __anext__(self):
        if self._driver is None:
            return over()
        return new_receive(self._driver, self._face, True)


@cython.nonecheck(False)
cdef Receive new_receive(HotDriver driver, face, bint iterating):
    cdef Receive call = Receive.__new__(Receive)
    call._driver = driver
    call._face = face
    call._iterating = iterating
    return call


def recv(HotDriver driver not None, face):
    return new_receive(driver, face, False)


@cython.nonecheck(False)
def send(HotDriver driver not None, face, message):
    cdef Send call = Send.__new__(Send)
    call._driver = driver
    call._face = face
    call._message = message
    return call


(<PyTypeObject*>Receive).tp_as_async.am_send = step
(<PyTypeObject*>Send).tp_as_async.am_send = step
(<PyTypeObject*>Receive).tp_iternext = step_as_iterator
(<PyTypeObject*>Send).tp_iternext = step_as_iterator
