"""What is noted while a connection is opened."""

from __future__ import annotations

import pytest

from fullduplex.core.diagnostics.connect_trace import ConnectTrace, show_address


def test_phase_lasts_from_the_mark_before_it_to_its_own() -> None:
    opening = ConnectTrace("ws://example.com/", 100)

    opening.mark("dns", 100.5)
    opening.mark("tcp", 102)

    assert opening.phases == {"dns": 0.5, "tcp": 1.5}


def test_phase_that_comes_again_is_added_up() -> None:
    opening = ConnectTrace("ws://example.com/", 0)
    opening.mark("tcp", 1)
    opening.mark("handshake", 3)

    opening.begin(10)
    opening.mark("tcp", 14)

    assert opening.phases == {"tcp": 5, "handshake": 2}


def test_trail_and_proxy_show_no_credentials() -> None:
    opening = ConnectTrace("ws://user:secret@example.com/", 0)
    opening.redirected("wss://other:secret@example.com/x")
    opening.use_proxy("http://me:secret@proxy:3128", "https_proxy")

    assert opening.trail == ["ws://***@example.com/", "wss://***@example.com/x"]
    assert opening.proxy == "http://***@proxy:3128"
    assert opening.proxy_reason == "https_proxy"


def test_addresses_are_kept_with_what_failed_there() -> None:
    opening = ConnectTrace("ws://example.com/", 0)
    opening.tried(("::1", 80, 0, 0), ConnectionRefusedError(111, "refused"))
    opening.tried(("127.0.0.1", 80), TimeoutError())
    opening.tried(("127.0.0.2", 80))

    assert opening.addresses == [
        ("[::1]:80", "[Errno 111] refused"),
        ("127.0.0.1:80", "TimeoutError"),
        ("127.0.0.2:80", None),
    ]


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        (("127.0.0.1", 80), "127.0.0.1:80"),
        (("fe80::1", 80, 0, 2), "[fe80::1]:80"),
        ("/run/socket", "/run/socket"),
        (b"/run/\xff", "/run/\\xff"),
        (None, "None"),
    ],
)
def test_address_is_shown_as_people_write_it(address: object, shown: str) -> None:
    assert show_address(address) == shown
