"""The rules of the layers, read from the imports (and a few of the texts)."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import fullduplex
import import_graph

ROOT = Path(fullduplex.__file__).parent
TESTS = Path(__file__).parent

# No I/O and no clock.
BANNED_IN_CORE = {
    "asyncio",
    "select",
    "selectors",
    "socket",
    "ssl",
    "threading",
    "time",
    "trio",
}
# Packages that do I/O, each in its own way.
DRIVERS = {"asyncio", "sync", "trio"}
# What a driver may not do with the I/O of another one.
FOREIGN = {
    "asyncio": {"trio", "threading"},
    "sync": {"asyncio", "trio"},
    "trio": {"asyncio", "threading"},
}
MAX_LINES = 700
MAX_BASES = 5

CYTHON_IMPORT = re.compile(r"^\s*(?:from\s+(\S+)\s+c?import|c?import\s+(\S+))", re.M)
# Places on the machine of whoever wrote a line.
PLACES = re.compile(r"(?<![\w.])/(?:work|root|tmp/fd)/")


# Packages in order of dependency: each may import those above it and nothing below.
# Those of one line do not know each other, but for the leaves of core in the first.
ORDER = (
    "version imports",
    "core/typing core/environ core/implementation core/arguments core/buffers "
    "core/credentials core/errors core/logs core/uri core",
    "core/kernels",
    "core/wire",
    "core/frames",
    "core/http",
    "core/extensions",
    "core/handshake",
    "core/endpoint",
    "core/diagnostics",
    "core/connection",
    "core/client",
    "core/server",
    "_net",
    "_async",
    "asyncio sync trio sansio",
    "legacy integrations as_websockets",
    "top",
    "cli",
)
RANK = {name: rank for rank, names in enumerate(ORDER) for name in names.split()}
LEAVES = frozenset(ORDER[1].split())
# Words that end in -ing and are nouns of the field, or paths of websockets.
NOUNS = {"framing", "ping", "routing", "typing"}


def name_of(path: Path) -> str:
    """Return the path below the package, as shown in the tests' names."""
    return path.relative_to(ROOT).as_posix()


def modules(folder: str = "", suffixes: tuple[str, ...] = (".py",)) -> list[Path]:
    """Return the sources in a folder of the package."""
    return sorted(
        path for path in (ROOT / folder).rglob("*") if path.suffix in suffixes
    )


def absolute(path: Path, level: int, module: str) -> str:
    """Return the absolute name of what a module imports."""
    if level == 0:
        return module
    package = ["fullduplex", *path.relative_to(ROOT).parts[:-1]]
    base = package[: len(package) - level + 1]
    return ".".join([*base, *([module] if module else [])])


def imports(path: Path) -> Iterator[str]:
    """Yield the absolute name of everything that a source imports."""
    text = path.read_text()
    if path.suffix == ".pyx":
        for match in CYTHON_IMPORT.finditer(text):
            name = match[1] or match[2]
            level = len(name) - len(name.lstrip("."))
            yield absolute(path, level, name.lstrip("."))
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
        elif isinstance(node, ast.ImportFrom):
            module = absolute(path, node.level, node.module or "")
            yield module
            for alias in node.names:
                yield f"{module}.{alias.name}"


def test_imports_are_read_with_their_absolute_names() -> None:
    names = set(imports(ROOT / "core/endpoint/frame_protocol.py"))
    assert {
        "logging",
        "fullduplex.core.frames.close",
        "fullduplex.core.wire.wire",
    } <= names
    assert "fullduplex.core.errors" in set(imports(ROOT / "core/wire/_wire_c.pyx"))


@pytest.mark.parametrize("path", modules("core", (".py", ".pyx")), ids=name_of)
def test_core_does_no_io_and_reads_no_clock(path: Path) -> None:
    names = set(imports(path))

    assert not BANNED_IN_CORE & {name.partition(".")[0] for name in names}
    outside = {
        name
        for name in names
        if name.startswith("fullduplex.")
        and not name.startswith(("fullduplex.core", "fullduplex.version"))
    }
    assert not outside


@pytest.mark.parametrize("path", modules("sansio"), ids=name_of)
def test_sansio_imports_core_and_does_no_io(path: Path) -> None:
    names = set(imports(path))

    # A server writes the date into its response, and nothing else asks for it.
    allowed = {"time"} if path.name == "server.py" else set()
    assert not (BANNED_IN_CORE - allowed) & {name.partition(".")[0] for name in names}
    own = ("fullduplex.core", "fullduplex.sansio")
    outside = {name for name in names if name.startswith("fullduplex.")}
    assert not {name for name in outside if not name.startswith(own)}


@pytest.mark.parametrize("path", modules("_async"), ids=name_of)
def test_what_asyncio_and_trio_share_imports_core_and_does_no_io(path: Path) -> None:
    names = set(imports(path))

    assert not BANNED_IN_CORE & {name.partition(".")[0] for name in names}
    own = ("fullduplex.core", "fullduplex._async")
    outside = {name for name in names if name.startswith("fullduplex.")}
    assert not {name for name in outside if not name.startswith(own)}


@pytest.mark.parametrize("path", modules("legacy"), ids=name_of)
def test_older_names_are_made_of_core_and_tables(path: Path) -> None:
    own = (
        "fullduplex.core",
        "fullduplex.legacy",
        "fullduplex.sansio",
        "fullduplex.imports",
    )
    names = loaded_by(f"import fullduplex.legacy.{path.stem}")
    assert not IO & names
    outside = {name for name in names if name.startswith("fullduplex.")}
    outside.discard("fullduplex.version")
    assert not {name for name in outside if not name.startswith(own)}


