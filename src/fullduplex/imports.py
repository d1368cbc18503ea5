"""Names that a module offers without importing them before they are used.

A table tells where each name lives.  A deprecated one works too, with a warning that
tells what to use instead, at each place that uses it.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import Any

__all__ = ["deprecate", "import_name", "lazy_import", "offer", "reexport"]

Namespace = dict[str, Any]


def offer(namespace: Namespace, homes: Mapping[str, str]) -> None:
    """
    Let a module find names when they are first used.

    Args:
        namespace: ``globals()`` of the module.
        homes: names, separated by spaces, by the module that has them, which is
            relative to the package of `namespace`.
    """
    table = {name: home for home, names in homes.items() for name in names.split()}
    _install(namespace, table, {})


def deprecate(namespace: Namespace, table: Mapping[str, tuple[str, str]]) -> None:
    """
    Let a module have names that warn.

    Args:
        namespace: ``globals()`` of the module.
        table: for each name where it lives, as ``module``, or ``module:name`` if it
            is called otherwise there, or ``module:`` for the module itself; and what
            to use instead.
    """
    _install(namespace, {}, table)


def lazy_import(
    namespace: Namespace,
    aliases: Mapping[str, str] | None = None,
    deprecated_aliases: Mapping[str, str] | None = None,
) -> None:
    """
    Let a module find names when they are first used; the way websockets spells it.

    Args:
        namespace: ``globals()`` of the module.
        aliases: module, relative to the package of `namespace`, by name; with a
            colon behind it, the name is that of the module itself.
        deprecated_aliases: likewise, for names that warn.
    """
    package = _package(namespace)
    deprecated = {}
    for name, home in (deprecated_aliases or {}).items():
        place = package + home if home.startswith(".") else home
        deprecated[name] = (home, f"{place}.{name}")
    _install(namespace, aliases or {}, deprecated)


def reexport(namespace: Namespace) -> None:
    """
    Let a module have what websockets' module of this path imports from others.

    Such names are found when they are asked for and are not listed by `dir`.

    Args:
        namespace: ``globals()`` of the module.
    """
    own = str(namespace["__name__"])

    def __getattr__(name: str) -> Any:
        # The import system asks for some that begin so; none is in the table.
        if name.startswith("_"):
            raise AttributeError(f"module {own!r} has no attribute {name!r}")
        from ._reexports import place_of

        root, _, path = own.partition(".")
        place = place_of(path, name)
        if place is None:
            raise AttributeError(f"module {own!r} has no attribute {name!r}")
        home, colon, other = place.partition(":")
        value = getattr(import_module(home, root), other if colon else name)
        namespace[name] = value
        return value

    namespace["__getattr__"] = __getattr__


def import_name(name: str, source: str, namespace: Namespace) -> Any:
    """
    Import a name; the way websockets spells it.

    Args:
        name: of an object in `source`, or of a module below it.
        source: a module, relative to the package of `namespace` if it begins with a
            dot.
        namespace: ``globals()`` of the module that imports.

    Raises:
        ImportError: there is neither.
    """
    package = _package(namespace)
    module = import_module(source, package)
    try:
        return getattr(module, name)
    except AttributeError:
        return import_module(f"{module.__name__}.{name}")


def _package(namespace: Namespace) -> str:
    return str(namespace.get("__package__") or namespace["__name__"])


def _find(namespace: Namespace, name: str, place: str) -> Any:
    home, colon, other = place.partition(":")
    # A module is a part of its package, whichever of these it is found through.
    module = import_module(home, _package(namespace))
    if colon and not other:
        return module
    return getattr(module, other or name)


def _install(
    namespace: Namespace,
    aliases: Mapping[str, str],
    deprecated: Mapping[str, tuple[str, str]],
) -> None:
    own = str(namespace["__name__"])
    before_getattr: Callable[[str], Any] | None = namespace.get("__getattr__")
    before_dir: Callable[[], Iterable[str]] | None = namespace.get("__dir__")

    def __getattr__(name: str) -> Any:
        place = aliases.get(name)
        if place is not None:
            value = namespace[name] = _find(namespace, name, place)
            return value
        if name in deprecated:
            return find_deprecated(namespace, name, *deprecated[name])
        if before_getattr is not None:
            return before_getattr(name)
        raise AttributeError(f"module {own!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        before = namespace if before_dir is None else before_dir()
        return sorted({*before, *aliases})

    namespace["__getattr__"] = __getattr__
    namespace["__dir__"] = __dir__


def find_deprecated(namespace: Namespace, name: str, place: str, instead: str) -> Any:
    """
    Return a name of a module that warns; called by its ``__getattr__``.

    Args:
        namespace: ``globals()`` of the module.
        name: name to find.
        place: as in the table of `deprecate`.
        instead: likewise.
    """
    value = _find(namespace, name, place)
    level = 2
    frame = sys._getframe(level)
    while frame.f_back is not None and (
        frame.f_globals.get("__name__") == __name__
        or frame.f_code.co_name == "__getattr__"
    ):
        frame = frame.f_back
        level += 1
    # ``from package import name`` looks twice; the second look warns.
    if frame.f_code.co_name != "_handle_fromlist":
        warnings.warn(
            f"{namespace['__name__']}.{name} is deprecated; use {instead}",
            DeprecationWarning,
            stacklevel=level + 1,
        )
    return value
