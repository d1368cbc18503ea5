"""curl asks for the upgrade by hand and shows what our server answers."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
from asyncio.subprocess import PIPE
from typing import Any

import pytest

from fullduplex import serve

pytestmark = pytest.mark.interop

# RFC 6455, 1.3.
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

OLDEST = (7, 88)


def reason_to_skip() -> str:
    curl = shutil.which("curl")
    if curl is None:
        return "curl is not installed"
    done = subprocess.run([curl, "--version"], capture_output=True, text=True)
    found = re.match(r"curl (\d+)\.(\d+)", done.stdout)
    if found is None:
        return "curl does not tell its version"
    version = (int(found[1]), int(found[2]))
    if version < OLDEST:
        return f"curl is {version[0]}.{version[1]}; needed is {OLDEST[0]}.{OLDEST[1]}"
    return ""


async def test_curl_is_upgraded_and_gets_the_first_frame() -> None:
    if reason := reason_to_skip():
        pytest.skip(reason)

    async def handler(connection: Any) -> None:
        await connection.send("first")
        await connection.wait_closed()

    headers = (
        "Connection: Upgrade",
        "Upgrade: websocket",
        f"Sec-WebSocket-Key: {KEY}",
        "Sec-WebSocket-Version: 13",
    )
    async with serve(handler, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        process = await asyncio.create_subprocess_exec(
            *("curl", "--http1.1", "-i", "-N", "--silent", "--show-error"),
            *("--max-time", "30", "--noproxy", "*"),
            *(part for header in headers for part in ("-H", header)),
            f"http://127.0.0.1:{port}/",
            stdout=PIPE,
        )
        assert process.stdout is not None
        try:
            head = (await process.stdout.readuntil(b"\r\n\r\n")).decode()
            frame = await process.stdout.readexactly(7)
        finally:
            if process.returncode is None:
                process.terminate()
            await process.communicate()
    status, *lines = head.splitlines()
    assert status == "HTTP/1.1 101 Switching Protocols"
    assert f"Sec-WebSocket-Accept: {ACCEPT}" in lines
    assert "Upgrade: websocket" in lines
    assert "Connection: Upgrade" in lines
    assert frame == b"\x81\x05first"
