"""Being found as websockets, each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest


def run(
    *arguments: str, cwd: Path | None = None, check: bool = True, **env: str
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, **env},
    )
    if check:
        assert done.returncode == 0, done.stderr
    return done


def program(code: str) -> str:
    """Run a program that installs first; return what it prints."""
    head = "import fullduplex; fullduplex.install_as_websockets()\n"
    return run("-c", head + textwrap.dedent(code)).stdout


def test_import_gives_the_same_objects() -> None:
    out = program(
        """
        import websockets, websockets.client, websockets.exceptions
        import websockets.extensions.permessage_deflate as deflate
        import fullduplex.extensions.permessage_deflate as ours
        from websockets.asyncio.server import serve
        from websockets.exceptions import ConnectionClosed
        assert websockets.client is fullduplex.client
        assert websockets.exceptions is fullduplex.exceptions
        assert deflate is ours
        assert websockets.connect is fullduplex.connect
        assert serve is fullduplex.serve
        assert ConnectionClosed is fullduplex.ConnectionClosed
        assert websockets.ConnectionClosed is ConnectionClosed
        import importlib
        assert importlib.import_module("websockets.uri") is fullduplex.uri
        print("ok")
        """
    )
    assert out == "ok\n"


def test_modules_of_ours_stay_what_they_are() -> None:
    out = program(
        """
        import fullduplex.client
        before = fullduplex.client.__spec__, fullduplex.client.__loader__
        import websockets.client
        assert before == (fullduplex.client.__spec__, fullduplex.client.__loader__)
        print(websockets.client.__name__, websockets.client.__spec__.name)
        """
    )
    assert out == "fullduplex.client fullduplex.client\n"


def test_submodules_are_reachable_as_attributes() -> None:
    out = program(
        """
        import websockets
        print(websockets.legacy.__name__, websockets.asyncio.client.connect is
              websockets.connect, websockets.http.Headers is websockets.Headers)
        """
    )
    assert out == "fullduplex.legacy True True\n"


def test_versions_are_those_of_each_package() -> None:
    out = program(
        """
        import importlib.metadata as metadata
        import websockets
        from websockets.version import tag, version
        from websockets import version as module
        import websockets.version
        assert module is websockets.version
        print(websockets.__version__, version, tag, metadata.version("websockets"))
        assert fullduplex.__version__ == fullduplex.version.version != version
        assert metadata.version("fullduplex") == fullduplex.__version__
        assert metadata.distribution("websockets").metadata["Name"] == "websockets"
        """
    )
    assert out == "17.4 17.4 17.4 17.4\n"


def test_star_import_gives_the_public_names() -> None:
    out = program("from websockets import *; print(connect is fullduplex.connect)")
    assert out == "True\n"


def test_unknown_names_are_errors_that_name_them() -> None:
    out = program(
        """
        try:
            import websockets.nonsense
        except ModuleNotFoundError as exc:
            print(exc.name)
        import websockets
        try:
            websockets.nonsense
        except AttributeError as exc:
            print(exc)
        """
    )
    assert out.splitlines() == [
        "websockets.nonsense",
        "module 'fullduplex' has no attribute 'nonsense'",
    ]


def test_deprecated_names_warn_at_the_line_of_the_program(tmp_path: Path) -> None:
    script = tmp_path / "old.py"
    script.write_text(
        "import warnings\n"
        "with warnings.catch_warnings(record=True) as caught:\n"
        "    warnings.simplefilter('always')\n"
        "    from websockets import parse_uri\n"
        "    from websockets.legacy.client import connect\n"
        "    connect('ws://h/', timeout=3)\n"
        "print([(item.lineno, item.filename == __file__) for item in caught])\n"
    )
    done = run("-m", "fullduplex.as_websockets", str(script))
    assert done.stdout == "[(4, True), (5, True), (6, True)]\n"


def test_loggers_of_websockets_configure_ours() -> None:
    out = program(
        """
        import logging
        from websockets.client import connect
        theirs = logging.getLogger("websockets.client")
        seen = []
        handler = logging.Handler()
        handler.emit = lambda record: seen.append(record.getMessage())
        logging.getLogger("fullduplex").addHandler(handler)
        theirs.addFilter(lambda record: "secret" not in record.getMessage())

        def logger():
            return connect("ws://localhost/").logger

        assert logger() is theirs
        assert not logger().isEnabledFor(logging.DEBUG)
        theirs.setLevel(logging.DEBUG)
        logger().debug("heard")
        logger().debug("secret")
        theirs.disabled = True
        logger().debug("not heard")
        theirs.disabled = False
        from fullduplex.as_websockets import uninstall
        uninstall()
        assert logger().name == "fullduplex.client"
        assert logging.getLogger("websockets").parent is logging.getLogger()
        print(seen)
        """
    )
    assert out == "['heard']\n"


@pytest.mark.parametrize("alias", [True, False])
def test_configuration_of_logging_after_the_import_silences_nothing(
    alias: bool,
) -> None:
    head = "import fullduplex; fullduplex.install_as_websockets()\n" if alias else ""
    name = "websockets" if alias else "fullduplex"
    code = f"""
        import logging.config
        import {name}, {name}.sync.client, {name}.server, {name}.asyncio.server
        from {name} import connect, serve
        from {name}.client import ClientProtocol
        from {name}.uri import parse_uri
        logging.config.dictConfig(
            {{"version": 1, "root": {{"level": "INFO", "handlers": []}}}}
        )
        uri = "ws://localhost/"
        for logger in (
            connect(uri).logger,
            ClientProtocol(parse_uri(uri)).logger,
            {name}.sync.client.reconnect(uri).logger,
            serve(lambda ws: None)._server.logger,
        ):
            print(logger.name, logger.isEnabledFor(logging.INFO))
        """
    lines = run("-c", head + textwrap.dedent(code)).stdout.splitlines()
    assert lines == [
        *[f"{name}.client True"] * 3,
        f"{name}.server True",
    ]


def test_install_when_websockets_was_imported_is_refused(tmp_path: Path) -> None:
    (tmp_path / "websockets.py").write_text("connect = 1\n")
    code = (
        "import sys, websockets, fullduplex\n"
        "before = list(sys.meta_path)\n"
        "try:\n"
        "    fullduplex.install_as_websockets()\n"
        "except RuntimeError as exc:\n"
        "    print(exc)\n"
        "assert sys.meta_path == before and websockets.connect == 1\n"
    )
    done = run("-c", code, cwd=tmp_path)
    assert "websockets was imported already, from " in done.stdout
    assert str(tmp_path) in done.stdout


def test_install_twice_and_uninstall_leave_no_trace(tmp_path: Path) -> None:
    (tmp_path / "websockets.py").write_text("connect = 1\n")
    code = (
        "import sys, fullduplex\n"
        "from fullduplex.as_websockets import is_installed, uninstall\n"
        "before = list(sys.meta_path)\n"
        "uninstall()\n"
        "assert not is_installed()\n"
        "fullduplex.install_as_websockets()\n"
        "fullduplex.install_as_websockets()\n"
        "assert is_installed() and len(sys.meta_path) == len(before) + 1\n"
        "import websockets, websockets.client\n"
        "assert websockets.connect is fullduplex.connect\n"
        "uninstall()\n"
        "assert sys.meta_path == before\n"
        "assert not [n for n in sys.modules if n.split('.')[0] == 'websockets']\n"
        "import websockets\n"
        "assert websockets.connect == 1\n"
        "assert fullduplex.client.connect is fullduplex.connect\n"
    )
    run("-c", code, cwd=tmp_path)


def test_script_runs_as_if_python_ran_it(tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text("import websockets\nname = websockets.serve\n")
    script = tmp_path / "script.py"
    script.write_text(
        "import sys, websockets, helper, fullduplex\n"
        "assert __name__ == '__main__' and __file__ == sys.argv[0]\n"
        "assert helper.name is fullduplex.serve\n"
        "print(sys.argv[1:], websockets.__version__)\n"
        "sys.exit(3)\n"
    )
    done = run("-m", "fullduplex.as_websockets", str(script), "-x", "y", check=False)
    assert done.stdout == "['-x', 'y'] 17.4\n"
    assert done.returncode == 3


def test_module_runs_as_if_python_ran_it(tmp_path: Path) -> None:
    package = tmp_path / "tool"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "__main__.py").write_text(
        "import sys, websockets\nprint(sys.argv[1:], websockets.__version__)\n"
    )
    done = run("-m", "fullduplex.as_websockets", "-m", "tool", "a", cwd=tmp_path)
    assert done.stdout == "['a'] 17.4\n"


def test_module_websockets_runs_the_command_line() -> None:
    pytest.importorskip("click")
    done = run("-m", "fullduplex.as_websockets", "-m", "websockets", "--version")
    assert done.stdout.startswith("fullduplex ")


@pytest.mark.parametrize("arguments", [(), ("-m",), ("--what",)])
def test_command_without_a_program_tells_how_to_use_it(arguments: tuple[str]) -> None:
    done = run("-m", "fullduplex.as_websockets", *arguments, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: ")
    assert run("-m", "fullduplex.as_websockets", "--help").stdout.startswith("usage: ")


def test_command_when_the_program_fails_shows_its_traceback(tmp_path: Path) -> None:
    script = tmp_path / "broken.py"
    script.write_text("import websockets\nwebsockets.nonsense\n")
    done = run("-m", "fullduplex.as_websockets", str(script), check=False)
    assert done.returncode == 1
    assert "broken.py" in done.stderr
    assert "no attribute 'nonsense'" in done.stderr
