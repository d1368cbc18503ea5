"""permessage-deflate: what is negotiated, and what the streams do."""

from __future__ import annotations

import tracemalloc
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fullduplex.core.errors import (
    DuplicateParameter,
    InvalidParameterName,
    InvalidParameterValue,
    NegotiationError,
    PayloadTooBig,
    ProtocolError,
)
from fullduplex.core.extensions import zlib_library as _zlib
from fullduplex.core.extensions.deflate import PerMessageDeflate
from fullduplex.core.extensions.permessage_deflate import (
    ClientPerMessageDeflateFactory,
    ServerPerMessageDeflateFactory,
    enable_client_permessage_deflate,
    enable_server_permessage_deflate,
)
from fullduplex.core.frames.frame import Frame
from fullduplex.core.frames.opcode import BINARY, CLOSE, CONT, PING, PONG, TEXT
from fullduplex.core.typing import ExtensionParameter

Params = list[ExtensionParameter]

SERVER_NCT: ExtensionParameter = ("server_no_context_takeover", None)
CLIENT_NCT: ExtensionParameter = ("client_no_context_takeover", None)
CLIENT_ANY: ExtensionParameter = ("client_max_window_bits", None)


def server_bits(bits: int | str) -> ExtensionParameter:
    return "server_max_window_bits", str(bits)


def client_bits(bits: int | str) -> ExtensionParameter:
    return "client_max_window_bits", str(bits)


def settled(extension: PerMessageDeflate) -> tuple[bool, bool, int, int]:
    return (
        extension.remote_no_context_takeover,
        extension.local_no_context_takeover,
        extension.remote_max_window_bits,
        extension.local_max_window_bits,
    )


def make(**kwargs: Any) -> PerMessageDeflate:
    arguments: dict[str, Any] = {
        "remote_no_context_takeover": False,
        "local_no_context_takeover": False,
        "remote_max_window_bits": 15,
        "local_max_window_bits": 15,
    }
    return PerMessageDeflate(**arguments | kwargs)


def deflated(data: bytes, wbits: int = 15) -> bytes:
    """Compress one message as any other library would."""
    stream = zlib.compressobj(wbits=-wbits)
    return (stream.compress(data) + stream.flush(zlib.Z_SYNC_FLUSH))[:-4]


def final_block(data: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(data) + stream.flush(zlib.Z_FINISH)


# -- Client: what is offered ---------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "params"),
    [
        ({}, [CLIENT_ANY]),
        ({"client_max_window_bits": None}, []),
        ({"client_max_window_bits": 10}, [client_bits(10)]),
        ({"server_max_window_bits": 8}, [server_bits(8), CLIENT_ANY]),
        ({"server_no_context_takeover": True}, [SERVER_NCT, CLIENT_ANY]),
        ({"client_no_context_takeover": True}, [CLIENT_NCT, CLIENT_ANY]),
        (
            {
                "server_no_context_takeover": True,
                "client_no_context_takeover": True,
                "server_max_window_bits": 11,
                "client_max_window_bits": 9,
            },
            [SERVER_NCT, CLIENT_NCT, server_bits(11), client_bits(9)],
        ),
    ],
)
def test_client_offers_what_it_was_configured_for(
    arguments: dict[str, Any], params: Params
) -> None:
    assert ClientPerMessageDeflateFactory(**arguments).get_request_params() == params


# -- Client: what it makes of the answer ---------------------------------------

# (configuration, answer, remote nct, local nct, remote bits, local bits)
CLIENT_ACCEPTS: list[tuple[dict[str, Any], Params, tuple[bool, bool, int, int]]] = [
    ({}, [], (False, False, 15, 15)),
    # server_no_context_takeover
    ({}, [SERVER_NCT], (True, False, 15, 15)),
    ({"server_no_context_takeover": True}, [SERVER_NCT], (True, False, 15, 15)),
    # client_no_context_takeover
    ({}, [CLIENT_NCT], (False, True, 15, 15)),
    ({"client_no_context_takeover": True}, [], (False, True, 15, 15)),
    ({"client_no_context_takeover": True}, [CLIENT_NCT], (False, True, 15, 15)),
    # server_max_window_bits
    ({}, [server_bits(8)], (False, False, 8, 15)),
    ({}, [server_bits(15)], (False, False, 15, 15)),
    ({"server_max_window_bits": 10}, [server_bits(10)], (False, False, 10, 15)),
    ({"server_max_window_bits": 10}, [server_bits(9)], (False, False, 9, 15)),
    # client_max_window_bits
    ({"client_max_window_bits": None}, [], (False, False, 15, 15)),
    ({"client_max_window_bits": True}, [client_bits(9)], (False, False, 15, 9)),
    ({"client_max_window_bits": True}, [client_bits(15)], (False, False, 15, 15)),
    ({"client_max_window_bits": 12}, [], (False, False, 15, 12)),
    ({"client_max_window_bits": 12}, [client_bits(12)], (False, False, 15, 12)),
    ({"client_max_window_bits": 12}, [client_bits(9)], (False, False, 15, 9)),
]


