"""The reader of imports that `tools/import_graph.py` and the layers' tests use."""

from __future__ import annotations

from pathlib import Path

import import_graph


def graph_of(folder: Path, sources: dict[str, str]) -> import_graph.Graph:
    """Write a package and return the graph of its imports."""
    for name, text in sources.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return import_graph.read_graph(folder)


def arrows(graph: import_graph.Graph, module: str) -> dict[str, str]:
    """Return the arrows of one module, with names below the package."""
    found = graph.arrows[f"fullduplex.{module}"]
    return {name.removeprefix("fullduplex."): found[name] for name in found}


def test_name_of_a_module_is_an_import_of_it_and_other_names_are_not(
    tmp_path: Path,
) -> None:
    graph = graph_of(
        tmp_path,
        {
            "core/__init__.py": "",
            "core/errors.py": "",
            "core/wire/__init__.py": "",
            "core/wire/reader.py": (
                "from .. import errors\nfrom . import Reader\nimport os.path\n"
                "import fullduplex.core as core\n"
            ),
        },
    )

    assert arrows(graph, "core.wire.reader") == {
        "core.errors": "core/wire/reader.py:1",
        "core.wire": "core/wire/reader.py:2",
        "core": "core/wire/reader.py:4",
    }


def test_imports_for_types_and_in_functions_count(tmp_path: Path) -> None:
    graph = graph_of(
        tmp_path,
        {
            "a.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n"
            "    from .b import B\ndef f():\n    from .c import C\n",
            "b.py": "",
            "c.py": "'from .a import A'\n",
        },
    )

    assert set(arrows(graph, "a")) == {"b", "c"}
    assert not arrows(graph, "c")


def test_cython_sources_count_with_headers_and_included_files(tmp_path: Path) -> None:
    graph = graph_of(
        tmp_path,
        {
            "core/_a_c.pyx": '"""\nfrom .d import D\n"""\ninclude "../_b.pxi"\n',
            "core/_a_c.pxd": "from .c cimport (\n    C,\n)  # from .d import D\n",
            "_b.pxi": "from .e import E as F, G\nfrom libc.errno cimport errno\n",
            "core/c.py": "",
            "core/d.py": "",
            "core/e.py": "",
        },
    )

    assert arrows(graph, "core._a_c") == {
        "core.c": "core/_a_c.pxd:1",
        "_b.pxi": "core/_a_c.pyx:4",
        "core.e": "core/_a_c.pyx:4",
    }


def test_circles_are_groups_that_lead_back() -> None:
    tree = {"a": "b", "b": "ce", "c": "a", "d": "a", "e": "f", "f": "e", "g": ""}

    assert import_graph.circles(tree) == [["a", "b", "c"], ["e", "f"]]


def test_modules_belong_to_packages() -> None:
    packages = {
        "fullduplex": "top",
        "fullduplex.exceptions": "top",
        "fullduplex.version": "version",
        "fullduplex.core": "core",
        "fullduplex.core.errors": "core/errors",
        "fullduplex.core.wire._wire_c": "core/wire",
        "fullduplex.core.client.proxy.socks": "core/client",
        "fullduplex.asyncio.client": "asyncio",
        "fullduplex.extensions.base": "top",
    }

    assert {name: import_graph.package_of(name) for name in packages} == packages


def test_own_bases_are_the_classes_of_the_package() -> None:
    assert import_graph.own_bases("exceptions:PayloadTooBig")
    for name in import_graph.CONNECTION_CLASSES:
        assert import_graph.own_bases(name)[0].startswith("fullduplex.")
