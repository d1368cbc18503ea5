"""The names of websockets are here at the same paths, less those that docs list."""

from __future__ import annotations

import asyncio
import importlib
import json
import subprocess
import sys
import types
import warnings
from pathlib import Path
from typing import Any

import pytest

import fullduplex

from .tables import HERE, VERSIONS, names_in, optional_part, ours, recorded, rows

# Names that no __all__ has, and that programs import all the same.
MORE = {
    "websockets": (
        "connect unix_connect serve unix_serve broadcast WebSocketClientProtocol "
        "WebSocketServerProtocol WebSocketServer WebSocketCommonProtocol "
        "ClientConnection ServerConnection Headers HeadersLike MultipleValuesError "
        "Data LoggerLike Origin Subprotocol ExtensionHeader ExtensionName "
        "ExtensionParameter parse_uri WebSocketURI framing handshake "
        "basic_auth_protocol_factory BasicAuthWebSocketServerProtocol auth client "
        "datastructures exceptions extensions frames headers http http11 legacy "
        "protocol server typing uri version asyncio utils imports streams connection "
        "AbortHandshake RedirectHandshake InvalidStatusCode WebSocketProtocolError "
        "Frame Opcode Close CloseCode Server route unix_route Router basic_auth "
        "Protocol ClientProtocol ServerProtocol Side State Request Response StatusLike "
        "__version__"
    ),
    "websockets.client": (
        "connect unix_connect WebSocketClientProtocol ClientConnection ClientProtocol "
        "process_exception backoff"
    ),
    "websockets.server": (
        "serve unix_serve broadcast WebSocketServer WebSocketServerProtocol "
        "ServerConnection ServerProtocol"
    ),
    "websockets.connection": (
        "Connection Side State SEND_EOF Event CONNECTING OPEN CLOSING CLOSED"
    ),
    "websockets.protocol": (
        "Protocol Side State SEND_EOF Event CONNECTING OPEN CLOSING CLOSED CLIENT "
        "SERVER WebSocketCommonProtocol"
    ),
    "websockets.auth": "basic_auth_protocol_factory BasicAuthWebSocketServerProtocol",
    "websockets.http": (
        "Headers MultipleValuesError USER_AGENT PYTHON_VERSION read_request "
        "read_response"
    ),
    "websockets.http11": (
        "Request Response MAX_HEADERS MAX_LINE MAX_BODY MAX_NUM_HEADERS "
        "MAX_LINE_LENGTH MAX_BODY_SIZE SERVER USER_AGENT"
    ),
    "websockets.datastructures": (
        "Headers HeadersLike MultipleValuesError SupportsKeysAndGetItem"
    ),
    "websockets.frames": (
        "Frame Opcode Close CloseCode DATA_OPCODES CTRL_OPCODES OK_CLOSE_CODES "
        "EXTERNAL_CLOSE_CODES CLOSE_CODES CLOSE_CODE_EXPLANATIONS apply_mask "
        "OP_CONT OP_TEXT OP_BINARY OP_CLOSE OP_PING OP_PONG CONT TEXT BINARY CLOSE "
        "PING PONG prepare_data prepare_ctrl"
    ),
    "websockets.headers": (
        "parse_extension_list parse_subprotocol_list build_extension_list "
        "build_subprotocol_list"
    ),
    "websockets.typing": (
        "Data LoggerLike Origin Subprotocol ExtensionName ExtensionParameter "
        "ExtensionHeader StatusLike BytesLike DataLike PathLike ConnectionOption "
        "UpgradeProtocol"
    ),
    "websockets.utils": "accept_key apply_mask generate_key",
    "websockets.imports": "lazy_import",
    "websockets.streams": "StreamReader",
    "websockets.version": "version tag commit",
    "websockets.cli": "main",
    "websockets.legacy.client": "Connect connect unix_connect WebSocketClientProtocol",
    "websockets.legacy.server": (
        "Serve serve unix_serve WebSocketServer WebSocketServerProtocol broadcast "
        "HTTPResponse"
    ),
    "websockets.legacy.protocol": "WebSocketCommonProtocol broadcast",
    "websockets.legacy.framing": (
        "Frame prepare_data prepare_ctrl encode_data parse_close serialize_close"
    ),
    "websockets.asyncio.client": "backoff process_exception",
    "websockets.asyncio.server": "broadcast",
    "websockets.proxy": "Proxy get_proxy parse_proxy",
    "websockets.sync.client": (
        "connect unix_connect reconnect unix_reconnect ClientConnection"
    ),
    "websockets.sync.server": (
        "serve unix_serve Server ServerConnection basic_auth broadcast"
    ),
    "websockets.sync.router": "route unix_route Router",
    "websockets.sync.connection": "Connection",
    "websockets.trio.client": "connect unix_connect ClientConnection",
    "websockets.trio.server": "serve Server ServerConnection basic_auth broadcast",
    "websockets.trio.router": "route Router",
    "websockets.trio.connection": "Connection",
}