@pytest.mark.parametrize(("arguments", "answer", "result"), CLIENT_ACCEPTS)
def test_client_accepts_an_answer_that_fits_its_offer(
    arguments: dict[str, Any], answer: Params, result: tuple[bool, bool, int, int]
) -> None:
    factory = ClientPerMessageDeflateFactory(**arguments)
    assert settled(factory.process_response_params(answer, [])) == result


CLIENT_REFUSES: list[tuple[dict[str, Any], Params, type[Exception]]] = [
    ({"server_no_context_takeover": True}, [], NegotiationError),
    ({"server_max_window_bits": 10}, [], NegotiationError),
    ({"server_max_window_bits": 10}, [server_bits(11)], NegotiationError),
    ({"client_max_window_bits": None}, [client_bits(12)], NegotiationError),
    ({"client_max_window_bits": 12}, [client_bits(13)], NegotiationError),
    ({"client_max_window_bits": True}, [client_bits(8)], InvalidParameterValue),
    ({"client_max_window_bits": 12}, [client_bits(8)], InvalidParameterValue),
    # A value where there is none, and the other way round.
    ({}, [("server_no_context_takeover", "1")], InvalidParameterValue),
    ({}, [("client_no_context_takeover", "")], InvalidParameterValue),
    ({}, [("server_max_window_bits", None)], InvalidParameterValue),
    ({}, [CLIENT_ANY], InvalidParameterValue),
    # Values that int() would take, or that are out of range.
    ({}, [server_bits("08")], InvalidParameterValue),
    ({}, [server_bits("+9")], InvalidParameterValue),
    ({}, [server_bits("1_0")], InvalidParameterValue),
    ({}, [server_bits("\u0661\u0662")], InvalidParameterValue),
    ({}, [server_bits("")], InvalidParameterValue),
    ({}, [server_bits(7)], InvalidParameterValue),
    ({}, [server_bits(16)], InvalidParameterValue),
    ({}, [client_bits("012")], InvalidParameterValue),
    ({}, [("unknown", None)], InvalidParameterName),
    ({}, [SERVER_NCT, SERVER_NCT], DuplicateParameter),
    ({}, [server_bits(9), server_bits(9)], DuplicateParameter),
]


@pytest.mark.parametrize(("arguments", "answer", "error"), CLIENT_REFUSES)
def test_client_refuses_an_answer_that_does_not_fit(
    arguments: dict[str, Any], answer: Params, error: type[Exception]
) -> None:
    factory = ClientPerMessageDeflateFactory(**arguments)
    with pytest.raises(error) as caught:
        factory.process_response_params(answer, [])
    assert isinstance(caught.value, NegotiationError)


def test_client_refuses_a_second_answer() -> None:
    factory = ClientPerMessageDeflateFactory()
    first = factory.process_response_params([], [])
    with pytest.raises(NegotiationError, match="already"):
        factory.process_response_params([], [first])


# -- Server: what it makes of an offer -----------------------------------------

