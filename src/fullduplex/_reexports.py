"""Names that modules of websockets have because they import them from others.

Programs import a name from the module where they met it, not always from the one
that defines it.  `imports.reexport` finds these names when they are first used.
"""

from __future__ import annotations

__all__ = ["HOMES", "NAMES", "place_of"]

# Names by the module that has them.
HOMES = {
    ".core.handshake.errors": (
        "AbortHandshake InvalidProxyMessage InvalidProxyStatus InvalidStatus "
        "InvalidStatusCode ProxyError RedirectHandshake"
    ),
    ".core.errors": (
        "ConcurrencyError DuplicateParameter HeaderLineTooLong InvalidHandshake "
        "InvalidHeader InvalidHeaderFormat InvalidHeaderValue InvalidMessage "
        "InvalidMethod InvalidOrigin InvalidParameterName InvalidParameterValue "
        "InvalidProtocol InvalidProxy InvalidState InvalidURI InvalidUpgrade "
        "NegotiationError PayloadTooBig ProtocolError RequestLineTooLong "
        "SecurityError StatusLineTooLong TooManyFragments TooManyHeaders"
    ),
    ".core.frames.close": (
        "CLOSE_CODES Close CloseCode ConnectionClosed ConnectionClosedError "
        "ConnectionClosedOK OK_CLOSE_CODES State"
    ),
    ".protocol": "CLIENT CLOSED CONNECTING OPEN SERVER",
    ".sansio.protocol": "Protocol",
    ".sansio.client": "ClientProtocol",
    ".sansio.server": "ServerProtocol",
    ".sansio.streams": "StreamReader",
    ".core.frames.opcode": (
        "BINARY CLOSE CONT CTRL_OPCODES DATA_OPCODES OP_BINARY OP_CLOSE OP_CONT "
        "OP_PING OP_PONG OP_TEXT Opcode PING PONG TEXT"
    ),
    ".core.frames.frame": "Extension Frame prepare_ctrl prepare_data",
    ".core.typing": (
        "BytesLike ConnectionOption Data DataLike ExtensionHeader ExtensionName "
        "ExtensionParameter LoggerLike Origin StatusLike Subprotocol UpgradeProtocol"
    ),
    ".core.http.headers": "Headers HeadersLike MultipleValuesError",
    ".core.http.messages": (
        "MAX_LINE_LENGTH MAX_NUM_HEADERS Request Response USER_AGENT"
    ),
    ".core.http.grammar": (
        "build_authorization_basic build_extension build_host build_subprotocol "
        "build_www_authenticate_basic parse_authorization_basic parse_connection "
        "parse_extension parse_subprotocol parse_upgrade validate_subprotocols"
    ),
    ".core.extensions.base": "ClientExtensionFactory ServerExtensionFactory",
    ".core.extensions.permessage_deflate": (
        "enable_client_permessage_deflate enable_server_permessage_deflate"
    ),
    ".core.uri": "WebSocketURI parse_uri",
    ".core.client.proxy.address": "Proxy parse_proxy",
    ".core.client.proxy.selection": "get_proxy",
    ".core.client.backoff": (
        "BACKOFF_FACTOR BACKOFF_INITIAL_DELAY BACKOFF_MAX_DELAY BACKOFF_MIN_DELAY "
        "backoff"
    ),
    ".utils": "accept_key apply_mask generate_key get_socket_name",
    ".imports": "lazy_import",
    ".http": "PYTHON_VERSION",
    ".legacy._types": "HTTPResponse HeadersLikeOrCallable",
    ".legacy._frames": "parse_close serialize_close",
    ".legacy._handshake": "build_request build_response check_request check_response",
    ".legacy._http": "d read_headers read_line read_request read_response",
    ".legacy._auth": "is_credentials",
    ".legacy._console": "print_during_input print_over_input",
    ".legacy._utf8": "is_utf8_fragment",
}