def everything() -> dict[str, set[str]]:
    """Return all names by module."""
    names: dict[str, set[str]] = {}
    for version in VERSIONS:
        for module, members in recorded(version)["modules"].items():
            names.setdefault(module, set()).update(members)
    for module, text in MORE.items():
        names.setdefault(module, set()).update(text.split())
    return names


NAMES = everything()
IMPORTED: dict[str, dict[str, str]] = json.loads(
    (HERE / "recorded" / "imported.json").read_text()
)
ABSENT = names_in("Names that are not there")
ABSENT_MODULES = names_in("Modules that are not there")
WARNED = {row[0]: row[1] for row in rows("Names that warn")}


def absent_from(module: str) -> set[str]:
    """Return the names that the documentation says a module has not."""
    found = (name.rpartition(".") for name in ABSENT)
    return {name for owner, _, name in found if owner == module}


def find(module: str) -> types.ModuleType:
    part = optional_part(module)
    if part is not None:
        pytest.importorskip(f"fullduplex.{part}", exc_type=ModuleNotFoundError)
        if part == "trio":
            pytest.importorskip("trio")
    return importlib.import_module(ours(module))


@pytest.mark.parametrize("module", sorted(NAMES))
def test_module_has_every_name_that_websockets_has(module: str) -> None:
    if module in ABSENT_MODULES:
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module(ours(module))
        return
    found = find(module)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        missing = {name for name in NAMES[module] if not hasattr(found, name)}
    assert missing == absent_from(module) & NAMES[module]


@pytest.mark.parametrize("module", sorted(IMPORTED))
def test_module_has_what_that_of_websockets_imports_from_others(module: str) -> None:
    if module in ABSENT_MODULES:
        return
    found = find(module)
    names = {
        name
        for name in IMPORTED[module]
        # A module below this one, which has a row of its own.
        if f"{module}.{name}" not in IMPORTED
        and f"{module}.{name}" not in ABSENT_MODULES
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        missing = {name for name in names if not hasattr(found, name)}
    assert missing == absent_from(module) & names


def test_table_of_names_that_are_not_there_has_no_stale_row() -> None:
    known = {
        f"{module}.{name}"
        for names in (NAMES, IMPORTED)
        for module, members in names.items()
        for name in members
    }
    assert not ABSENT - known
    modules = {name for name in IMPORTED if name not in ABSENT_MODULES}
    assert not ABSENT_MODULES & modules
    assert set(IMPORTED) >= ABSENT_MODULES


def test_names_seen_in_public_code_are_websockets_own() -> None:
    for name in names_in("Names that a module has because it imports them"):
        module, _, member = name.rpartition(".")
        assert member in IMPORTED[module], name


def test_names_that_are_imported_from_elsewhere_are_not_listed() -> None:
    import fullduplex.sync.client as module

    assert "ClientProtocol" not in module.__all__
    assert module.ClientProtocol is fullduplex.ClientProtocol  # type: ignore[attr-defined]
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        module.nonsense  # type: ignore[attr-defined]  # noqa: B018


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (module, name)
        for module in sorted(NAMES)
        for name in sorted(NAMES[module])
        if module not in ABSENT_MODULES and f"{module}.{name}" not in ABSENT
    ],
)
def test_name_warns_once_if_it_is_deprecated_and_never_otherwise(
    module: str, name: str
) -> None:
    find(module)
    code = f"from {ours(module)} import {name}"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        exec(compile(code, __file__, "exec"), {"__name__": "somebody"})
    texts = [str(item.message) for item in caught]
    full = f"{module}.{name}"
    if full in WARNED:
        assert [item.category for item in caught] == [DeprecationWarning]
        assert texts[0].startswith(f"{ours(full)} is deprecated; use ")
        assert WARNED[full] in texts[0]
        assert caught[0].filename == __file__
    else:
        assert not texts


def test_table_of_names_that_warn_has_no_stale_row() -> None:
    names = {f"{module}.{name}" for module in NAMES for name in NAMES[module]}
    assert not set(WARNED) - names


def test_deprecated_name_when_used_in_a_loop_warns_once_for_the_line() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for _ in range(3):
            fullduplex.parse_uri  # noqa: B018
        fullduplex.parse_uri  # noqa: B018
    assert len(caught) == 2
    assert {item.filename for item in caught} == {__file__}


SEED_NAMES = [
    "fullduplex:connect",
    "fullduplex:unix_connect",
    "fullduplex:WebSocketClientProtocol",
    "fullduplex.client:connect",
    "fullduplex.client:unix_connect",
    "fullduplex.client:WebSocketClientProtocol",
    "fullduplex.http:Headers",
]