SERVER_ACCEPTS: list[
    tuple[dict[str, Any], Params, Params, tuple[bool, bool, int, int]]
] = [
    ({}, [], [], (False, False, 15, 15)),
    # server_no_context_takeover
    ({}, [SERVER_NCT], [SERVER_NCT], (False, True, 15, 15)),
    ({"server_no_context_takeover": True}, [], [SERVER_NCT], (False, True, 15, 15)),
    (
        {"server_no_context_takeover": True},
        [SERVER_NCT],
        [SERVER_NCT],
        (False, True, 15, 15),
    ),
    # client_no_context_takeover
    ({}, [CLIENT_NCT], [CLIENT_NCT], (True, False, 15, 15)),
    ({"client_no_context_takeover": True}, [], [CLIENT_NCT], (True, False, 15, 15)),
    (
        {"client_no_context_takeover": True},
        [CLIENT_NCT],
        [CLIENT_NCT],
        (True, False, 15, 15),
    ),
    # server_max_window_bits: None/M, N/None, N/M both ways
    ({}, [server_bits(10)], [server_bits(10)], (False, False, 15, 10)),
    ({"server_max_window_bits": 12}, [], [server_bits(12)], (False, False, 15, 12)),
    (
        {"server_max_window_bits": 12},
        [server_bits(10)],
        [server_bits(10)],
        (False, False, 15, 10),
    ),
    (
        {"server_max_window_bits": 12},
        [server_bits(15)],
        [server_bits(12)],
        (False, False, 15, 12),
    ),
    # client_max_window_bits: None/valueless, None/M, N/None, N/valueless, N/M
    ({}, [CLIENT_ANY], [], (False, False, 15, 15)),
    ({}, [client_bits(8)], [client_bits(8)], (False, False, 8, 15)),
    ({"client_max_window_bits": 12}, [], [], (False, False, 15, 15)),
    (
        {"client_max_window_bits": 12},
        [CLIENT_ANY],
        [client_bits(12)],
        (False, False, 12, 15),
    ),
    (
        {"client_max_window_bits": 12},
        [client_bits(10)],
        [client_bits(10)],
        (False, False, 10, 15),
    ),
    (
        {"client_max_window_bits": 12},
        [client_bits(14)],
        [client_bits(12)],
        (False, False, 12, 15),
    ),
    (
        {"client_max_window_bits": 8, "require_client_max_window_bits": True},
        [CLIENT_ANY],
        [client_bits(8)],
        (False, False, 8, 15),
    ),
]


@pytest.mark.parametrize(("arguments", "offer", "answer", "result"), SERVER_ACCEPTS)
def test_server_answers_an_offer_it_can_accept(
    arguments: dict[str, Any],
    offer: Params,
    answer: Params,
    result: tuple[bool, bool, int, int],
) -> None:
    factory = ServerPerMessageDeflateFactory(**arguments)
    params, extension = factory.process_request_params(offer, [])
    assert params == answer
    assert settled(extension) == result


SERVER_REFUSES: list[tuple[dict[str, Any], Params, type[Exception]]] = [
    (
        {"client_max_window_bits": 12, "require_client_max_window_bits": True},
        [],
        NegotiationError,
    ),
    # zlib has no compressor for a window of 8 bits.
    ({}, [server_bits(8)], InvalidParameterValue),
    ({"server_max_window_bits": 12}, [server_bits(8)], InvalidParameterValue),
    ({}, [("server_max_window_bits", None)], InvalidParameterValue),
    ({}, [("server_no_context_takeover", "true")], InvalidParameterValue),
    ({}, [client_bits("")], InvalidParameterValue),
    ({}, [client_bits("08")], InvalidParameterValue),
    ({}, [client_bits(16)], InvalidParameterValue),
    ({}, [("x-unknown", None)], InvalidParameterName),
    ({}, [CLIENT_ANY, client_bits(10)], DuplicateParameter),
]


@pytest.mark.parametrize(("arguments", "offer", "error"), SERVER_REFUSES)
def test_server_refuses_an_offer_it_cannot_accept(
    arguments: dict[str, Any], offer: Params, error: type[Exception]
) -> None:
    factory = ServerPerMessageDeflateFactory(**arguments)
    with pytest.raises(error) as caught:
        factory.process_request_params(offer, [])
    assert isinstance(caught.value, NegotiationError)


def test_server_refuses_a_second_offer_once_one_was_accepted() -> None:
    factory = ServerPerMessageDeflateFactory()
    _, first = factory.process_request_params([], [])
    with pytest.raises(NegotiationError, match="already"):
        factory.process_request_params([], [first])


