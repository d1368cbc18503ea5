"""fullduplex, its blocking client."""

from __future__ import annotations

from importlib import metadata

from fullduplex.sync import connect  # type: ignore[import-not-found, unused-ignore]

from . import Target
from ._blocking_api import Connection
from ._websockets_api import options


def version() -> str:
    return metadata.version("fullduplex")


async def open(target: Target) -> Connection:
    return Connection(connect(target.uri, **options(target)))
