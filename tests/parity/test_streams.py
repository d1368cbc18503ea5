"""Streams without the modules of zlib and zlib-ng: they do what those do."""

from __future__ import annotations

import gc
import os
import random
import subprocess
import sys
import threading
import zlib
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fullduplex import IMPLEMENTATION
from fullduplex.core.extensions.zlib_library import Deflater, compressobj

MODULES = {"zlib": "zlib", "zlib-ng": "zlib_ng.zlib_ng"}


def streams() -> Any:
    return pytest.importorskip(
        "fullduplex.core.kernels._zlib_c", reason="no compiled parts"
    )


def library(name: str) -> tuple[ModuleType, Any]:
    """Return a module, and the functions in C that it calls."""
    module = pytest.importorskip(MODULES[name])
    path = getattr(module, "__file__", None)
    if path is None or sys.platform == "win32":
        pytest.skip(f"{name} is not where we can look into it")
    return module, streams().Library(path, name == "zlib-ng", module.error)


@pytest.fixture(params=sorted(MODULES))
def both(request: pytest.FixtureRequest) -> tuple[ModuleType, Any]:
    return library(request.param)


def deflated(data: bytes, *, final: bool = False, wbits: int = 15) -> bytes:
    stream = zlib.compressobj(wbits=-wbits)
    return stream.compress(data) + stream.flush(
        zlib.Z_FINISH if final else zlib.Z_SYNC_FLUSH
    )


def outcome(stream: Any, pieces: list[bytes], limit: int) -> list[Any]:
    """What comes out of a stream, until something goes wrong or is over."""
    found: list[Any] = []
    for piece in pieces:
        try:
            output = stream.decompress(piece, limit)
        except Exception as exc:
            return [*found, type(exc), str(exc)]
        found.append((output, stream.eof, stream.unused_data))
        if stream.eof or (limit and len(output) == limit):
            break  # neither is ever used behind that
    return found


