"""Ask a chain with async-substrate-interface: ``substrate_client.py URL``."""

import asyncio
import logging
import sys
from typing import Any

import websockets
from async_substrate_interface.async_substrate import Websocket
from async_substrate_interface.sync_substrate import SubstrateInterface

logging.basicConfig(level=logging.ERROR)


async def ask(socket: Websocket, method: str) -> Any:
    request = await socket.send({"jsonrpc": "2.0", "method": method, "params": []})
    async with asyncio.timeout(20):
        while (answer := await socket.retrieve(request)) is None:
            await asyncio.sleep(0.01)
    return answer["result"]


async def main(url: str) -> None:
    # It waits a second after each connection that it gives up.
    async with Websocket(url, retry_timeout=0.5, shutdown_timer=None) as socket:
        print(await ask(socket, "system_chain"))
        # The server is silent; the request is sent again over another connection.
        first = socket.ws
        print(await ask(socket, "silence"))
        assert first is not None
        print(socket.ws is first, first.protocol.close_sent.code)
        # The server leaves without a word.
        print(await ask(socket, "leave"))
        await socket.shutdown()


def blocking(url: str) -> None:
    substrate = SubstrateInterface(url, retry_timeout=0.5, _mock=True)
    substrate.ws = substrate.connect(init=True)
    for method in ("system_chain", "leave", "silence"):
        print(substrate.rpc_request(method, [])["result"])
    substrate.close()


print(websockets.__file__, websockets.__version__)
asyncio.run(main(sys.argv[1]))
blocking(f"{sys.argv[1]}blocking")
print("done")