# For each module its names; behind ``=`` stands the place of one that means
# something else there, as `imports.lazy_import` reads it.
NAMES = {
    "asyncio.client": (
        "CONNECTING ClientExtensionFactory ClientProtocol "
        "Connection=.asyncio.connection Headers HeadersLike InvalidMessage "
        "InvalidProxyMessage InvalidProxyStatus InvalidStatus LoggerLike Origin Proxy "
        "ProxyError Response SecurityError StreamReader Subprotocol USER_AGENT "
        "WebSocketURI build_authorization_basic build_host "
        "enable_client_permessage_deflate get_proxy parse_proxy parse_uri "
        "validate_subprotocols"
    ),
    "asyncio.connection": (
        "BytesLike CLOSED CloseCode ConcurrencyError ConnectionClosed "
        "ConnectionClosedOK DATA_OPCODES Data DataLike Frame LoggerLike OPEN Opcode "
        "PONG Protocol ProtocolError Request Response State Subprotocol "
        "TooManyFragments broadcast=.asyncio.broadcast"
    ),
    "asyncio.router": (
        "Request Response Server=.asyncio._server "
        "ServerConnection=.asyncio._server_connection"
    ),
    "asyncio.server": (
        "CONNECTING CloseCode Connection=.asyncio.connection InvalidHeader LoggerLike "
        "OPEN Origin Request Response SERVER ServerExtensionFactory ServerProtocol "
        "StatusLike Subprotocol build_www_authenticate_basic "
        "enable_server_permessage_deflate get_socket_name is_credentials "
        "parse_authorization_basic validate_subprotocols"
    ),
    "cli": (
        "ClientConnection=.asyncio.client Close ConnectionClosed StreamReader "
        "connect=.asyncio.client print_during_input print_over_input"
    ),
    "client": (
        "BACKOFF_FACTOR BACKOFF_INITIAL_DELAY BACKOFF_MAX_DELAY BACKOFF_MIN_DELAY "
        "CLIENT CONNECTING ClientExtensionFactory Connection=.legacy.sansio "
        "ConnectionOption Extension ExtensionHeader Headers HeadersLike "
        "InvalidHandshake InvalidHeader InvalidHeaderValue InvalidMessage "
        "InvalidStatus InvalidStatusCode InvalidUpgrade LoggerLike "
        "MultipleValuesError NegotiationError OPEN Origin Protocol Request Response "
        "State StatusLineTooLong Subprotocol USER_AGENT UpgradeProtocol WebSocketURI "
        "accept_key build_authorization_basic build_extension build_host "
        "build_subprotocol generate_key lazy_import parse_connection parse_extension "
        "parse_subprotocol parse_upgrade parse_uri"
    ),
    "connection": (
        "Close ConnectionClosed ConnectionClosedError ConnectionClosedOK Extension "
        "Frame InvalidState LoggerLike OK_CLOSE_CODES OP_BINARY OP_CLOSE OP_CONT "
        "OP_PING OP_PONG OP_TEXT Origin PayloadTooBig ProtocolError Request Response "
        "StreamReader Subprotocol parse_close serialize_close"
    ),
    "datastructures": "InvalidHeaderValue",
    "exceptions": "CLOSE_CODES Headers HeadersLike StatusLike lazy_import",
    "extensions.base": "ExtensionName ExtensionParameter Frame",
    "extensions.permessage_deflate": (
        "BytesLike CONT CTRL_OPCODES ClientExtensionFactory DuplicateParameter "
        "Extension ExtensionName ExtensionParameter Frame InvalidParameterName "
        "InvalidParameterValue NegotiationError OP_CONT PayloadTooBig ProtocolError "
        "ServerExtensionFactory"
    ),
    "frames": (
        "BytesLike Data PayloadTooBig ProtocolError is_utf8_fragment parse_close "
        "serialize_close"
    ),
    "headers": (
        "ConnectionOption ExtensionHeader ExtensionName ExtensionParameter "
        "InvalidHeaderFormat InvalidHeaderValue Subprotocol UpgradeProtocol "
        "parse_connection_option=.core.http.grammar:parse_token "
        "parse_extension_item=.core.http.grammar "
        "parse_extension_item_param=.core.http.grammar "
        "parse_subprotocol_item=.core.http.grammar:parse_token "
        "parse_token=.core.http.grammar parse_upgrade_protocol=.core.http.grammar"
    ),
    "http": "build_host lazy_import",
    "http11": (
        "HeaderLineTooLong Headers PYTHON_VERSION RequestLineTooLong SecurityError "
        "StatusLineTooLong TooManyHeaders"
    ),
    "legacy.auth": (
        "HTTPResponse Headers InvalidHeader WebSocketServerProtocol=.asyncio.server "
        "build_www_authenticate_basic is_credentials parse_authorization_basic"
    ),
    "legacy.client": (
        "ClientExtensionFactory Extension ExtensionHeader Headers HeadersLike "
        "InvalidHandshake InvalidHeader InvalidHeaderValue InvalidMessage "
        "InvalidStatusCode LoggerLike NegotiationError Origin RedirectHandshake "
        "SecurityError Subprotocol USER_AGENT "
        "WebSocketCommonProtocol=.asyncio.connection:Connection WebSocketURI "
        "build_authorization_basic build_extension build_host build_request "
        "build_subprotocol check_response enable_client_permessage_deflate "
        "parse_extension parse_subprotocol parse_uri read_response "
        "validate_subprotocols"
    ),
    "legacy.exceptions": (
        "InvalidHandshake StatusLike WebSocketProtocolError=.core.errors:ProtocolError"
    ),
    "legacy.framing": (
        "BytesLike Close Data DataLike NewFrame=.core.frames.frame:Frame Opcode "
        "PayloadTooBig ProtocolError apply_mask"
    ),
    "legacy.handshake": (
        "ConnectionOption Headers InvalidHeader InvalidHeaderValue InvalidUpgrade "
        "MultipleValuesError UpgradeProtocol accept=.utils:accept_key generate_key "
        "parse_connection parse_upgrade"
    ),
    "legacy.http": (
        "Headers MAX_LINE_LENGTH MAX_NUM_HEADERS SecurityError d read_headers read_line"
    ),
    "legacy.protocol": (
        "BytesLike Close CloseCode ConnectionClosed ConnectionClosedError "
        "ConnectionClosedOK Data DataLike Extension Frame Headers InvalidState "
        "LoggerLike OK_CLOSE_CODES OP_BINARY OP_CLOSE OP_CONT OP_PING OP_PONG OP_TEXT "
        "Opcode PayloadTooBig ProtocolError State Subprotocol TooManyFragments "
        "parse_close prepare_ctrl prepare_data serialize_close"
    ),
    "legacy.server": (
        "AbortHandshake Extension ExtensionHeader Headers HeadersLike "
        "InvalidHandshake InvalidHeader InvalidMessage InvalidOrigin InvalidUpgrade "
        "LoggerLike MultipleValuesError NegotiationError Origin "
        "SERVER=.core.http.messages ServerExtensionFactory State StatusLike "
        "Subprotocol USER_AGENT WebSocketCommonProtocol=.asyncio.connection:Connection "
        "build_extension build_response check_request "
        "enable_server_permessage_deflate parse_extension parse_subprotocol "
        "read_request remove_path_argument=.core.server.hook_forms:adapt_handler "
        "validate_subprotocols"
    ),
    "protocol": (
        "BINARY BytesLike CLOSE CONT Close CloseCode ConnectionClosed "
        "ConnectionClosedError ConnectionClosedOK Extension Frame InvalidState "
        "LoggerLike OK_CLOSE_CODES OP_BINARY OP_CLOSE OP_CONT OP_PING OP_PONG OP_TEXT "
        "Origin PING PONG PayloadTooBig ProtocolError Request Response StreamReader "
        "Subprotocol TEXT"
    ),
    "proxy": (
        "Headers InvalidProxy USER_AGENT WebSocketURI build_authorization_basic "
        "build_host"
    ),
    "server": (
        "CONNECTING Connection=.legacy.sansio ConnectionOption Extension "
        "ExtensionHeader HeaderLineTooLong Headers HeadersLike HeadersLikeOrCallable "
        "InvalidHandshake InvalidHeader InvalidHeaderValue InvalidMessage "
        "InvalidMethod InvalidOrigin InvalidProtocol InvalidStatus InvalidUpgrade "
        "LoggerLike MultipleValuesError NegotiationError OPEN Origin Protocol Request "
        "RequestLineTooLong Response SERVER ServerExtensionFactory State StatusLike "
        "Subprotocol TooManyHeaders USER_AGENT UpgradeProtocol accept_key "
        "build_extension lazy_import parse_connection parse_extension "
        "parse_subprotocol parse_upgrade"
    ),
    "sync.client": (
        "BytesLike CONNECTING ClientExtensionFactory ClientProtocol "
        "Connection=.sync.connection Headers HeadersLike InvalidProxyMessage "
        "InvalidProxyStatus InvalidStatus LoggerLike OPEN Origin Proxy ProxyError "
        "Response SecurityError StreamReader Subprotocol USER_AGENT WebSocketURI "
        "backoff build_authorization_basic build_host "
        "enable_client_permessage_deflate get_proxy parse_proxy parse_uri "
        "validate_subprotocols"
    ),
    "sync.connection": (
        "BytesLike CLOSED CloseCode ConcurrencyError ConnectionClosed "
        "ConnectionClosedOK DATA_OPCODES Data DataLike Frame LoggerLike OPEN Opcode "
        "PONG Protocol ProtocolError Request Response State Subprotocol "
        "TooManyFragments broadcast=.sync._broadcast prepare_ctrl"
    ),
    "sync.router": "Request Response",
    "sync.server": (
        "CONNECTING CloseCode Connection=.sync.connection InvalidHeader LoggerLike "
        "OPEN Origin Request Response SERVER ServerExtensionFactory ServerProtocol "
        "StatusLike Subprotocol USER_AGENT WebSocketServer=.sync._server:Server "
        "build_www_authenticate_basic enable_server_permessage_deflate "
        "get_socket_name is_credentials parse_authorization_basic "
        "validate_subprotocols"
    ),
    "trio.client": (
        "CONNECTING ClientExtensionFactory ClientProtocol Connection=.trio.connection "
        "Headers HeadersLike InvalidProxyMessage InvalidProxyStatus InvalidStatus "
        "LoggerLike Origin Proxy ProxyError Response SecurityError StreamReader "
        "Subprotocol USER_AGENT WebSocketURI backoff enable_client_permessage_deflate "
        "get_proxy parse_proxy parse_uri validate_subprotocols"
    ),
    "trio.connection": (
        "BytesLike CLOSED CloseCode ConcurrencyError ConnectionClosed "
        "ConnectionClosedOK DATA_OPCODES Data DataLike Frame LoggerLike OPEN PONG "
        "Protocol ProtocolError Request Response State Subprotocol TooManyFragments "
        "broadcast=.trio.broadcast"
    ),
    "trio.router": "Request Response ServerConnection=.trio._server_connection",
    "trio.server": (
        "CONNECTING CloseCode Connection=.trio.connection LoggerLike OPEN Origin "
        "Request Response SERVER ServerExtensionFactory ServerProtocol StatusLike "
        "Subprotocol enable_server_permessage_deflate get_socket_name "
        "validate_subprotocols"
    ),
    "uri": "InvalidProxy InvalidURI Proxy get_proxy parse_proxy",
    "utils": "BytesLike",
}

_HOME_OF = {name: home for home, names in HOMES.items() for name in names.split()}


def place_of(module: str, name: str) -> str | None:
    """
    Return where a name is that a module of websockets imports.

    Args:
        module: path of the module, without the package.
        name: name to find.

    Returns:
        A module, relative to the package; behind a colon the name that it has there,
        if that is another.  None if the module has no such name.
    """
    for entry in NAMES.get(module, "").split():
        found, marked, place = entry.partition("=")
        if found == name:
            return place if marked else _HOME_OF[name]
    return None
