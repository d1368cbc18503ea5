"""Record the names and signatures of an installed websockets as JSON.

    python record.py > websockets-17.4.json

Run it with the interpreter of an environment that has that version.  It imports
nothing but websockets and what websockets needs, and reads no source.
"""

from __future__ import annotations

import asyncio
import enum
import importlib
import inspect
import json
import pkgutil
import sys
import types
import warnings
from typing import Any

import websockets

# Parts that belong to no interface.
SKIPPED = {"websockets.__main__", "websockets.speedups"}


def default_of(value: Any) -> str | None:
    """Describe a default in a way that doesn't depend on where things live."""
    if value is inspect.Parameter.empty:
        return None
    if callable(value) and hasattr(value, "__name__"):
        return f"<{value.__name__}>"
    if isinstance(value, enum.Enum):
        return repr(value.value)
    if isinstance(value, str) and value.startswith("Python/"):
        return "<product>"
    if type(value) is object:
        return "<nothing>"
    return repr(value)


def signature_of(value: Any) -> list[list[Any]] | None:
    """List the parameters: name, kind, default."""
    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):
        return None
    return [
        [parameter.name, parameter.kind.name, default_of(parameter.default)]
        for parameter in signature.parameters.values()
    ]


def describe(value: Any) -> dict[str, Any]:
    """Describe one public object."""
    if isinstance(value, types.ModuleType):
        return {"kind": "module"}
    if isinstance(value, type) and not isinstance(value, types.GenericAlias):
        methods = {}
        members = []
        for name in dir(value):
            if name.startswith("_"):
                continue
            members.append(name)
            if issubclass(value, (enum.Enum, BaseException)):
                continue
            member = inspect.getattr_static(value, name)
            if isinstance(member, (staticmethod, classmethod)):
                member = member.__func__
            if isinstance(member, types.FunctionType):
                methods[name] = signature_of(member)
        kind = "exception" if issubclass(value, BaseException) else "class"
        if issubclass(value, enum.Enum):
            return {
                "kind": "enum",
                "members": {item.name: int(item) for item in value},
            }
        return {
            "kind": kind,
            "signature": signature_of(value),
            "members": members,
            "methods": methods,
            "bases": [base.__name__ for base in value.__mro__[1:-1]],
        }
    if inspect.isroutine(value):
        return {"kind": "function", "signature": signature_of(value)}
    return {"kind": "value"}


def public_names(module: types.ModuleType) -> list[str]:
    """List the names that a module offers."""
    names = getattr(module, "__all__", None)
    if names is not None:
        return sorted(names)
    return sorted(
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and not isinstance(value, types.ModuleType)
        and getattr(value, "__module__", module.__name__) == module.__name__
        and name not in ("annotations", "lazy_import", "TYPE_CHECKING")
    )


async def instances() -> dict[str, list[str]]:
    """List the public attributes of connections that are open."""
    found: dict[str, list[str]] = {}
    done = asyncio.Event()

    async def handler(connection: Any) -> None:
        found["server"] = [name for name in dir(connection) if name[0] != "_"]
        await done.wait()

    async with websockets.serve(handler, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with websockets.connect(f"ws://127.0.0.1:{port}/") as connection:
            await (await connection.ping())
            found["client"] = [name for name in dir(connection) if name[0] != "_"]
            done.set()
    return found


def main() -> None:
    """Write everything to the standard output."""
    warnings.simplefilter("ignore")
    record: dict[str, Any] = {"version": websockets.version.version, "modules": {}}
    found = ["websockets"]
    for info in pkgutil.walk_packages(websockets.__path__, "websockets."):
        if info.name not in SKIPPED:
            found.append(info.name)
    for name in found:
        module = importlib.import_module(name)
        record["modules"][name] = {
            key: describe(getattr(module, key))
            for key in public_names(module)
            if hasattr(module, key)
        }
    record["instances"] = asyncio.run(instances())
    json.dump(record, sys.stdout, indent=1, sort_keys=True)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
