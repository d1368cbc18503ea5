"""Same bytes, cut anywhere: the two readers must not differ in anything."""

from __future__ import annotations

import os
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ..kit.bytes import BINARY, CLOSE, CONT, PING, PONG, TEXT, frame
from .bodies import NAMES, Reading, Record, body, cut

EXAMPLES = int(os.environ.get("FULLDUPLEX_EXAMPLES", "150"))

MASKS = st.binary(min_size=4, max_size=4)
SIZES = st.one_of(
    st.integers(0, 20),
    st.sampled_from([125, 126, 127, 128, 4095, 4096, 4097, 65535, 65536]),
)
LENGTHS = st.sampled_from(
    [
        *(2**power + shift for power in (7, 16, 31, 32, 63) for shift in (-1, 0, 1)),
        125,
        126,
        2**64 - 1,
    ]
)
LIMITS = st.one_of(
    st.none(),
    st.integers(0, 40),
    st.sampled_from([2**7, 2**12, 2**16, 2**31, 2**32, 2**63 - 1, 2**63]),
)


@st.composite
def payloads(draw: st.DrawFn) -> bytes:
    """Text, text that breaks off or goes wrong somewhere, or anything."""
    size = draw(SIZES)
    kind = draw(st.integers(0, 3))
    if kind == 0:
        return draw(st.binary(max_size=20))
    data = (draw(st.text(max_size=12)).encode() + b"x") * (size // 4 + 1)
    if kind == 1:
        return data[:size]
    if kind == 2:
        place = draw(st.integers(0, len(data)))
        return data[:place] + draw(st.binary(max_size=2)) + data[place:]
    return data


@st.composite
def honest(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Frames of whole and fragmented messages, with control frames between."""
    frames: list[dict[str, Any]] = []
    for _ in range(draw(st.integers(1, 4))):
        opcode = draw(st.sampled_from([TEXT, BINARY]))
        data = draw(payloads())
        pieces = cut(data, draw(st.lists(st.integers(0, 2**16), max_size=3))) or [b""]
        for i, piece in enumerate(pieces):
            frames.append(
                {
                    "opcode": CONT if i else opcode,
                    "payload": piece,
                    "fin": i == len(pieces) - 1,
                }
            )
            if draw(st.integers(0, 4)) == 0:
                control = draw(st.sampled_from([PING, PONG, PING, CLOSE]))
                frames.append(
                    {"opcode": control, "payload": draw(st.binary(max_size=9))}
                )
    return frames


@st.composite
def broken(draw: st.DrawFn) -> dict[str, Any]:
    """A frame that may be wrong in any way."""
    kwds: dict[str, Any] = {
        "opcode": draw(st.integers(0, 15)),
        "payload": draw(st.binary(max_size=200)),
        "fin": draw(st.booleans()),
        "rsv": draw(st.sampled_from([0, 0, 0, 1, 2, 4, 7])),
    }
    if draw(st.booleans()):
        kwds["length"] = draw(LENGTHS)
    length = kwds.get("length", len(kwds["payload"]))
    widths = [8, *([2] if length < 2**16 else []), *([0] if length < 126 else [])]
    kwds["width"] = draw(st.sampled_from(widths))
    return kwds


@st.composite
def streams(draw: st.DrawFn) -> tuple[bytes, bool]:
    """Bytes of frames, mostly good ones, and whether they are masked."""
    masked = draw(st.booleans())
    frames = draw(honest())
    if draw(st.booleans()):
        frames.insert(draw(st.integers(0, len(frames))), draw(broken()))
    data = b""
    for kwds in frames:
        mask = draw(MASKS) if masked else None
        if draw(st.integers(0, 40)) == 0:
            mask = None if masked else b"\1\2\3\4"
        data += frame(mask=mask, **kwds)
    if draw(st.integers(0, 5)) == 0:
        data += draw(st.binary(max_size=30))
    return data, masked


def readings(
    data: bytes, places: list[int], *, feed: bool = False, **kwds: Any
) -> list[Record]:
    """Let each body read the same."""
    return [
        Reading(body("wire._wire", name), **kwds).run(cut(data, places), feed=feed)
        for name in NAMES
    ]


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    stream=streams(),
    places=st.lists(st.integers(0, 2**20), max_size=12),
    max_size=LIMITS,
    max_fragment=LIMITS,
    direct_view=st.booleans(),
    rsv=st.sampled_from([0, 0x40, 0x70]),
    whole=st.booleans(),
    stop_at_close=st.booleans(),
    feed=st.booleans(),
)
def test_both_readers_do_the_same(
    stream: tuple[bytes, bool], places: list[int], **kwds: Any
) -> None:
    data, masked = stream
    pure, compiled = readings(data, places, masked=masked, **kwds)
    assert pure == compiled


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    stream=streams(),
    places=st.lists(st.integers(0, 2**20), min_size=1, max_size=12),
    direct_view=st.booleans(),
)
def test_cuts_change_neither_the_messages_nor_the_verdict(
    stream: tuple[bytes, bool], places: list[int], direct_view: bool
) -> None:
    data, masked = stream
    for name in NAMES:
        whole, pieces = (
            Reading(
                body("wire._wire", name),
                masked=masked,
                max_size=2**12,
                direct_view=direct_view,
            ).run(cut(data, where))
            for where in ([], places)
        )
        # An error may be seen earlier within a frame that still arrives, but it
        # is of the same kind, and nothing that came before it is lost.
        assert whole.events == pieces.events
        assert (whole.error is None) == (pieces.error is None)
        if whole.error is not None and pieces.error is not None:
            assert whole.error[0] == pieces.error[0]


@settings(max_examples=EXAMPLES, deadline=None)
@given(payload=payloads(), fin=st.booleans(), masked=st.booleans())
def test_both_readers_stop_at_the_same_byte_of_invalid_text(
    payload: bytes, fin: bool, masked: bool
) -> None:
    payload = payload[:5000]
    data = frame(TEXT, payload, fin=fin, mask=b"\1\2\3\4" if masked else None)
    # The start at once, the last bytes one by one.
    edge = max(0, len(data) - 40)
    pieces = [data[:edge], *(data[i : i + 1] for i in range(edge, len(data)))]
    stops = []
    for name in NAMES:
        reading = Reading(body("wire._wire", name), masked=masked)
        stop = None
        for i, piece in enumerate(pieces):
            try:
                reading.write(piece)
            except UnicodeDecodeError:
                stop = i
                break
        stops.append(stop)
    assert stops[0] == stops[1]


@settings(max_examples=EXAMPLES // 2, deadline=None)
@given(
    messages=st.lists(
        st.one_of(
            st.text(max_size=300),
            st.binary(max_size=300),
            SIZES.map(bytes),
            SIZES.map(lambda size: "é" * size),
        ),
        min_size=1,
        max_size=6,
    ),
    mask=st.booleans(),
)
def test_both_writers_build_what_a_reader_understands(
    messages: list[str | bytes], mask: bool
) -> None:
    for name in NAMES:
        writer = body("wire._wire", name).FrameWriter(mask=mask)
        for message in messages:
            assert writer.add_message(message)
        pending = writer.pending
        data = writer.take()
        assert len(data) == pending == writer.total
        for reader in NAMES:
            record = Reading(body("wire._wire", reader), masked=mask).run([data])
            assert record.events == messages