@given(
    messages=st.lists(
        st.one_of(
            st.binary(max_size=300),
            st.integers(0, 100_000).map(bytes),
            st.integers(0, 20_000).map(lambda size: bytes(range(256)) * (size // 256)),
        ),
        max_size=4,
    ),
    ending=st.sampled_from(["none", "final", "behind", "noise"]),
    limit=st.sampled_from([0, 1, 100, 16383, 16384, 16385, 65536, 2**40]),
    cut=st.integers(0, 2**17),
    wbits=st.integers(9, 15),
)
@pytest.mark.parametrize("name", sorted(MODULES))
def test_what_comes_out_is_the_same(
    name: str, messages: list[bytes], ending: str, limit: int, cut: int, wbits: int
) -> None:
    module, found = library(name)
    wire = b"".join(deflated(message, wbits=wbits) for message in messages)
    if ending in ("final", "behind"):
        wire += deflated(b"the end", final=True)
    if ending in ("behind", "noise"):
        wire += b"\xff\xff\xff\xff"
    pieces = [wire[:cut], wire[cut:]]

    ours = outcome(streams().Inflater(found, -wbits), pieces, limit)

    assert ours == outcome(module.decompressobj(-wbits), pieces, limit)


@pytest.mark.parametrize("size", [0, 1, 16383, 16384, 16385, 32768, 10**6])
@pytest.mark.parametrize("above", [-1, 0, 1, None])
def test_no_more_comes_out_than_was_asked_for(
    both: tuple[ModuleType, Any], size: int, above: int | None
) -> None:
    limit = 0 if above is None else max(size + above, 0)
    stream = streams().Inflater(both[1], -15)
    output = stream.decompress(deflated(bytes(size)), limit)
    assert len(output) == (min(size, limit) if limit else size)


def test_what_is_no_number_of_bytes_is_refused(both: tuple[ModuleType, Any]) -> None:
    stream = streams().Inflater(both[1], -15)
    with pytest.raises(ValueError, match="max_length"):
        stream.decompress(b"", -1)
    with pytest.raises(OverflowError):
        stream.decompress(b"", 2**64)


@pytest.mark.parametrize("wbits", [-16, -7, 99])
def test_a_window_that_there_is_not_is_refused(
    both: tuple[ModuleType, Any], wbits: int
) -> None:
    with pytest.raises(both[0].error):
        streams().Inflater(both[1], wbits)


def test_functions_are_not_taken_from_what_does_not_have_them() -> None:
    for path in (streams().__file__, "there is no such file"):
        with pytest.raises(LookupError, match="no functions of zlib"):
            streams().Library(path, False, zlib.error)


SETTINGS: list[dict[str, int]] = [
    {},
    {"memLevel": 5},
    {"level": 1, "memLevel": 9},
    {"level": 9, "strategy": zlib.Z_HUFFMAN_ONLY},
]


@given(
    messages=st.lists(
        st.tuples(
            st.one_of(
                st.binary(min_size=1, max_size=300),
                st.binary(min_size=4000, max_size=4100),
                st.integers(1, 100_000).map(bytes),
                st.integers(1, 300).map(lambda size: bytes(range(256)) * size),
            ),
            st.booleans(),
        ),
        max_size=4,
    ),
    settings=st.sampled_from(SETTINGS),
    wbits=st.integers(9, 15),
)
@pytest.mark.parametrize("name", sorted(MODULES))
def test_what_goes_in_comes_back_and_ends_at_a_byte(
    name: str, messages: list[tuple[bytes, bool]], settings: Any, wbits: int
) -> None:
    module, found = library(name)
    ours = streams().Deflater(found, wbits=-wbits, **settings)
    theirs = Deflater(module, wbits=-wbits, **settings)
    reader, other = zlib.decompressobj(-wbits), zlib.decompressobj(-wbits)
    for message, fin in messages:
        tail = b"\x00\x00\xff\xff" if fin else b""
        wire = ours.deflate(message, fin)
        assert reader.decompress(wire + tail) == message
        # Not always the same bytes: theirs are told in two steps.
        reference = theirs.deflate(message, fin)
        assert other.decompress(reference + tail) == message
        assert abs(len(wire) - len(reference)) <= 8 + len(reference) // 100


@pytest.mark.parametrize("size", [4095, 4096, 4097, 16384, 10**6])
@pytest.mark.parametrize("fin", [True, False])
def test_what_does_not_shrink_goes_through(
    both: tuple[ModuleType, Any], size: int, fin: bool
) -> None:
    data = random.Random(size).randbytes(size)
    wire = streams().Deflater(both[1], wbits=-15).deflate(data, fin)
    assert wire.endswith(b"\x00\x00\xff\xff") is not fin
    tail = b"\x00\x00\xff\xff" if fin else b""
    assert zlib.decompressobj(-15).decompress(wire + tail) == data


@pytest.mark.parametrize("settings", [{"level": 10}, {"memLevel": 0}, {"strategy": 9}])
def test_settings_that_there_are_not_are_refused(
    both: tuple[ModuleType, Any], settings: Any
) -> None:
    with pytest.raises(ValueError, match="Invalid initialization option"):
        both[0].compressobj(wbits=-15, **settings)
    with pytest.raises(ValueError, match="Invalid initialization option"):
        streams().Deflater(both[1], wbits=-15, **settings)


def test_streams_in_a_cycle_are_collected(both: tuple[ModuleType, Any]) -> None:
    cycle: list[Any] = [streams().Inflater(both[1], -15)]
    cycle += [streams().Deflater(both[1], wbits=-15), cycle]
    assert not any(gc.is_tracked(stream) for stream in cycle[:2])
    del cycle
    gc.collect()


def test_a_stream_is_not_used_by_two_threads_at_once(
    both: tuple[ModuleType, Any],
) -> None:
    # Large ones let other threads run meanwhile; who loses the race gets an error,
    # and what the other one reads is intact.
    stream = streams().Inflater(both[1], -15)
    data = bytes(range(256)) * 40_000
    wire = deflated(data)
    outputs: list[bytes] = []
    refused: list[str] = []

    def read() -> None:
        try:
            outputs.append(stream.decompress(wire, 0))
        except RuntimeError as exc:
            refused.append(str(exc))

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(outputs) == {data}
    assert set(refused) <= {"another thread is using this stream"}


@pytest.mark.parametrize("level", [1, 6])
@pytest.mark.parametrize(("wbits", "mem_level"), [(9, 1), (12, 5), (15, 9)])
def test_stream_that_lasts_writes_what_others_write(
    level: int, wbits: int, mem_level: int
) -> None:
    settings = {"level": level, "wbits": -wbits, "memLevel": mem_level}
    streams = [compressobj(lasting=lasting, **settings) for lasting in (False, True)]
    for size in (1, 1000, 100_000):
        data = random.Random(size).randbytes(size // 2) * 2 or b"x"
        one, other = (stream.deflate(data, True) for stream in streams)
        assert one == other


RELEASED = """
import os
from fullduplex.core.extensions.zlib_library import compressobj

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

# From now on, the allocator keeps blocks of the size that streams have.
block = bytearray(2**23)
del block
streams = [compressobj(lasting=True, wbits=-15, memLevel=9) for _ in range(100)]
for stream in streams:
    stream.deflate(b"hello" * 1000, True)
before = resident()
del stream, streams[::2]
print((before - resident()) // 50)
"""


@pytest.mark.skipif(
    not os.path.exists("/proc/self/statm"), reason="the system tells no memory in use"
)
@pytest.mark.skipif(IMPLEMENTATION == "pure", reason="zlib's module has its memory")
def test_memory_of_a_stream_that_lasted_goes_back_to_the_system() -> None:
    streams()
    ended = subprocess.run(
        [sys.executable, "-c", RELEASED], capture_output=True, check=True, text=True
    )
    assert int(ended.stdout) > 100_000