@given(st.data())
def test_a_client_accepts_every_answer_of_a_server_to_its_offer(
    data: st.DataObject,
) -> None:
    flag = st.booleans()
    client = ClientPerMessageDeflateFactory(
        data.draw(flag),
        data.draw(flag),
        data.draw(st.none() | st.integers(9, 15)),
        data.draw(st.none() | st.just(True) | st.integers(9, 15)),
    )
    server = ServerPerMessageDeflateFactory(
        data.draw(flag),
        data.draw(flag),
        data.draw(st.none() | st.integers(9, 15)),
        data.draw(st.none() | st.integers(9, 15)),
    )

    offer = client.get_request_params()
    answer, server_side = server.process_request_params(offer, [])
    client_side = client.process_response_params(answer, [])

    messages = [b"abc" * 500, b"", b"abc" * 500]
    for sender, receiver in (
        (client_side, server_side),
        (server_side, client_side),
    ):
        assert sender.local_max_window_bits <= receiver.remote_max_window_bits
        for message in messages:
            wire = sender.deflate(message, fin=True)
            assert receiver.inflate(wire, fin=True, max_size=1500) == message


# -- Arguments -----------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        {"server_max_window_bits": 7},
        {"server_max_window_bits": 16},
        {"server_max_window_bits": True},
        {"server_max_window_bits": "12"},
        {"client_max_window_bits": 8},
        {"client_max_window_bits": 16},
        {"client_max_window_bits": False},
        {"compress_settings": {"wbits": -15}},
        {"compress_settings": {"memLevel": 10}},
        {"compress_settings": {"level": "high"}},
        {"compress_settings": {"speed": 3}},
    ],
)
def test_client_factory_refuses_bad_arguments(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(arguments))):
        ClientPerMessageDeflateFactory(**arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        {"server_max_window_bits": 8},
        {"server_max_window_bits": 16},
        {"client_max_window_bits": 7},
        {"client_max_window_bits": 16},
        {"client_max_window_bits": True},
        {"compress_settings": {"wbits": -15}},
        {"require_client_max_window_bits": True},
    ],
)
def test_server_factory_refuses_bad_arguments(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(arguments))):
        ServerPerMessageDeflateFactory(**arguments)


def test_extension_refuses_a_window_that_zlib_cannot_write() -> None:
    with pytest.raises(ValueError, match="local_max_window_bits is 8, expected 9"):
        make(local_max_window_bits=8)


def test_default_client_factory_offers_what_every_server_understands() -> None:
    (factory,) = enable_client_permessage_deflate(None)
    assert factory.name == "permessage-deflate"
    assert factory.get_request_params() == [CLIENT_ANY]
    assert isinstance(factory, ClientPerMessageDeflateFactory)
    assert factory.compress_settings == {"memLevel": 5}


@pytest.mark.parametrize(
    ("offer", "answer"),
    [
        ([CLIENT_ANY], [server_bits(12), client_bits(12)]),
        ([], [server_bits(12)]),
    ],
)
def test_default_server_factory_limits_both_windows(
    offer: Params, answer: Params
) -> None:
    (factory,) = enable_server_permessage_deflate(None)
    assert factory.process_request_params(offer, [])[0] == answer
    assert isinstance(factory, ServerPerMessageDeflateFactory)
    assert factory.compress_settings == {"memLevel": 5}


def test_enabling_keeps_a_factory_that_is_there() -> None:
    client = ClientPerMessageDeflateFactory(client_max_window_bits=None)
    server = ServerPerMessageDeflateFactory()
    assert enable_client_permessage_deflate([client]) == [client]
    assert enable_server_permessage_deflate((server,)) == [server]


def test_enabling_leaves_the_list_it_was_given_alone() -> None:
    extensions: list[Any] = []
    assert len(enable_client_permessage_deflate(extensions)) == 1
    assert extensions == []


# -- Streams -------------------------------------------------------------------


def test_examples_of_rfc_7692_are_read() -> None:
    # 7.2.3.1 to 7.2.3.6, in the order of the text.
    extension = make()
    assert extension.inflate(b"\xf2\x48\xcd\xc9\xc9\x07\x00", fin=True, max_size=5) == (
        b"Hello"
    )
    # The second one refers to the first.
    assert extension.inflate(b"\xf2\x00\x11\x00\x00", fin=True, max_size=5) == b"Hello"
    stored = b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"
    assert extension.inflate(stored, fin=True, max_size=5) == b"Hello"
    final = b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00"
    assert extension.inflate(final, fin=True, max_size=5) == b"Hello"
    two_blocks = b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"
    assert extension.inflate(two_blocks, fin=True, max_size=5) == b"Hello"
    assert extension.inflate(b"\x00", fin=True, max_size=5) == b""


