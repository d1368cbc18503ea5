"""fullduplex, its trio client."""

from __future__ import annotations

from importlib import metadata

from fullduplex.trio import connect  # type: ignore[import-not-found, unused-ignore]

from . import Target
from ._trio_api import Connection, enter


def version() -> str:
    return metadata.version("fullduplex")


async def open(target: Target) -> Connection:
    return await enter(connect, target)
