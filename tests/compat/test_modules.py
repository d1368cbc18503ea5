"""Public classes and functions tell the module where programs find them."""

from __future__ import annotations

import importlib
import inspect
import pickle
import typing

import pytest

from .tables import optional_part

PLACES = [
    f"{face}.{name}"
    for face in ("asyncio", "sync", "trio")
    for name in (
        "client.ClientConnection",
        "client.connect",
        "client.unix_connect",
        "connection.Connection",
        "router.Router",
        "server.Server",
        "server.ServerConnection",
        "server.serve",
    )
]


@pytest.mark.parametrize("place", PLACES)
def test_public_name_tells_its_public_module(place: str) -> None:
    part, _, name = place.rpartition(".")
    if optional_part(f"websockets.{part}") is not None:
        pytest.importorskip("trio")
    module = importlib.import_module(f"fullduplex.{part}")
    item = getattr(module, name)

    assert (item.__module__, item.__qualname__) == (module.__name__, name)
    assert pickle.loads(pickle.dumps(item)) is item
    if inspect.isclass(item):
        # Annotations are looked up in that module.
        typing.get_type_hints(item)
        assert inspect.getdoc(item)


def test_connections_show_their_keywords() -> None:
    from fullduplex import ClientConnection

    names = inspect.signature(ClientConnection).parameters
    assert {"ping_interval", "max_size", "extensions", "host", "secure"} < set(names)
    assert "kwds" not in names


def test_inherited_methods_keep_their_documentation() -> None:
    from fullduplex.asyncio.connection import Connection

    for name in ("recv", "send", "pong", "recv_streaming", "wait_closed"):
        assert inspect.getdoc(getattr(Connection, name))


def test_repr_before_a_subclass_has_begun() -> None:
    from fullduplex import ClientConnection

    assert repr(ClientConnection.__new__(ClientConnection)) == "<ClientConnection>"
