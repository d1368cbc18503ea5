"""Import graph of the package, read from the sources.

    python tools/import_graph.py          packages, arrows, circles and lines
    python tools/import_graph.py --mro    own base classes of the connection classes

An arrow leads from a module to a module that it imports.  ``from .x import name`` is
an import of ``x.name`` where that is a module, and else of ``x``.  Imports inside
functions and below ``TYPE_CHECKING`` count.  Tables of lazy names do not.  Cython
sources count with their ``import``, ``cimport`` and ``include`` statements; a ``.pxi``
file is a node of its own.

A circle is a group of modules, or of packages, each of which imports all others,
directly or not.  The exit code is 1 when there is one.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

PACKAGE = "fullduplex"
ROOT = Path(__file__).resolve().parent.parent / "src" / PACKAGE

# Packages below the root that are one node each.  Packages and modules of `core` are
# nodes too.  Everything else is public modules that only name things: "top".
PACKAGES = (
    "_net",
    "_async",
    "asyncio",
    "sync",
    "trio",
    "sansio",
    "legacy",
    "integrations",
    "cli",
    "as_websockets",
)
TOP = "top"
# Modules of the root that are no public names, by the node that they belong to.
MODULES = {
    "__main__": "cli",
    "_reexports": "imports",
    "imports": "imports",
    "version": "version",
}

CYTHON = (".pyx", ".pxd", ".pxi")
SOURCES = (".py", ".pyi", *CYTHON, ".h")

CONNECTION_CLASSES = (
    "asyncio.client:ClientConnection",
    "asyncio.server:ServerConnection",
    "sync.client:ClientConnection",
    "sync.server:ServerConnection",
    "trio.client:ClientConnection",
    "trio.server:ServerConnection",
    "asyncio.server:WebSocketServerProtocol",
)

_STRINGS_AND_COMMENTS = re.compile(
    r'"""(?:.|\n)*?"""|\'\'\'(?:.|\n)*?\'\'\'|"[^"\n]*"|\'[^\'\n]*\'|#[^\n]*'
)
_CYTHON_IMPORT = re.compile(
    r"^[ \t]*(?:"
    r"from[ \t]+(?P<source>[.\w]+)[ \t]+c?import[ \t]+(?P<names>\([^)]*\)|[^\n]*)"
    r"|c?import[ \t]+(?P<modules>[^\n]+)"
    r")",
    re.M,
)
_INCLUDE = re.compile(r"^[ \t]*include[ \t]+[\"']([^\"']+)[\"']", re.M)


@dataclass
class Graph:
    """Modules with their files, and the arrows between them.

    Attributes:
        files: source files of each module; a compiled module can have several.
        arrows: for each module, the modules that it imports, each with the place of
            the first import (``path:line`` below the package).
    """

    files: dict[str, list[Path]] = field(default_factory=dict)
    arrows: dict[str, dict[str, str]] = field(default_factory=dict)


def package_of(module: str) -> str:
    """Return the node of the package graph to which a module belongs."""
    first, *rest = module.removeprefix(PACKAGE).lstrip(".").split(".")
    if first == "core" and rest:
        return f"core/{rest[0]}"
    if first == "core" or first in PACKAGES:
        return first
    return MODULES.get(first, TOP)


def _name_of(path: Path, root: Path) -> str:
    below = path.relative_to(root)
    parts = [*below.parts[:-1], below.stem]
    if path.suffix == ".pxi":
        parts[-1] = below.name
    elif below.stem == "__init__":
        parts.pop()
    return ".".join([PACKAGE, *parts])


@dataclass
class _Import:
    """One imported name: the module, the name in it if there is one, and the line."""

    module: str
    name: str | None
    line: int


def _absolute(path: Path, root: Path, module: str) -> str:
    level = len(module) - len(module.lstrip("."))
    if level == 0:
        return module
    package = [PACKAGE, *path.relative_to(root).parts[:-1]]
    base = package[: len(package) - level + 1]
    return ".".join([*base, *filter(None, [module[level:]])])


def _python_imports(path: Path, root: Path) -> Iterator[_Import]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield _Import(alias.name, None, node.lineno)
        elif isinstance(node, ast.ImportFrom):
            source = "." * node.level + (node.module or "")
            module = _absolute(path, root, source)
            for alias in node.names:
                yield _Import(module, alias.name, node.lineno)


def _blank(match: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", match[0])


def _words(names: str) -> list[str]:
    """Return the first word of each item of a list, without ``as`` and brackets."""
    return [item.split()[0] for item in names.strip("()").split(",") if item.split()]


def _cython_imports(path: Path, root: Path, text: str) -> Iterator[_Import]:
    bare = _STRINGS_AND_COMMENTS.sub(_blank, text)
    for match in _CYTHON_IMPORT.finditer(bare):
        line = bare.count("\n", 0, match.start()) + 1
        if match["modules"] is not None:
            for name in _words(match["modules"]):
                yield _Import(name, None, line)
            continue
        module = _absolute(path, root, match["source"])
        for name in _words(match["names"]):
            yield _Import(module, name, line)


def read_graph(root: Path = ROOT) -> Graph:
    """Read the sources below `root` and return the graph of their imports."""
    graph = Graph()
    for path in sorted(root.rglob("*")):
        if path.suffix == ".py" or path.suffix in CYTHON:
            graph.files.setdefault(_name_of(path, root), []).append(path)
    for module, paths in graph.files.items():
        arrows = graph.arrows.setdefault(module, {})
        for path in paths:
            for target, line in _targets(path, root, graph):
                if target != module:
                    place = f"{path.relative_to(root).as_posix()}:{line}"
                    arrows.setdefault(target, place)
    return graph


def _targets(path: Path, root: Path, graph: Graph) -> Iterator[tuple[str, int]]:
    if path.suffix == ".py":
        imports = list(_python_imports(path, root))
    elif path.suffix == ".pxi":
        imports = []  # relative names are those of the file that includes it
    else:
        imports = []
        for name, line in _with_included(path, path, root):
            text = name.read_text(encoding="utf-8")
            if name != path:
                yield _name_of(name, root), line
            found = list(_cython_imports(path, root, text))
            if name != path:
                found = [_Import(each.module, each.name, line) for each in found]
            imports += found
    for each in imports:
        whole = f"{each.module}.{each.name}"
        if each.name is not None and whole in graph.files:
            yield whole, each.line
        elif each.module in graph.files:
            yield each.module, each.line


def _with_included(path: Path, first: Path, root: Path) -> Iterator[tuple[Path, int]]:
    """Yield a Cython source and all that it includes, with lines of the first file."""
    yield path, 1
    text = path.read_text(encoding="utf-8")
    for match in _INCLUDE.finditer(text):
        included = (path.parent / match[1]).resolve()
        line = text.count("\n", 0, match.start()) + 1
        for each, _ in _with_included(included, first, root):
            yield each, line


def package_arrows(graph: Graph) -> dict[str, dict[str, list[tuple[str, str]]]]:
    """Return the arrows between packages, each with the arrows of modules in it."""
    packages: dict[str, dict[str, list[tuple[str, str]]]] = {}
    for module, targets in graph.arrows.items():
        arrows = packages.setdefault(package_of(module), {})
        for target in targets:
            if package_of(target) != package_of(module):
                arrows.setdefault(package_of(target), []).append((module, target))
    return packages


def circles(arrows: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """Return the circles of a graph (Tarjan's strongly connected components)."""
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        number[node] = lowest[node] = len(number)
        stack.append(node)
        for target in arrows.get(node, ()):
            if target not in number:
                visit(target)
                lowest[node] = min(lowest[node], lowest[target])
            elif target in stack:
                lowest[node] = min(lowest[node], number[target])
        if lowest[node] == number[node]:
            first = stack.index(node)
            if len(stack) - first > 1:
                found.append(sorted(stack[first:]))
            del stack[first:]

    for node in sorted(arrows):
        if node not in number:
            visit(node)
    return sorted(found, key=lambda group: (-len(group), group))


def line_counts(root: Path = ROOT) -> dict[str, tuple[int, int]]:
    """Return files and lines of each package."""
    counts: dict[str, tuple[int, int]] = {}
    for path in sorted(root.rglob("*")):
        if path.suffix in SOURCES:
            package = package_of(_name_of(path, root))
            files, lines = counts.get(package, (0, 0))
            length = len(path.read_text(encoding="utf-8").splitlines())
            counts[package] = files + 1, lines + length
    return counts


def own_bases(name: str) -> list[str]:
    """Return the classes of the package in the MRO of a class, itself included.

    Args:
        name: ``module:class`` below the package.
    """
    module, _, attribute = name.partition(":")
    cls = getattr(import_module(f"{PACKAGE}.{module}"), attribute)
    return [
        f"{base.__module__}.{base.__qualname__}"
        for base in cls.__mro__
        if base.__module__.partition(".")[0] == PACKAGE
    ]


def _short(module: str) -> str:
    return module.removeprefix(f"{PACKAGE}.")


def _print_graph(graph: Graph) -> bool:
    packages = package_arrows(graph)
    modules_in_circles = circles(graph.arrows)
    packages_in_circles = circles(packages)

    count = sum(len(targets) for targets in packages.values())
    print(f"Packages: {len(packages)}, with {count} arrows")
    for package, targets in sorted(packages.items()):
        names = ", ".join(f"{name} ({len(targets[name])})" for name in sorted(targets))
        print(f"    {package} -> {names or 'nothing'}")

    count = sum(len(targets) for targets in graph.arrows.values())
    print(f"\nModules: {len(graph.files)}, with {count} arrows")
    print(f"\nCircles of modules: {len(modules_in_circles)}")
    for group in modules_in_circles:
        print(f"    {len(group)}: {', '.join(map(_short, group))}")
        for module in group:
            for target, place in sorted(graph.arrows[module].items()):
                if target in group:
                    print(f"        {place} -> {_short(target)}")

    print(f"\nCircles of packages: {len(packages_in_circles)}")
    for group in packages_in_circles:
        print(f"    {len(group)}: {', '.join(group)}")
        for package in group:
            for target, pairs in sorted(packages[package].items()):
                if target in group:
                    print(f"        {package} -> {target}")
                    for pair in sorted(pairs):
                        place = graph.arrows[pair[0]][pair[1]]
                        print(f"            {place} -> {_short(pair[1])}")

    counts = line_counts()
    total = [sum(column) for column in zip(*counts.values(), strict=True)]
    print("\nFiles and lines")
    for package, (files, lines) in sorted(counts.items()):
        print(f"    {package:<24} {files:>4} {lines:>7,}")
    print(f"    {'all':<24} {total[0]:>4} {total[1]:>7,}")
    return bool(modules_in_circles or packages_in_circles)


def _print_bases() -> None:
    sys.path.insert(0, str(ROOT.parent))
    for name in CONNECTION_CLASSES:
        bases = own_bases(name)
        print(f"{PACKAGE}.{name.replace(':', '.')}: {len(bases)} classes")
        for base in bases:
            print(f"    {base}")


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["--mro"]):
        print(__doc__)
        return 2
    if arguments:
        _print_bases()
        return 0
    return int(_print_graph(read_graph()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
