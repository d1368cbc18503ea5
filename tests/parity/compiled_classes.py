"""Call every method of every compiled class on objects that lack what they need.

Run as a program, for the test next to it: each class in a process of its own, for a
crash ends the process.  Prints what has crashed.
"""

from __future__ import annotations

import copy
import ctypes
import gc
import importlib
import itertools
import os
import signal
import sys
import types
import warnings
from asyncio import CancelledError
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fullduplex

ROOT = Path(fullduplex.__file__).parent
# Seconds for all methods of a class.
PATIENCE = 30
ARGUMENTS: tuple[Any, ...] = (
    None, 0, 1, -1, 2**40, b"", b"ab", "x", bytearray(9), memoryview(b"cd"), 1.5, [],
    {}, object(), len,
)  # fmt: skip
# Where CPython keeps what the garbage collector calls, in machine words.
TP_CLEAR = 24


def modules() -> Iterator[types.ModuleType]:
    """Import all that is compiled."""
    for path in sorted(ROOT.rglob("*.so")):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        yield importlib.import_module(".".join(parts).partition(".cpython")[0])


def classes() -> Iterator[type]:
    """Find the compiled classes, and what Python classes are made of them."""
    for module in modules():
        for value in vars(module).values():
            if isinstance(value, type) and value.__module__ == module.__name__:
                yield value


def found(name: str) -> Any:
    """Return a compiled class by its name."""
    return next(cls for cls in classes() if cls.__name__ == name)


def subclasses(cls: Any) -> Iterator[type]:
    for sub in cls.__subclasses__():
        yield sub
        yield from subclasses(sub)


def clear(value: Any) -> None:
    """Do what the garbage collector does to an object of a cycle."""
    word = ctypes.sizeof(ctypes.c_void_p)
    slot = ctypes.c_void_p.from_address(id(type(value)) + TP_CLEAR * word).value
    if slot:
        ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.py_object)(slot)(value)


def poke(value: Any) -> None:
    """Read, set and call whatever an object has."""
    names = [name for name in dir(type(value)) if name not in UNTOUCHED]
    for name in names:
        try:
            member = getattr(value, name)
        except Exception:
            continue
        if not callable(member):
            for argument in ARGUMENTS:
                try:
                    setattr(value, name, argument)
                except Exception:
                    pass
            try:
                setattr(value, name, member)
            except Exception:
                pass
            continue
        for count in range(4):
            choices: Any = ARGUMENTS if count < 3 else ARGUMENTS[:6]
            for arguments in itertools.product(choices, repeat=count):
                try:
                    result = member(*arguments)
                    if hasattr(result, "__next__"):
                        next(result, None)
                except (Exception, CancelledError):
                    pass


# What belongs to Python, and what waits for ever, as it should.
UNTOUCHED = {
    "__class__",
    "__del__",
    "__delattr__",
    "__dict__",
    "__dir__",
    "__doc__",
    "__format__",
    "__getattribute__",
    "__getstate__",
    "__hash__",
    "__init__",
    "__init_subclass__",
    "__new__",
    "__setattr__",
    "__sizeof__",
    "__subclasshook__",
    "__weakref__",
    "acquire",
    "sleep",
}


def made(cls: Any) -> Iterator[Any]:
    """Make objects in bad states."""
    try:
        value = cls.__new__(cls)
    except Exception:
        pass  # it takes arguments
    else:
        yield value
        value = cls.__new__(cls)
        clear(value)
        yield value
    if cls.__name__ == "FrameReader":
        yield cls(lambda head, payload: False, [].append, masked=False)
        yield cls(lambda head, payload: False, found("MessageQueue")(), masked=True)
    elif cls.__name__ == "FrameWriter":
        yield cls(mask=True)
    for count in range(4):
        for arguments in itertools.product(ARGUMENTS[:9], repeat=count):
            try:
                value = cls(*arguments)
            except Exception:
                continue
            yield value
            break


def exercise(cls: Any) -> None:
    for value in made(cls):
        for copied in (copy.copy, copy.deepcopy):
            try:
                copied(value)
            except Exception:
                pass
        poke(value)
        clear(value)
        poke(value)
        del value
        gc.collect()


def main() -> int:
    for name in ("fullduplex.asyncio.client", "fullduplex.sync.server"):
        importlib.import_module(name)
    all_of_them = dict.fromkeys(classes())
    crashed = []
    for cls in list(all_of_them):
        all_of_them |= dict.fromkeys(subclasses(cls))
    for cls in all_of_them:
        pid = os.fork()
        if pid == 0:
            signal.alarm(PATIENCE)
            warnings.simplefilter("ignore")
            sys.unraisablehook = lambda *_: None
            try:
                exercise(cls)
            except BaseException as exc:
                print(f"{cls}: {exc!r}", flush=True)
                os._exit(1)
            os._exit(0)
        status = os.waitpid(pid, 0)[1]
        if status:
            crashed.append(cls)
            print(f"{cls.__module__}.{cls.__qualname__}: status {status}", flush=True)
    print(f"{len(all_of_them)} classes, {len(crashed)} crashed")
    return bool(crashed)


if __name__ == "__main__":
    sys.exit(main())