def test_second_message_is_shorter_when_the_window_is_kept() -> None:
    message = b"a message that is sent twice"
    kept, dropped = make(), make(local_no_context_takeover=True)
    assert len(kept.deflate(message, fin=True)) > len(kept.deflate(message, fin=True))
    assert dropped.deflate(message, fin=True) == dropped.deflate(message, fin=True)


def test_no_context_takeover_holds_no_stream_between_messages() -> None:
    extension = make(remote_no_context_takeover=True, local_no_context_takeover=True)
    wire = [extension.deflate(part, fin=part == b"b") for part in (b"a", b"b")]
    assert extension._compressor is None
    assert extension.inflate(wire[0], fin=False, max_size=None) == b"a"
    assert extension.decompressor is not None
    assert extension.inflate(wire[1], fin=True, max_size=None) == b"b"
    assert extension.decompressor is None


def test_no_context_takeover_forgets_after_a_message_that_ends_empty() -> None:
    extension = make(local_no_context_takeover=True)
    extension.deflate(b"some words", fin=False)
    assert extension.deflate(b"", fin=True) == b"\x00"
    assert extension._compressor is None


def test_a_peer_that_ignores_no_context_takeover_is_refused() -> None:
    sender, receiver = make(), make(remote_no_context_takeover=True)
    message = b"a message that is sent twice"
    first, second = (sender.deflate(message, fin=True) for _ in range(2))
    assert receiver.inflate(first, fin=True, max_size=None) == message
    with pytest.raises(ProtocolError):
        receiver.inflate(second, fin=True, max_size=None)


@pytest.mark.skipif(_zlib.LIBRARY == "isal", reason="isal always keeps 32 KiB")
def test_a_message_that_refers_behind_the_agreed_window_is_refused() -> None:
    sender, receiver = make(), make(remote_max_window_bits=8)
    for message in (b"far away!" * 3, bytes(range(256)) * 4):
        receiver.inflate(sender.deflate(message, fin=True), fin=True, max_size=None)
    with pytest.raises(ProtocolError):
        receiver.inflate(
            sender.deflate(b"far away!" * 3, fin=True), fin=True, max_size=None
        )


def test_streams_are_made_only_when_they_are_needed() -> None:
    extension = make()
    extension.deflate(b"", fin=True)
    assert extension._compressor is None
    extension.deflate(b"x", fin=True)
    assert extension.decompressor is None


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_every_kind_of_bytes_is_taken(kind: Any) -> None:
    sender, receiver = make(), make()
    wire = sender.deflate(kind(b"spam" * 9), fin=True)
    assert receiver.inflate(kind(wire), fin=True, max_size=None) == b"spam" * 9


def test_a_view_with_gaps_is_taken() -> None:
    wire = make().deflate(memoryview(b"s-p-a-m-")[::2], fin=True)
    assert make().inflate(wire, fin=True, max_size=None) == b"spam"


@given(
    st.lists(st.lists(st.binary(max_size=300), min_size=1, max_size=4), max_size=6),
    st.booleans(),
    st.sampled_from([9, 12, 15]),
)
def test_fragmented_messages_come_back(
    messages: list[list[bytes]], forget: bool, wbits: int
) -> None:
    sender = make(local_no_context_takeover=forget, local_max_window_bits=wbits)
    receiver = make(remote_no_context_takeover=forget, remote_max_window_bits=wbits)
    plain = zlib.decompressobj(-wbits)
    for message in messages:
        wires = [
            sender.deflate(part, fin=index == len(message) - 1)
            for index, part in enumerate(message)
        ]
        # Each fragment can be read as soon as it is there.
        for index, (wire, part) in enumerate(zip(wires, message, strict=True)):
            fin = index == len(message) - 1
            assert receiver.inflate(wire, fin=fin, max_size=len(part)) == part
        # And zlib agrees with the whole.
        whole = b"".join(wires) + b"\x00\x00\xff\xff"
        assert plain.decompress(whole) == b"".join(message)
        if forget:
            plain = zlib.decompressobj(-wbits)


@given(st.binary(min_size=1, max_size=2000), st.data())
def test_a_message_cut_anywhere_comes_back(message: bytes, data: st.DataObject) -> None:
    wire = deflated(message)
    cut = data.draw(st.integers(0, len(wire)))
    receiver = make()
    first = receiver.inflate(wire[:cut], fin=False, max_size=None)
    left = len(message) - len(first)
    second = receiver.inflate(wire[cut:], fin=True, max_size=left)
    assert first + second == message


