"""Connect through a proxy with websockets-proxy: ``proxy_client.py URL PROXY``."""

import asyncio
import sys

import websockets
from websockets_proxy import Proxy, proxy_connect


async def main(url: str, address: str) -> None:
    print(websockets.__file__, websockets.__version__)
    proxy = Proxy.from_url(address)
    ws = await proxy_connect(url, proxy=proxy, proxy_conn_timeout=5)
    await ws.send("await")
    print(await ws.recv())
    await ws.close()
    async with proxy_connect(url, proxy=proxy) as ws:
        await ws.send("async with")
        print(await ws.recv())
    count = 0
    async for ws in proxy_connect(url, proxy=proxy):
        await ws.send(f"async for {count}")
        print(await ws.recv())
        count += 1
        if count == 2:
            break


asyncio.run(main(*sys.argv[1:]))
