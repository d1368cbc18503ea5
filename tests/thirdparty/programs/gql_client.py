"""A client of GraphQL over WebSocket: ``gql_client.py URL``."""

import asyncio
import sys

import websockets
from gql import Client, gql
from gql.transport.exceptions import TransportConnectionFailed
from gql.transport.websockets import WebsocketsTransport

QUERY = gql("query { hello }")
COUNTDOWN = gql("subscription { countdown(from: 5) }")


async def main(url: str) -> None:
    print(websockets.__file__, websockets.__version__)
    for name in ("graphql-transport-ws", "graphql-ws"):
        transport = WebsocketsTransport(
            url=url,
            subprotocols=[name],
            init_payload={"token": "secret"},
            headers={"X-Client": "gql"},
            ping_interval=0.1 if name == "graphql-transport-ws" else None,
            connect_args={"max_size": 2_000_000},
        )
        async with Client(transport=transport) as session:
            print(name, await session.execute(QUERY))
            async for result in session.subscribe(COUNTDOWN):
                print(result)
            both = await asyncio.gather(session.execute(QUERY), session.execute(QUERY))
            print(len(both))
    refused = WebsocketsTransport(url=url + "/refused")
    try:
        async with Client(transport=refused):
            pass
    except TransportConnectionFailed as exc:
        print("refused", exc.__cause__)


asyncio.run(main(sys.argv[1]))
