"""Types for annotations; see `fullduplex.core.typing`."""

from __future__ import annotations

from .core.typing import (
    BytesLike,
    ConnectionOption,
    Data,
    DataLike,
    ExtensionHeader,
    ExtensionName,
    ExtensionParameter,
    LoggerLike,
    Origin,
    PathLike,
    StatusLike,
    Subprotocol,
    UpgradeProtocol,
)

__all__ = [
    "BytesLike",
    "ConnectionOption",
    "Data",
    "DataLike",
    "ExtensionHeader",
    "ExtensionName",
    "ExtensionParameter",
    "LoggerLike",
    "Origin",
    "PathLike",
    "StatusLike",
    "Subprotocol",
    "UpgradeProtocol",
]