# -- Limits --------------------------------------------------------------------

SIZES = [0, 1, 2, 125, 16383, 16384, 16385, 2**16, 2**20]


@pytest.mark.parametrize("size", SIZES)
def test_exactly_max_size_passes(size: int) -> None:
    message = b"\x00" * size
    assert make().inflate(deflated(message), fin=True, max_size=size) == message


@pytest.mark.parametrize("size", SIZES)
def test_one_byte_above_max_size_is_refused(size: int) -> None:
    wire = deflated(b"\x00" * (size + 1))
    with pytest.raises(PayloadTooBig) as caught:
        make().inflate(wire, fin=True, max_size=size)
    assert caught.value.max_size == size
    assert caught.value.size is None


def test_a_budget_of_zero_is_no_lack_of_limit() -> None:
    extension = make()
    assert extension.inflate(b"\x00", fin=True, max_size=0) == b""
    with pytest.raises(PayloadTooBig):
        extension.inflate(deflated(b"\x00" * 10**6), fin=True, max_size=0)


@pytest.mark.parametrize("max_size", [2**31, 2**62, 2**63 - 1, 2**63, 2**64])
def test_a_limit_above_all_sizes_limits_nothing(max_size: int) -> None:
    assert make().inflate(deflated(b"abc"), fin=True, max_size=max_size) == b"abc"


def test_a_bomb_does_not_grow_past_the_limit() -> None:
    wire = deflated(b"\x00" * 2**26)
    extension = make()
    tracemalloc.start()
    try:
        with pytest.raises(PayloadTooBig):
            extension.inflate(wire, fin=True, max_size=2**20)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # zlib gathers blocks and joins them once.
    assert peak < 3 * 2**20 + len(wire) * 3


def test_the_limit_holds_across_final_blocks() -> None:
    wire = final_block(b"x" * 60) + final_block(b"y" * 40) + b"\x00"
    expected = b"x" * 60 + b"y" * 40
    assert make().inflate(wire, fin=True, max_size=100) == expected
    assert make().inflate(wire, fin=True, max_size=None) == expected
    with pytest.raises(PayloadTooBig) as caught:
        make().inflate(wire, fin=True, max_size=99)
    assert caught.value.max_size == 99


def test_a_flood_of_final_blocks_is_refused() -> None:
    with pytest.raises(ProtocolError, match="64 final"):
        make().inflate(final_block(b"") * 100_000, fin=True, max_size=None)


# -- Final blocks and bad streams ----------------------------------------------


@pytest.mark.parametrize("forget", [False, True])
@pytest.mark.parametrize("ending", [b"\x00", b""], ids=["with header", "without"])
def test_messages_go_on_after_a_final_block(ending: bytes, forget: bool) -> None:
    extension = make(remote_no_context_takeover=forget)
    for _ in range(3):
        wire = final_block(b"Hello") + ending
        assert extension.inflate(wire, fin=True, max_size=5) == b"Hello"
        # A stream of its own, so it refers to nothing that came before.
        assert extension.inflate(deflated(b"Hello"), fin=True, max_size=5) == b"Hello"
        extension = make(remote_no_context_takeover=forget)


def test_a_final_block_may_end_a_fragment() -> None:
    extension = make()
    block = final_block(b"Hello")
    assert extension.inflate(block, fin=False, max_size=9) == b"Hello"
    assert extension.inflate(deflated(b", you"), fin=True, max_size=9) == b", you"


def test_a_final_block_may_be_cut() -> None:
    extension = make()
    block = final_block(b"Hello") + b"\x00"
    output = b"".join(
        extension.inflate(block[i : i + 1], fin=i == len(block) - 1, max_size=5)
        for i in range(len(block))
    )
    assert output == b"Hello"


@pytest.mark.parametrize(
    "wire",
    [
        b"\xff\xff\xff",
        b"\x07",
        deflated(b"spam") + b"\xff\xff\xff\xff",
        final_block(b"spam") + b"\xff\xff\xff\xff",
        b"\x00\x05\x00\x00\x00Hello\x00",
    ],
    ids=["garbage", "block type 3", "garbage behind", "behind final", "bad stored"],
)
def test_what_is_no_stream_is_refused(wire: bytes) -> None:
    with pytest.raises(ProtocolError, match="DEFLATE"):
        make().inflate(wire, fin=True, max_size=2**20)


