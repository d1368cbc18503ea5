"""The grammar of headers; see `fullduplex.core.http.grammar`."""

from __future__ import annotations

from .core.http.grammar import (
    build_authorization_basic,
    build_extension,
    build_extension_list,
    build_host,
    build_subprotocol,
    build_subprotocol_list,
    build_www_authenticate_basic,
    parse_authorization_basic,
    parse_connection,
    parse_extension,
    parse_extension_list,
    parse_subprotocol,
    parse_subprotocol_list,
    parse_upgrade,
    validate_subprotocols,
)
from .imports import reexport

__all__ = [
    "build_authorization_basic",
    "build_extension",
    "build_extension_list",
    "build_host",
    "build_subprotocol",
    "build_subprotocol_list",
    "build_www_authenticate_basic",
    "parse_authorization_basic",
    "parse_connection",
    "parse_extension",
    "parse_extension_list",
    "parse_subprotocol",
    "parse_subprotocol_list",
    "parse_upgrade",
    "validate_subprotocols",
]

reexport(globals())
