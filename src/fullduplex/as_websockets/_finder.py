"""Finder for ``import websockets`` and the names below it."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, Any, cast

from ._names import COMPATIBLE, ROOT

if TYPE_CHECKING:
    from importlib.metadata import Distribution, DistributionFinder

OURS = __name__.partition(".")[0]


def ours(name: str) -> str:
    """Return the name of the module of this package that `name` stands for."""
    return OURS + name[len(ROOT) :]


class Finder(MetaPathFinder):
    """Find the modules of this package under the names of websockets."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """Find a module (the import system calls this)."""
        if fullname == ROOT:
            return ModuleSpec(fullname, _RootLoader(), is_package=True)
        if fullname == f"{ROOT}.version":
            return ModuleSpec(fullname, _VersionLoader())
        if not fullname.startswith(ROOT + "."):
            return None
        try:
            found = find_spec(ours(fullname))
        except ModuleNotFoundError:
            found = None
        if found is None:
            return None
        is_package = found.submodule_search_locations is not None
        spec = ModuleSpec(
            fullname, _AliasLoader(found), origin=found.origin, is_package=is_package
        )
        spec.has_location = found.has_location
        return spec

    def find_distributions(
        self, context: DistributionFinder.Context
    ) -> Iterable[Distribution]:
        """Find what is known of an installed package (`importlib.metadata`)."""
        name = context.name
        if name is None or re.sub(r"[-_.]+", "-", name).lower() != ROOT:
            return ()
        from ._metadata import Compatible

        return (Compatible(),)


class _AliasLoader(Loader):
    """Give a module of this package, which stays as it is."""

    def __init__(self, found: ModuleSpec) -> None:
        self._found = found
        self._kept: dict[str, Any] = {}

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = import_module(self._found.name)
        # The import system is about to write these.
        self._kept = {
            name: getattr(module, name)
            for name in ("__spec__", "__loader__")
            if hasattr(module, name)
        }
        return module

    def exec_module(self, module: ModuleType) -> None:
        vars(module).update(self._kept)

    # For runpy, which runs ``-m websockets`` without importing its `__main__`.

    def get_code(self, fullname: str) -> CodeType | None:
        loader = cast("Any", self._found.loader)
        return cast("CodeType | None", loader.get_code(self._found.name))

    def is_package(self, fullname: str) -> bool:
        return self._found.submodule_search_locations is not None


class _Root(ModuleType):
    """The package itself, which differs from ours in its version."""

    def __getattr__(self, name: str) -> Any:
        value = getattr(sys.modules[OURS], name)
        if isinstance(value, ModuleType) and value.__name__.startswith(OURS + "."):
            # As the import system would have it.
            return import_module(ROOT + value.__name__[len(OURS) :])
        return value

    def __dir__(self) -> list[str]:
        return sorted({*vars(self), *dir(sys.modules[OURS])})


class _RootLoader(Loader):
    def create_module(self, spec: ModuleSpec) -> ModuleType:
        package = import_module(OURS)
        return _Root(ROOT, package.__doc__)

    def exec_module(self, module: ModuleType) -> None:
        package = sys.modules[OURS]
        module.__dict__["__version__"] = COMPATIBLE
        module.__dict__["__all__"] = list(package.__all__)
        module.__file__ = package.__file__

    def get_code(self, fullname: str) -> CodeType | None:
        return None

    def is_package(self, fullname: str) -> bool:
        return True


class _VersionLoader(Loader):
    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return ModuleType(spec.name, "The version of websockets that is offered.")

    def exec_module(self, module: ModuleType) -> None:
        for name in ("version", "tag", "commit"):
            setattr(module, name, COMPATIBLE)
        module.__dict__["released"] = True