# -- Frames --------------------------------------------------------------------


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_encode_marks_the_first_frame_only(opcode: Any) -> None:
    extension = make()
    first = extension.encode(Frame(opcode, b"abc", fin=False))
    last = extension.encode(Frame(CONT, b"def"))
    assert (first.opcode, first.fin, first.rsv1) == (opcode, False, True)
    assert (last.opcode, last.fin, last.rsv1) == (CONT, True, False)
    plain = zlib.decompressobj(-15)
    whole = bytes(first.data) + bytes(last.data) + b"\x00\x00\xff\xff"
    assert plain.decompress(whole) == b"abcdef"


def test_decode_undoes_encode_and_clears_the_mark() -> None:
    sender, receiver = make(), make()
    for frames in (
        [Frame(TEXT, b"one")],
        [Frame(BINARY, b"two", fin=False), Frame(CONT, b"", False), Frame(CONT, b"3")],
        [Frame(TEXT, b"")],
    ):
        for frame in frames:
            assert receiver.decode(sender.encode(frame)) == frame


@pytest.mark.parametrize("opcode", [PING, PONG, CLOSE])
def test_control_frames_pass_unchanged_within_a_message(opcode: Any) -> None:
    extension = make()
    control = Frame(opcode, b"\x03\xe8")
    encoded = extension.encode(Frame(TEXT, b"a", fin=False))
    assert extension.encode(control) is control
    extension.encode(Frame(CONT, b"b"))
    receiver = make()
    receiver.decode(encoded)
    assert receiver.decode(control) is control


def test_messages_that_are_not_compressed_pass_unchanged() -> None:
    extension = make()
    for frame in (Frame(TEXT, b"a", fin=False), Frame(CONT, b"b"), Frame(TEXT, b"c")):
        assert extension.decode(frame) is frame


def test_encode_leaves_the_rest_of_a_plain_message_alone() -> None:
    frame = Frame(CONT, b"b")
    assert make().encode(frame) is frame


def test_a_plain_message_after_a_compressed_one_is_left_alone() -> None:
    extension = make()
    extension.decode(Frame(TEXT, deflated(b"a"), rsv1=True))
    plain = [Frame(BINARY, b"b", fin=False), Frame(CONT, b"c")]
    assert [extension.decode(frame) for frame in plain] == plain


@pytest.mark.parametrize("compressed", [False, True])
def test_rsv1_on_a_continuation_is_refused(compressed: bool) -> None:
    extension = make()
    data = deflated(b"a") + b"\x00\x00\xff\xff"
    extension.decode(Frame(TEXT, data, fin=False, rsv1=compressed))
    with pytest.raises(ProtocolError, match="RSV1"):
        extension.decode(Frame(CONT, deflated(b"b"), rsv1=True))


def test_decode_passes_the_limit_on() -> None:
    frame = Frame(BINARY, deflated(b"abc"), rsv1=True)
    assert make().decode(frame, max_size=3).data == b"abc"
    with pytest.raises(PayloadTooBig):
        make().decode(frame, max_size=2)


def test_other_reserved_bits_are_left_to_other_extensions() -> None:
    frame = Frame(BINARY, deflated(b"abc"), rsv1=True, rsv2=True, rsv3=True)
    decoded = make().decode(frame)
    assert (decoded.rsv1, decoded.rsv2, decoded.rsv3) == (False, True, True)


# -- Choice of the library -----------------------------------------------------


def test_zlib_can_be_asked_for() -> None:
    assert _zlib.choose("zlib") == ("zlib", zlib)


def test_an_unknown_library_is_refused() -> None:
    with pytest.raises(ValueError, match="FULLDUPLEX_ZLIB is 'brotli'"):
        _zlib.choose("brotli")


def test_repr_tells_what_was_agreed() -> None:
    assert "remote_max_window_bits=12" in repr(make(remote_max_window_bits=12))


# Connections that rest


def test_rest_releases_a_stream_that_was_not_used_since_the_last_one() -> None:
    sender, receiver = make(), make()
    messages = [b"hello, hello", b"hello again", b"and again, hello", b"hello"]
    for number, message in enumerate(messages):
        payload = sender.deflate(message, fin=True)
        assert receiver.inflate(payload, fin=True, max_size=None) == message
        sender.rest()
        assert sender._compressor is not None
        if number % 2:
            sender.rest()
            assert sender._compressor is None
            sender.rest()