@pytest.mark.parametrize("name", SEED_NAMES)
def test_names_of_the_seed_page_never_warn(name: str) -> None:
    module, _, attribute = name.partition(":")
    code = f"import {module}; {module}.{attribute}; from {module} import {attribute}"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


# What one name means where the generations differ, and that aliases are the same.
SAME = [
    ("fullduplex:connect", "fullduplex.client:connect"),
    ("fullduplex:connect", "fullduplex.asyncio.client:connect"),
    ("fullduplex:ClientConnection", "fullduplex.asyncio.client:ClientConnection"),
    ("fullduplex:ServerConnection", "fullduplex.asyncio.server:ServerConnection"),
    ("fullduplex.client:WebSocketClientProtocol", "fullduplex:ClientConnection"),
    ("fullduplex.server:WebSocketServerProtocol", "fullduplex:ServerConnection"),
    ("fullduplex.protocol:Protocol", "fullduplex:Protocol"),
    ("fullduplex.client:ClientProtocol", "fullduplex:ClientProtocol"),
    ("fullduplex.server:ServerProtocol", "fullduplex:ServerProtocol"),
    ("fullduplex.protocol:State", "fullduplex:State"),
    ("fullduplex.protocol:Side", "fullduplex:Side"),
    ("fullduplex.connection:State", "fullduplex:State"),
    ("fullduplex.http:Headers", "fullduplex:Headers"),
    ("fullduplex.datastructures:Headers", "fullduplex:Headers"),
    ("fullduplex.http11:Request", "fullduplex:Request"),
    ("fullduplex.legacy.client:connect", "fullduplex:connect"),
    ("fullduplex.legacy.client:Connect", "fullduplex:connect"),
    ("fullduplex.legacy.server:serve", "fullduplex:serve"),
    ("fullduplex.exceptions:InvalidStatusCode", "fullduplex:InvalidStatusCode"),
    ("fullduplex.exceptions:WebSocketProtocolError", "fullduplex:ProtocolError"),
    ("fullduplex:WebSocketProtocolError", "fullduplex:ProtocolError"),
    ("fullduplex.legacy.exceptions:InvalidStatusCode", "fullduplex:InvalidStatusCode"),
    ("fullduplex.frames:OP_TEXT", "fullduplex.frames:TEXT"),
    ("fullduplex.frames:CLOSE_CODES", "fullduplex.frames:CLOSE_CODE_EXPLANATIONS"),
    ("fullduplex.http11:MAX_HEADERS", "fullduplex.http11:MAX_NUM_HEADERS"),
    ("fullduplex:parse_uri", "fullduplex.uri:parse_uri"),
    ("fullduplex.extensions.base:Extension", "fullduplex.extensions:Extension"),
    ("fullduplex.utils:apply_mask", "fullduplex.frames:apply_mask"),
    # What modules import from others.
    ("fullduplex.sync.client:Connection", "fullduplex.sync.connection:Connection"),
    ("fullduplex.sync.server:Connection", "fullduplex.sync.connection:Connection"),
    ("fullduplex.sync.server:WebSocketServer", "fullduplex.sync.server:Server"),
    ("fullduplex.sync.connection:broadcast", "fullduplex.sync.server:broadcast"),
    (
        "fullduplex.asyncio.client:Connection",
        "fullduplex.asyncio.connection:Connection",
    ),
    ("fullduplex.asyncio.connection:broadcast", "fullduplex:broadcast"),
    ("fullduplex.asyncio.client:ClientProtocol", "fullduplex:ClientProtocol"),
    ("fullduplex.asyncio.server:Request", "fullduplex:Request"),
    ("fullduplex.asyncio.server:Response", "fullduplex:Response"),
    ("fullduplex.asyncio.router:Server", "fullduplex:Server"),
    ("fullduplex.trio.client:Connection", "fullduplex.trio.connection:Connection"),
    ("fullduplex.trio.connection:broadcast", "fullduplex.trio.server:broadcast"),
    ("fullduplex.client:Connection", "fullduplex.connection:Connection"),
    ("fullduplex.legacy.server:SERVER", "fullduplex.http11:SERVER"),
    ("fullduplex.server:SERVER", "fullduplex.protocol:SERVER"),
    ("fullduplex.legacy.framing:NewFrame", "fullduplex:Frame"),
    ("fullduplex.legacy.protocol:State", "fullduplex:State"),
    ("fullduplex.speedups:apply_mask", "fullduplex.utils:apply_mask"),
    ("fullduplex.legacy.async_timeout:timeout", "asyncio:timeout"),
    ("fullduplex.asyncio.compatibility:asyncio_timeout", "asyncio:timeout"),
]


def resolve(name: str) -> object:
    module, _, attribute = name.partition(":")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        value: object = getattr(importlib.import_module(module), attribute)
    return value