@pytest.mark.parametrize(
    "path",
    [path for driver in sorted(DRIVERS) for path in modules(driver, (".py", ".pyx"))],
    ids=name_of,
)
def test_driver_imports_core_and_its_own_io_only(path: Path) -> None:
    driver = path.relative_to(ROOT).parts[0]
    names = set(imports(path))

    shared = [
        "fullduplex.core",
        "fullduplex._net",
        "fullduplex._net.sockets",
        "fullduplex._net.tls_context",
        "fullduplex.imports",
        "fullduplex.version",
    ]
    if driver != "sync":
        shared.append("fullduplex._async")
    own = (*shared, f"fullduplex.{driver}")
    foreign = {
        name
        for name in names
        if name.startswith("fullduplex.") and not name.startswith(own)
    }
    assert not foreign
    assert not FOREIGN[driver] & {name.partition(".")[0] for name in names}


def test_packages_import_what_stands_above_them() -> None:
    wrong = [
        f"{source} -> {target} ({package} -> {other})"
        for package, others in import_graph.package_arrows(
            import_graph.read_graph()
        ).items()
        for other, pairs in others.items()
        if not (package in LEAVES and other in LEAVES)
        if RANK[package] <= RANK[other] and package != other
        for source, target in pairs
    ]
    assert not wrong


def test_no_module_imports_one_that_imports_it() -> None:
    graph = import_graph.read_graph()

    assert not import_graph.circles(graph.arrows)


@pytest.mark.parametrize("name", import_graph.CONNECTION_CLASSES)
def test_connection_has_at_most_five_classes_of_ours(name: str) -> None:
    assert len(import_graph.own_bases(name)) <= MAX_BASES


@pytest.mark.parametrize("path", modules("", (".py", ".pyx")), ids=name_of)
def test_files_are_named_by_nouns(path: Path) -> None:
    if path.stem.endswith("ing"):
        assert path.stem.strip("_") in NOUNS


@pytest.mark.parametrize("path", modules("core"), ids=name_of)
def test_private_modules_list_no_names(path: Path) -> None:
    # Where a compiled part may take the place of a name, the list says which they are.
    if path.name != "__init__.py" and "with loading()" not in path.read_text():
        assert "\n__all__" not in path.read_text()


@pytest.mark.parametrize("path", modules("", (".py", ".pyx")), ids=name_of)
def test_every_module_says_its_idea_first(path: Path) -> None:
    if path.suffix == ".pyx":
        assert '"""' in path.read_text()[:200]
    else:
        assert ast.get_docstring(ast.parse(path.read_text()))


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_no_module_is_longer_than_700_lines(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MAX_LINES


@pytest.mark.parametrize(
    "path",
    [*modules("", (".py", ".pyx", ".h")), *sorted(TESTS.rglob("*.py"))],
    ids=lambda path: path.name,
)
def test_no_file_names_a_place_on_somebodys_machine(path: Path) -> None:
    if "node_modules" not in path.parts:
        assert not PLACES.search(path.read_text())


def loaded_by(statement: str) -> set[str]:
    """Return the modules that a fresh interpreter has loaded after `statement`."""
    code = f"import sys, json\n{statement}\nprint(json.dumps(list(sys.modules)))"
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True
    ).stdout
    return set(json.loads(output))


IO = {"asyncio", "socket", "ssl", "select", "selectors", "trio", "uvloop"}


def drivers_in(names: set[str]) -> set[str]:
    """Return the parts of drivers among `names`."""
    return {
        name
        for name in names
        if name.split(".")[0] == "fullduplex"
        and name.split(".")[1:2] in [[d] for d in DRIVERS]
    }


def test_import_of_the_package_loads_no_driver_and_no_io() -> None:
    names = loaded_by("import fullduplex")

    assert not IO & names
    assert not drivers_in(names)
    assert not {name for name in names if name.startswith("fullduplex.core.")}


def test_import_of_the_core_loads_no_driver_and_no_io() -> None:
    statement = "\n".join(
        f"import fullduplex.core.{name_of(path)[5:-3].replace('/', '.')}"
        for path in modules("core")
        if path.name != "__init__.py"
    )
    names = loaded_by(statement)

    assert not IO & names
    assert not drivers_in(names)


@pytest.mark.parametrize(
    "name", ["Headers", "State", "Close", "ConnectionClosed", "Request", "__version__"]
)
def test_names_that_need_no_io_load_none(name: str) -> None:
    names = loaded_by(f"from fullduplex import {name}")

    assert not IO & names
    assert not drivers_in(names)


def test_connect_loads_the_asyncio_driver_and_no_other() -> None:
    names = loaded_by("from fullduplex import connect")

    assert "fullduplex.asyncio.client" in names
    assert not {name for name in drivers_in(names) if ".asyncio" not in name}


def test_trio_face_loads_the_trio_driver_and_no_other() -> None:
    names = loaded_by("from fullduplex.trio import connect, serve")

    assert "fullduplex.trio.client" in names
    assert not {name for name in drivers_in(names) if ".trio" not in name}
    assert not {"asyncio"} & names


def test_blocking_connect_loads_the_blocking_driver_and_no_other() -> None:
    names = loaded_by("from fullduplex.sync import connect")

    assert "fullduplex.sync._driver" in names
    assert not {name for name in drivers_in(names) if ".sync" not in name}
    assert not {"asyncio", "fullduplex.sync.server"} & names


def test_every_public_name_is_there() -> None:
    for name in fullduplex.__all__:
        assert getattr(fullduplex, name) is not None
    assert set(fullduplex.__all__) <= set(dir(fullduplex))


def test_name_that_does_not_exist_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        fullduplex.nonsense  # noqa: B018
