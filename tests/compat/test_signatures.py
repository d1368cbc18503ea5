"""Parameters and members against what was recorded, less docs/differences.md."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

import fullduplex

from .record import signature_of
from .tables import VERSIONS, names_in, optional_part, ours, recorded, rows

POSITIONAL = ("POSITIONAL_ONLY", "POSITIONAL_OR_KEYWORD")

# Classes whose methods programs call on connections: what they lack is one list.
CONNECTIONS = {
    "BasicAuthWebSocketServerProtocol",
    "ClientConnection",
    "Connection",
    "ServerConnection",
    "WebSocketClientProtocol",
    "WebSocketCommonProtocol",
    "WebSocketServerProtocol",
}


ABSENT = names_in("Names that are not there")
ABSENT_MODULES = names_in("Modules that are not there")
CHANGED = {(row[0], row[1]) for row in rows("Names whose meaning changed")}
UNMADE = names_in("Classes that programs do not make")
MEMBERS = names_in("Members of connections that are not there")
OTHER_MEMBERS = names_in("Other members that are not there")
PARAMETERS = {(row[0], row[1]) for row in rows("Parameters")}


def callables() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield version, full name and description of what can be called."""
    for version in VERSIONS:
        for module, names in recorded(version)["modules"].items():
            if module in ABSENT_MODULES:
                continue
            for name, description in names.items():
                full = f"{module}.{name}"
                if full in ABSENT or (full, version) in CHANGED:
                    continue
                if description.get("signature") is not None:
                    yield version, full, description


CALLABLES = list(callables())
IDS = [f"{version}-{full}" for version, full, _ in CALLABLES]


def resolve(full: str) -> Any:
    module, _, name = full.rpartition(".")
    part = optional_part(module)
    if part is not None:
        pytest.importorskip(f"fullduplex.{part}", exc_type=ModuleNotFoundError)
        if part == "trio":
            pytest.importorskip("trio")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return getattr(importlib.import_module(ours(module)), name)


def readable_signature(value: Any) -> list[list[Any]]:
    found = signature_of(value)
    if found is None:
        # Compiled; its readable twin has the same parameters (tests/parity).
        twin = importlib.import_module("fullduplex.core.kernels._kernels")
        found = signature_of(getattr(twin, value.__name__))
    assert found is not None
    return found


def differences(theirs: list[list[Any]], own: list[list[Any]]) -> set[str]:
    """Return the parameters that are missing, moved or have another default."""
    found = set()
    positions = [name for name, kind, _ in own if kind in POSITIONAL]
    kinds = {kind for _, kind, _ in own}
    known = {name: default for name, _, default in own}
    place = 0
    for name, kind, default in theirs:
        if kind.startswith("VAR_"):
            changed = kind not in kinds
        elif name.startswith("_"):
            changed = False
        else:
            moved = kind in POSITIONAL and positions[place : place + 1] != [name]
            # What had to be given may have a default now.
            changed = moved or name not in known or default not in (None, known[name])
        if changed:
            found.add(name)
        place += kind in POSITIONAL
    names = {name for name, _, _ in theirs}
    for name, kind, default in own:
        if default is None and not kind.startswith("VAR_") and name not in names:
            found.add(name)  # one that must be given
    return found


def short(full: str) -> str:
    """Return the name without its module, as the tables have it."""
    return full.rpartition(".")[2]


def found_in(full: str, description: dict[str, Any]) -> set[tuple[str, str]]:
    """Return all differences of one name, as rows of the table."""
    value = resolve(full)
    name = short(full)
    found = set()
    if name not in UNMADE:
        own = readable_signature(value)
        found |= {(name, item) for item in differences(description["signature"], own)}
    for method, theirs in (description.get("methods") or {}).items():
        member = inspect.getattr_static(value, method, None)
        if isinstance(member, (staticmethod, classmethod)):
            member = member.__func__
            if theirs and theirs[0][0] == "self":
                theirs = theirs[1:]
        if inspect.isroutine(member):
            diff = differences(theirs, readable_signature(member))
            found |= {(f"{name}.{method}", item) for item in diff}
    return found


@pytest.mark.parametrize(("version", "full", "description"), CALLABLES, ids=IDS)
def test_every_parameter_is_where_it_was_or_has_a_row(
    version: str, full: str, description: dict[str, Any]
) -> None:
    missing = found_in(full, description) - PARAMETERS
    assert not missing


@pytest.mark.parametrize(("version", "full", "description"), CALLABLES, ids=IDS)
def test_every_member_is_there_or_has_a_row(
    version: str,
    full: str,
    description: dict[str, Any],
    attributes: dict[str, set[str]],
) -> None:
    value = resolve(full)
    name = short(full)
    missing = {
        member
        for member in description.get("members", ())
        if not hasattr(value, member)
    }
    if name in CONNECTIONS and not issubclass(value, fullduplex.Protocol):
        assert not missing - attributes["client"] - attributes["server"] - MEMBERS
    else:
        assert not {f"{name}.{member}" for member in missing} - OTHER_MEMBERS


@pytest.fixture(scope="module")
def attributes() -> dict[str, set[str]]:
    """The public attributes of connections of ours that are open."""

    async def look() -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        done = asyncio.Event()

        def names(connection: Any) -> set[str]:
            # close_exc is there, and raises while the connection is open.
            return {
                name
                for name in dir(connection)
                if name == "close_exc" or hasattr(connection, name)
            }

        async def handler(connection: Any) -> None:
            found["server"] = names(connection)
            await done.wait()

        async with fullduplex.serve(handler, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            async with fullduplex.connect(f"ws://127.0.0.1:{port}/") as connection:
                await (await connection.ping())
                found["client"] = names(connection)
                done.set()
        return found

    return asyncio.run(look())


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("side", ["client", "server"])
def test_open_connection_has_every_attribute_or_a_row(
    version: str, side: str, attributes: dict[str, set[str]]
) -> None:
    theirs = set(recorded(version)["instances"][side])
    assert not theirs - attributes[side] - MEMBERS


def test_no_row_is_stale(attributes: dict[str, set[str]]) -> None:
    """Every row of the tables still tells of a difference."""
    parameters = set()
    optional = set()
    for _, full, description in CALLABLES:
        if optional_part(full):
            optional.add(short(full))
            continue
        parameters |= found_in(full, description)
    stale = {
        row for row in PARAMETERS - parameters if row[0].split(".")[0] not in optional
    }
    assert not stale
    assert not MEMBERS & attributes["client"] & attributes["server"]


@pytest.mark.parametrize("version", VERSIONS)
def test_enums_and_exceptions_have_the_same_members_and_bases(version: str) -> None:
    for module, names in recorded(version)["modules"].items():
        if module in ABSENT_MODULES or optional_part(module):
            continue
        for name, description in names.items():
            full = f"{module}.{name}"
            if full in ABSENT:
                continue
            value = resolve(full)
            if description["kind"] == "enum":
                own = {item.name: int(item) for item in value}
                assert own == description["members"], full
            if description["kind"] == "exception":
                bases = {base.__name__ for base in value.__mro__}
                assert set(description["bases"]) <= bases, full
