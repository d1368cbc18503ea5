"""Which proxy a connection goes through, and why."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fullduplex.proxy
from fullduplex.core.client.plan import ConnectPlan
from fullduplex.core.client.proxy.address import (
    Proxy,
    Route,
    check_proxy_tls,
    parse_proxy,
)
from fullduplex.core.client.proxy.selection import (
    bypassed,
    get_proxy,
    is_local,
    select_proxy,
    system_proxies,
)
from fullduplex.core.errors import InvalidProxy
from fullduplex.core.uri import parse_uri

WS, WSS = parse_uri("ws://example.com/"), parse_uri("wss://example.com/")


def found(uri: str, environ: Mapping[str, str]) -> str | None:
    """Return the proxy of an environment, without its credentials."""
    proxy = select_proxy(parse_uri(uri), True, environ).proxy
    return None if proxy is None else str(proxy)


# Addresses


@pytest.mark.parametrize(
    ("address", "proxy"),
    [
        ("http://proxy", Proxy("http", "proxy", 80)),
        ("https://proxy", Proxy("https", "proxy", 443)),
        ("socks4://proxy", Proxy("socks4", "proxy", 1080)),
        ("socks4a://proxy", Proxy("socks4a", "proxy", 1080)),
        ("socks5://proxy/", Proxy("socks5", "proxy", 1080)),
        ("SOCKS5H://PROXY:0", Proxy("socks5h", "proxy", 1080)),
        ("http://u:p@proxy:3128", Proxy("http", "proxy", 3128, "u", "p")),
        ("http://u:@proxy", Proxy("http", "proxy", 80, "u", "")),
        ("http://a%40b:%C3%A9%3A@proxy", Proxy("http", "proxy", 80, "a@b", "é:")),
        ("http://u:p:q@proxy", Proxy("http", "proxy", 80, "u", "p:q")),
        ("http://[::1]:3128", Proxy("http", "::1", 3128)),
    ],
)
def test_address_is_taken_apart(address: str, proxy: Proxy) -> None:
    assert parse_proxy(address) == proxy


@pytest.mark.parametrize(
    "address",
    [
        "",
        "proxy",
        "proxy:3128",
        "//proxy",
        "http:proxy",
        "ftp://proxy",
        "ws://proxy",
        "socks://proxy",
        "http://",
        "http://:80",
        "http://proxy/path",
        "http://proxy?query",
        "http://proxy#fragment",
        "http://proxy:x",
        "http://proxy:65536",
        "http://user@proxy",
        "http://a%3Ab:p@proxy",
        "http://%ff:p@proxy",
        "http://proxy\r\nX: y",
        "http://pro xy",
        "http://[::1",
        "socks5://é:p@proxy",
        f"socks5://{'u' * 256}:p@proxy",
    ],
)
def test_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(InvalidProxy) as caught:
        parse_proxy(address)
    assert isinstance(caught.value, ValueError)


def test_credentials_are_shown_nowhere() -> None:
    proxy = parse_proxy("http://name:secret@proxy:3128")

    for text in (str(proxy), repr(proxy), str(Route(proxy, "given as proxy"))):
        assert "secret" not in text
        assert "name" not in text
    with pytest.raises(InvalidProxy) as caught:
        parse_proxy("http://name:secret@proxy:99999")
    assert "secret" not in str(caught.value)


def test_names_of_websockets_are_in_its_module() -> None:
    assert set(fullduplex.proxy.__all__) == {"Proxy", "get_proxy", "parse_proxy"}
    assert fullduplex.proxy.Proxy is Proxy


# What is given


@pytest.mark.parametrize("proxy", [None, False])
def test_without_proxy_the_environment_is_not_asked(proxy: bool | None) -> None:
    route = select_proxy(WS, proxy, {"http_proxy": "http://proxy"})

    assert route == Route(None, f"proxy is {proxy}")


def test_proxy_that_is_given_is_used_for_every_host() -> None:
    for uri in ("ws://localhost/", "ws://127.0.0.1/", "wss://example.com/"):
        route = select_proxy(parse_uri(uri), "http://proxy", {"no_proxy": "*"})
        assert route == Route(Proxy("http", "proxy", 80), "given as proxy")


@pytest.mark.parametrize("proxy", [3128, b"http://proxy", ("proxy", 3128)])
def test_proxy_of_a_wrong_type_is_refused_by_the_call(proxy: object) -> None:
    with pytest.raises(TypeError, match="proxy must be an address"):
        ConnectPlan("ws://example.com/", {"proxy": proxy})


def test_proxy_that_is_no_address_is_refused_by_the_call() -> None:
    with pytest.raises(InvalidProxy):
        ConnectPlan("ws://example.com/", {"proxy": "proxy:3128"})


def test_plan_uses_no_proxy_for_a_socket_of_the_caller() -> None:
    for elsewhere in ("sock", "unix"):
        plan = ConnectPlan(
            "ws://example.com/",
            {"proxy": "http://proxy"},
            elsewhere=elsewhere,
        )
        assert plan.route().proxy is None


# The environment


@pytest.mark.parametrize(
    ("variable", "ws", "wss"),
    [
        ("http_proxy", True, False),
        ("https_proxy", True, True),
        ("ws_proxy", True, False),
        ("wss_proxy", False, True),
        ("socks_proxy", True, True),
        ("all_proxy", True, True),
        ("HTTP_PROXY", True, False),
        ("HTTPS_PROXY", True, True),
        ("ALL_PROXY", True, True),
        ("ftp_proxy", False, False),
    ],
)
def test_variable_counts_for_its_schemes(variable: str, ws: bool, wss: bool) -> None:
    environ = {variable: "http://proxy:3128"}

    for uri, counts in ((WS, ws), (WSS, wss)):
        route = select_proxy(uri, True, environ)
        assert (route.proxy is not None) is counts
        if counts:
            assert route.reason == f"environment variable {variable}"


def test_first_variable_of_the_order_wins() -> None:
    environ = {
        name: f"http://{name.partition('_')[0]}"
        for name in (
            "all_proxy",
            "http_proxy",
            "https_proxy",
            "socks4_proxy",
            "ws_proxy",
            "wss_proxy",
        )
    }
    assert found("ws://a.b/", environ) == "http://ws:80"
    assert found("wss://a.b/", environ) == "http://wss:80"
    del environ["ws_proxy"], environ["wss_proxy"]
    assert found("ws://a.b/", environ) == "http://https:80"
    del environ["https_proxy"]
    assert found("ws://a.b/", environ) == "http://http:80"
    assert found("wss://a.b/", environ) == "http://all:80"


def test_lower_case_wins_also_when_it_is_empty() -> None:
    upper = {"HTTPS_PROXY": "http://upper"}

    assert found("wss://a.b/", {**upper, "https_proxy": "http://lower"}) == (
        "http://lower:80"
    )
    assert found("wss://a.b/", {**upper, "https_proxy": ""}) is None


def test_header_that_a_cgi_program_got_is_no_proxy() -> None:
    environ = {"HTTP_PROXY": "http://attacker", "REQUEST_METHOD": "GET"}

    assert found("ws://a.b/", environ) is None
    assert found("ws://a.b/", {**environ, "http_proxy": "http://ours"}) == (
        "http://ours:80"
    )


@pytest.mark.parametrize(
    ("variable", "value", "proxy"),
    [
        ("https_proxy", "proxy:3128", "http://proxy:3128"),
        ("https_proxy", " http://proxy ", "http://proxy:80"),
        ("all_proxy", "socks://proxy:9", "socks5h://proxy:9"),
        ("socks_proxy", "http://proxy:9", "socks5h://proxy:9"),
        ("socks_proxy", "socks4://proxy", "socks4://proxy:1080"),
    ],
)
def test_forms_that_only_environments_have_are_read(
    variable: str, value: str, proxy: str
) -> None:
    assert found("wss://a.b/", {variable: value}) == proxy


def test_address_of_the_environment_that_is_none_names_the_variable() -> None:
    with pytest.raises(InvalidProxy, match="environment variable HTTPS_PROXY"):
        select_proxy(WSS, True, {"HTTPS_PROXY": "gopher://proxy"})


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST.",
        "db.localhost",
        "127.0.0.1",
        "127.255.0.9",
        "127.1",
        "0.0.0.0",
        "::1",
        "[::1]",
        "::",
        "::ffff:127.0.0.1",
        "169.254.169.254",
        "fe80::1",
        "fe80::1%eth0",
    ],
)
def test_host_that_only_this_machine_can_mean_is_local(host: str) -> None:
    assert is_local(host)


@pytest.mark.parametrize(
    "host",
    [
        "localhost.example.com",
        "mylocalhost",
        "127.example.com",
        "127.0.0.1.example.com",
        "10.0.0.1",
        "192.168.0.1",
        "128.0.0.1",
        "fd00::1",
        "2001:db8::1",
        "example.com",
    ],
)
def test_other_hosts_are_not_local(host: str) -> None:
    assert not is_local(host)


def test_local_host_is_never_reached_through_a_proxy_of_the_environment() -> None:
    environ = {"all_proxy": "http://proxy"}

    route = select_proxy(parse_uri("ws://localhost:8000/"), True, environ)
    assert route == Route(None, "the host is loopback or link-local")
    # The place that is connected to decides, not the name in the URI.
    assert select_proxy(WS, True, environ, host="127.0.0.1").proxy is None
    assert select_proxy(parse_uri("ws://localhost/"), True, environ, host="a.b").proxy


@pytest.mark.parametrize(
    ("no_proxy", "host", "port", "entry"),
    [
        ("*", "example.com", 80, "*"),
        ("*:8080", "example.com", 80, None),
        ("*:8080", "example.com", 8080, "*:8080"),
        ("example.com", "example.com", 80, "example.com"),
        ("example.com", "a.example.com", 80, "example.com"),
        (".example.com", "a.example.com", 80, ".example.com"),
        ("*.example.com", "a.example.com", 80, "*.example.com"),
        ("example.com", "notexample.com", 80, None),
        ("EXAMPLE.com.", "example.COM", 80, "EXAMPLE.com."),
        ("example.com", "example.com.", 80, "example.com"),
        ("example.com:80", "example.com", 80, "example.com:80"),
        ("example.com:81", "example.com", 80, None),
        ("a.b, example.com", "example.com", 80, "example.com"),
        ("a.b example.com", "example.com", 80, "example.com"),
        ("a.b,,", "example.com", 80, None),
        ("10.0.0.0/8", "10.1.2.3", 80, "10.0.0.0/8"),
        ("10.1.2.3/8", "10.9.9.9", 80, "10.1.2.3/8"),
        ("10.0.0.0/8", "11.1.2.3", 80, None),
        ("10.0.0.0/8:81", "10.1.2.3", 80, None),
        ("10.0.0.0/8:80", "10.1.2.3", 80, "10.0.0.0/8:80"),
        ("10.0.0.0/8", "10.example.com", 80, None),
        ("10.1.2.3", "10.1.2.3", 80, "10.1.2.3"),
        ("2.3", "10.1.2.3", 80, None),
        ("fd00::/8", "fd12::1", 80, "fd00::/8"),
        ("[fd00::]/8", "fd12::1", 80, "[fd00::]/8"),
        ("[fd12::1]", "fd12::1", 80, "[fd12::1]"),
        ("[fd12::1]:80", "fd12::1", 80, "[fd12::1]:80"),
        ("[fd12::1]:81", "fd12::1", 80, None),
        ("fd12:0:0::1", "fd12::1", 80, "fd12:0:0::1"),
        ("10.0.0.0/8", "::ffff:10.1.2.3", 80, "10.0.0.0/8"),
        ("10.0.0.0/99", "10.1.2.3", 80, None),
        ("bücher.example", "xn--bcher-kva.example", 80, "bücher.example"),
        (".", "example.com", 80, None),
        ("", "example.com", 80, None),
    ],
)
def test_no_proxy_matches(
    no_proxy: str, host: str, port: int, entry: str | None
) -> None:
    assert bypassed(host, port, no_proxy) == entry


@given(st.text(max_size=40), st.text(max_size=40))
def test_no_proxy_takes_any_text(no_proxy: str, host: str) -> None:
    entry = bypassed(host, 80, no_proxy)
    assert entry is None or entry in no_proxy


def test_what_no_proxy_excludes_is_reached_directly_and_it_says_so() -> None:
    environ = {"all_proxy": "http://proxy", "NO_PROXY": "example.com:443"}

    assert select_proxy(WS, True, environ).proxy
    assert select_proxy(WSS, True, environ) == Route(
        None, "no_proxy has 'example.com:443'"
    )


def test_nothing_set_is_a_reason_too() -> None:
    assert select_proxy(WSS, True, {}) == Route(None, "no proxy is set")


# The system


def test_settings_of_the_system_count_when_the_environment_has_none() -> None:
    def system() -> tuple[Mapping[str, str], object]:
        return {"https": "http://system:1"}, lambda host: host == "other.com"

    def route(uri: str, environ: Mapping[str, str]) -> Route:
        return select_proxy(parse_uri(uri), True, environ, system=system)  # type: ignore[arg-type]

    assert route("wss://example.com/", {}) == Route(
        Proxy("http", "system", 1), "the system's settings for https"
    )
    assert route("wss://other.com/", {}) == Route(
        None, "the system's settings exclude the host"
    )
    assert route("wss://example.com/", {"no_proxy": "*"}).proxy is None
    assert route("wss://example.com/", {"https_proxy": ""}).proxy is None
    assert str(route("wss://example.com/", {"all_proxy": "http://env"}).proxy) == (
        "http://env:80"
    )


def test_settings_of_the_system_are_ours_to_read() -> None:
    proxies, bypass = system_proxies()

    assert isinstance(dict(proxies), dict)
    bypass("example.com")


def test_get_proxy_returns_an_address_that_can_be_parsed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("wss_proxy", "http://a%40b:p%3A@proxy:3128")

    address = get_proxy(WSS)

    assert address == "http://a%40b:p%3A@proxy:3128"
    assert get_proxy(parse_uri("wss://localhost/")) is None
    monkeypatch.setenv("wss_proxy", "http://proxy")
    assert get_proxy(WSS) == "http://proxy:80"


# TLS to the proxy


@pytest.mark.parametrize(
    ("proxy", "options"),
    [
        ("http://proxy", {"proxy_ssl": True}),
        ("http://proxy", {"proxy_server_hostname": "a"}),
        ("socks5://proxy", {"proxy_ssl": True}),
        ("https://proxy", {"proxy_ssl": None}),
        ("https://proxy", {"proxy_ssl": False}),
    ],
)
def test_tls_that_contradicts_the_scheme_is_refused(
    proxy: str, options: dict[str, object]
) -> None:
    with pytest.raises(ValueError, match="the proxy is"):
        check_proxy_tls(parse_proxy(proxy), options)


@pytest.mark.parametrize(
    ("proxy", "options"),
    [
        ("http://proxy", {}),
        ("http://proxy", {"proxy_ssl": None, "ssl": True}),
        ("https://proxy", {}),
        ("https://proxy", {"proxy_ssl": True, "proxy_server_hostname": "a"}),
    ],
)
def test_tls_that_fits_the_scheme_is_taken(
    proxy: str, options: dict[str, object]
) -> None:
    check_proxy_tls(parse_proxy(proxy), options)


# What is said about it


def test_record_of_the_log_is_loud_only_with_a_proxy() -> None:
    level, text, *values = Route(Proxy("http", "p", 1), "given").record("a", 2)
    assert (level, text % tuple(values)) == (
        logging.INFO,
        "connecting to a, port 2: proxy http://p:1, given",
    )
    level, text, *values = Route(None, "no proxy is set").record("a", 2)
    assert (level, text % tuple(values)) == (
        logging.DEBUG,
        "connecting to a, port 2: no proxy, no proxy is set",
    )


def test_error_of_the_way_to_the_proxy_says_once_which_it_is() -> None:
    route = Route(Proxy("http", "p", 1, "name", "secret"), "given as proxy")
    for exc in (
        ConnectionRefusedError(111, "refused"),
        ConnectionResetError(),
        OSError("odd"),
    ):
        route.blame(exc)
        route.blame(exc)
        assert str(exc).endswith(" (proxy http://p:1, given as proxy)")
        assert str(exc).count("given as proxy") == 1
        assert str(pickle.loads(pickle.dumps(exc))) == str(exc)