@pytest.mark.parametrize(("one", "other"), SAME)
def test_two_names_are_one_object(one: str, other: str) -> None:
    assert resolve(one) is resolve(other)


def test_names_whose_meaning_changed_are_what_their_path_says() -> None:
    asyncio_client = resolve("fullduplex:ClientConnection")
    older_client = resolve("fullduplex.client:ClientConnection")
    assert isinstance(older_client, type)
    assert older_client is not asyncio_client
    assert issubclass(older_client, fullduplex.ClientProtocol)
    older_server = resolve("fullduplex.server:ServerConnection")
    assert isinstance(older_server, type)
    assert issubclass(older_server, fullduplex.ServerProtocol)
    older = resolve("fullduplex.connection:Connection")
    assert isinstance(older, type)
    assert issubclass(older, fullduplex.Protocol)


def test_sansio_names_load_no_event_loop() -> None:
    code = (
        "import sys\n"
        "from fullduplex.client import ClientProtocol\n"
        "from fullduplex.server import ServerProtocol\n"
        "from fullduplex.protocol import Protocol\n"
        "import fullduplex.streams, fullduplex.utils, fullduplex.http, "
        "fullduplex.exceptions, fullduplex.legacy.framing, fullduplex.frames\n"
        "print(sorted({'asyncio', 'ssl', 'select'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_lazy_import_when_given_both_tables_finds_and_warns() -> None:
    from fullduplex.imports import lazy_import

    namespace: dict[str, Any] = {
        "__name__": "fullduplex.somewhere",
        "__package__": "fullduplex",
    }
    lazy_import(
        namespace, aliases={"State": ".protocol"}, deprecated_aliases={"Side": "."}
    )
    find_name = namespace["__getattr__"]
    assert callable(find_name)
    assert find_name("State") is fullduplex.State
    assert namespace["State"] is fullduplex.State
    with pytest.warns(DeprecationWarning, match=r"somewhere\.Side is deprecated; use"):
        assert find_name("Side") is fullduplex.Side
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        find_name("nonsense")
    assert "State" in namespace["__dir__"]()


@pytest.mark.parametrize(
    "module",
    [
        "auth",
        "client",
        "exceptions",
        "framing",
        "handshake",
        "http",
        "protocol",
        "server",
    ],
)
def test_star_brings_the_names_of_an_older_module(module: str) -> None:
    names = recorded("10.4")["modules"].get(f"websockets.legacy.{module}", {})
    space: dict[str, Any] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        exec(f"from fullduplex.legacy.{module} import *", space)
    assert set(names) - {"Connect", "Serve"} <= set(space)
    assert len(space) > 1


def test_import_name_finds_objects_and_modules() -> None:
    from fullduplex.imports import import_name

    space: dict[str, Any] = {"__name__": "fullduplex.x", "__package__": "fullduplex"}
    assert import_name("State", ".protocol", space) is fullduplex.State
    assert import_name("server", ".legacy", space).__name__ == (
        "fullduplex.legacy.server"
    )
    with pytest.raises(ImportError):
        import_name("nonsense", ".legacy", space)


@pytest.mark.parametrize(
    ("data", "clean", "expected"),
    [
        (b"", False, True),
        ("a\u20ac".encode(), True, True),
        ("a\u20ac".encode()[:-1], False, True),
        ("a\u20ac".encode()[:-1], True, False),
        ("\u20aca".encode()[1:], False, True),
        ("\u20aca".encode()[1:], True, False),
        (b"\xff", False, False),
        (b"\x00", False, False),
        (b"a\x80", False, False),
    ],
)
def test_is_utf8_fragment_guesses_as_websockets_does(
    data: bytes, clean: bool, expected: bool
) -> None:
    from fullduplex.frames import is_utf8_fragment  # type: ignore[attr-defined]

    assert is_utf8_fragment(data, clean, clean) is expected


def test_older_readers_of_headers() -> None:
    from fullduplex.legacy.http import (  # type: ignore[attr-defined]
        d,
        read_headers,
        read_line,
    )

    async def main() -> None:
        stream = asyncio.StreamReader()
        stream.feed_data(b"GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n\r\nrest\n")
        stream.feed_eof()
        assert await read_line(stream) == b"GET / HTTP/1.1"
        headers = await read_headers(stream)
        assert list(headers.raw_items()) == [("Host", "a"), ("X", "b")]
        with pytest.raises(EOFError):
            await read_line(stream)
        with pytest.raises(EOFError):
            await read_headers(stream)

    asyncio.run(main())
    assert d(b"a\xff") == "a\\xff"


def test_tests_see_the_sources_of_this_tree() -> None:
    assert Path(fullduplex.__file__).parents[2] == Path(__file__).parents[2]
