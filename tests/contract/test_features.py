"""Where the faces differ, against docs/features.md: no difference without a row."""

from __future__ import annotations

import asyncio
import functools
import importlib
import inspect
import itertools
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from .faces import FACES, Kit

pytest.importorskip("trio")
pytest.importorskip("werkzeug")

PAGE = Path(__file__).parents[2] / "docs" / "features.md"
MODULES = {"asyncio": "", "sync": ".sync", "trio": ".trio"}
ABSENT = "—"

# Classes that programs do not make: their members count, not how they are made.
UNMADE = ("ClientConnection", "Router", "Server", "ServerConnection")
# Special methods that are one thing, whether the face waits or blocks.
SPECIAL = {"__aenter__": "__enter__", "__aiter__": "__iter__", "__await__": "__await__"}

Cells = tuple[str, ...]
Differences = dict[tuple[str, str], Cells]


def names() -> list[str]:
    """What any face offers of its own; the package itself offers the rest to all."""
    listed = set().union(
        *(importlib.import_module(f"fullduplex.{face}").__all__ for face in MODULES)
    )
    return sorted(listed | {"Session"})


def found(face: str, name: str) -> Any:
    module = importlib.import_module("fullduplex" + MODULES[face])
    return getattr(module, name, None)


def in_kwds(face: str, name: str) -> set[str]:
    """The keywords that a function takes by its ``**kwds``."""
    side = {"connect": "client", "unix_connect": "client", "serve": "server"}.get(name)
    if side is None or (face, name) == ("sync", "unix_connect"):
        return set()
    refused = {"host", "port"} if name == "unix_connect" else set()
    if face == "trio":
        if side == "server":
            return {"create_protocol", "ws_handler"}
        dialing = importlib.import_module("fullduplex.trio._tcp_connect").DIALING
        return {*dialing, "host", "port"} - refused
    module = importlib.import_module(f"fullduplex.{face}.{side}")
    if side == "server":
        return set(module.SERVER_KEYWORDS)
    more = getattr(module, "PROXY_KEYWORDS", ())
    return {*module.CONNECTION_KEYWORDS, *more} - refused


def parameters(name: str, functions: dict[str, Any], face: str) -> dict[str, str]:
    """Describe each parameter: its place, if it has one, and its default."""
    described = dict.fromkeys(in_kwds(face, name), "`**kwds`")
    place = itertools.count(1)
    for key, item in inspect.signature(functions[face]).parameters.items():
        if key == "self" or item.kind in (item.VAR_KEYWORD, item.VAR_POSITIONAL):
            continue
        cell = "required" if item.default is item.empty else shown(item.default)
        if item.kind is not item.KEYWORD_ONLY:
            cell = f"{next(place)}: {cell}"
        described[key] = cell
    return described


def shown(default: Any) -> str:
    if callable(default):
        return f"`{default.__name__}`"
    return f"`{default!r}`"


def kind_of(value: Any) -> str:
    if inspect.isclass(value):
        return "class"
    if asyncio.iscoroutinefunction(value):  # some are marked
        return "coroutine"
    return "function" if callable(value) else "attribute"


@functools.cache
def instances(face: str) -> dict[str, set[str]]:
    """What open connections of a face have, and a server of it."""
    made: dict[str, set[str]] = {}

    def create(*, ws_server: Any, **kwds: Any) -> Any:
        made["Server"] = set(dir(ws_server))
        return found(face, "ServerConnection")(ws_server=ws_server, **kwds)

    async def look(kit: Kit) -> None:
        async with kit.opened() as (end, _):
            made["ClientConnection"] = set(dir(end.ws))
        async with kit.served(create_connection=create) as (end, _):
            made["ServerConnection"] = set(dir(end.ws))

    # The loop's own transports are always there.
    named = "asyncio-stock" if face == "asyncio" else face
    {item.name: item for item in FACES}[named].run(look)
    return made


def members(name: str, values: dict[str, Any], face: str) -> dict[str, str]:
    """Describe each public member of a class."""
    value = values[face]
    if not inspect.isclass(value):
        return {}
    described = {}
    for key in set(dir(value)) | instances(face).get(name, set()):
        member = inspect.getattr_static(value, key, None)
        if key in SPECIAL or key in SPECIAL.values():
            described[SPECIAL.get(key, key)] = "yes"
        elif key[0] != "_":
            described[key] = kind_of(member)
    return described


def unlike(kinds: Cells) -> bool:
    """Whether kinds differ by more than blocking where others wait."""
    on_asyncio, blocking, on_trio = kinds
    waits = on_asyncio == on_trio == "coroutine"
    return not (waits and blocking == "function") and len(set(kinds)) > 1


def compare(describe: Callable[[str], dict[str, str]]) -> Iterator[tuple[str, Cells]]:
    described = [describe(face) for face in MODULES]
    for key in sorted(set().union(*described)):
        cells = tuple(item.get(key, ABSENT) for item in described)
        if unlike(cells):
            yield key, cells


@functools.cache
def differences() -> Differences:
    result: Differences = {}
    for name in names():
        values = {face: found(face, name) for face in MODULES}
        kinds = tuple(
            ABSENT if value is None else kind_of(value) for value in values.values()
        )
        if unlike(kinds):
            result[name, "itself"] = kinds
        if ABSENT in kinds:
            continue
        for key, cells in compare(partial(members, name, values)):
            result[name, key] = cells
        for full, functions in signatures(name, values):
            for key, cells in compare(partial(parameters, full, functions)):
                result[full, f"{key}="] = cells
    return result


def signatures(
    name: str, values: dict[str, Any]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Find what can be called on every face: the name itself, or its methods."""
    if name not in UNMADE:
        yield name, values
    for key in dir(values["asyncio"]):
        functions = {face: getattr(value, key, None) for face, value in values.items()}
        if key[0] != "_" and all(map(inspect.isfunction, functions.values())):
            yield f"{name}.{key}", functions


def rows() -> Differences:
    """Read the table; the first two cells may have several names."""
    result: Differences = {}
    for line in PAGE.read_text().partition("\n## Names")[2].splitlines():
        if line.startswith("| `"):
            of, items, *cells = (cell.strip() for cell in line.strip("|").split("|"))
            for key in itertools.product(*map(listed, (of, items))):
                assert key not in result, f"two rows for {key}"
                result[key] = tuple(cells[:3])  # type: ignore[index]
    return result


def listed(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell) or [cell]


def test_every_difference_has_a_row_that_is_right() -> None:
    table = rows()
    assert table
    assert {
        key: cells for key, cells in differences().items() if table.get(key) != cells
    } == {}


def test_no_row_is_stale() -> None:
    assert sorted(rows().keys() - differences().keys()) == []
