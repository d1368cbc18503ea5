"""Bytes-like objects: all that export a buffer, as the bytes that are sent."""

from __future__ import annotations

from typing import Any

from .typing import BytesLike


def byte_view(value: Any) -> BytesLike | None:
    """
    Give access to the bytes of an object that exports a buffer.

    `array.array`, `mmap.mmap`, arrays of `ctypes` and NumPy, and `memoryview` of any
    format are such objects.  Elements count by their bytes in memory, rows in C order.

    Returns:
        A buffer whose length is in bytes, without a copy where the bytes lie side by
        side; None if `value` exports no buffer.

    Raises:
        TypeError: the elements are references to Python objects.
        ValueError: `value` is a `memoryview` that was released.
    """
    if isinstance(value, (bytes, bytearray)):
        return value
    if isinstance(value, str):
        return None
    try:
        view = memoryview(value)
    except TypeError:
        return None
    if "O" in view.format:
        raise TypeError(
            f"{type(value).__name__} holds references to Python objects, not bytes"
        )
    if view.contiguous and view.c_contiguous and view.nbytes:
        return view if view.format == "B" and view.ndim == 1 else view.cast("B")
    return view.tobytes()


def check_bytes(name: str, value: Any) -> BytesLike:
    """
    Return the bytes of a bytes-like object, as `byte_view`.

    Args:
        name: of the parameter, for the error.

    Raises:
        TypeError: `value` is not bytes-like.
    """
    data = byte_view(value)
    if data is None:
        raise TypeError(f"{name} must be bytes-like, not {type(value).__name__}")
    return data
