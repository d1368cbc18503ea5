"""Finds or builds the Python 2.7 environment in which the Autobahn testsuite runs.

The testsuite was never ported to Python 3.  Current versions of virtualenv cannot
make a 2.7 environment either, so an old one is installed in a throw-away Python 3
environment, used once and removed.  The result is kept in ``.py27/``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".py27"

VIRTUALENV = "virtualenv==20.15.1"  # the newest that still makes 2.7 environments
TESTSUITE_VERSION = "25.10.1"
TESTSUITE = f"autobahntestsuite=={TESTSUITE_VERSION}"

NO_PYTHON27 = """\
The Autobahn testsuite needs Python 2.7, and no python2.7 was found: neither on PATH
nor through pyenv (pyenv install 2.7.18).

The published container image carries its own.  To test the client, in two terminals:

    docker run --rm -it -p 127.0.0.1:9001:9001 \\
        -v "$PWD/conformance:/config:ro" -v "$PWD/reports:/reports" \\
        crossbario/autobahn-testsuite \\
        wstest -m fuzzingserver -s /config/fuzzingserver.json

    python -m conformance --url ws://127.0.0.1:9001

To test the server, in two terminals:

    FULLDUPLEX_IMPL=compiled python -m conformance.testee server 9002

    docker run --rm -it --network host \\
        -v "$PWD/conformance:/config:ro" -v "$PWD/reports:/reports" \\
        crossbario/autobahn-testsuite \\
        wstest -m fuzzingclient -s /config/fuzzingclient.json
"""


class MissingPython27(Exception):
    """No Python 2.7 on this machine; the text tells how to do without."""


def wstest() -> Path:
    """
    Return the path of ``wstest``, building its environment when there is none.

    An environment that is broken or holds another version is built again.

    Raises:
        MissingPython27: nothing was built.
        subprocess.CalledProcessError: an installer failed; its output was shown.
            The next call starts afresh.
    """
    command = ENVIRONMENT / "bin" / "wstest"
    if not _works(command):
        _build(_python27())
    return command


def _works(command: Path) -> bool:
    try:
        done = subprocess.run(
            [command, "--autobahnversion"], capture_output=True, text=True, timeout=60
        )
    except OSError:
        return False
    return done.returncode == 0 and TESTSUITE_VERSION in done.stdout.split()


def _python27() -> str:
    """Return the path of a Python 2.7 that starts; a pyenv shim alone may not."""
    candidates = [["python2.7"], ["python2"]]
    if shutil.which("pyenv"):
        listed = subprocess.run(
            ["pyenv", "versions", "--bare"], capture_output=True, text=True
        )
        versions = [v for v in listed.stdout.split() if v.startswith("2.7")]
        candidates += [["pyenv", "exec", "python2.7", v] for v in reversed(versions)]
    for candidate in candidates:
        environ = dict(os.environ)
        if candidate[0] == "pyenv":
            environ["PYENV_VERSION"] = candidate.pop()
        question = "import sys; print('%d.%d ' % sys.version_info[:2] + sys.executable)"
        try:
            done = subprocess.run(
                [*candidate, "-c", question],
                env=environ,
                capture_output=True,
                text=True,
            )
        except OSError:
            continue
        version, _, path = done.stdout.strip().partition(" ")
        if done.returncode == 0 and version == "2.7":
            return path
    raise MissingPython27(NO_PYTHON27)


def _build(python27: str) -> None:
    print(f"building {ENVIRONMENT.name}/ with {TESTSUITE}, once", flush=True)
    shutil.rmtree(ENVIRONMENT, ignore_errors=True)
    try:
        with tempfile.TemporaryDirectory(prefix="virtualenv-") as folder:
            venv.create(folder, with_pip=True)
            python = Path(folder) / "bin" / "python"
            _run(python, "-m", "pip", "install", VIRTUALENV)
            _run(python, "-m", "virtualenv", "-p", python27, ENVIRONMENT)
        _run(ENVIRONMENT / "bin" / "python", "-m", "pip", "install", TESTSUITE)
    except BaseException:
        shutil.rmtree(ENVIRONMENT, ignore_errors=True)
        raise


def _run(*command: str | Path) -> None:
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode:
        print(done.stdout, file=sys.stderr)
        done.check_returncode()
