"""Methods that subclasses overrode in older libraries and that nothing calls here.

A subclass that has one would work, but without what its author put there, such as
a check of credentials.  So it is refused when the class is made.
"""

from __future__ import annotations

from collections.abc import Mapping

# Methods that asyncio, or the tasks of a connection, call in websockets.
TOLD = "what it would be told goes to the connection's driver; read stats, or log"
READ = "override recv, which iteration calls too"
WRITE = "override send, ping or close"
TASK = "there is no task of that kind; override recv, or use wait_closed"
STEPS = {
    "data_received": TOLD,
    "eof_received": TOLD,
    "pause_writing": TOLD,
    "resume_writing": TOLD,
    "read_message": READ,
    "read_data_frame": READ,
    "read_frame": READ,
    "recv_events": READ,
    "process_event": READ,
    "write_frame": WRITE,
    "write_frame_sync": WRITE,
    "write_close_frame": WRITE,
    "send_context": WRITE,
    "transfer_data": TASK,
    "close_connection": TASK,
    "keepalive_ping": TASK,
    "start_keepalive": TASK,
    "acknowledge_pings": TOLD,
    "terminate_pending_pings": TOLD,
    "set_connection_exc": TOLD,
}
CLIENT_STEPS = {
    **STEPS,
    "handshake": (
        "override process_extensions or process_subprotocol, and read the attributes "
        "request and response afterwards"
    ),
    "read_http_response": (
        "read the attribute response, or that of the InvalidStatus which connect() "
        "raises"
    ),
    "write_http_request": "give extra_headers to connect()",
}
# Methods of ``connect`` that open the socket in websockets 14 and later.
SOCKET = "give sock= (on trio, stream=) to connect(), or override __await__"
CONNECT_STEPS = {
    "create_connection": SOCKET,
    "open_tcp_connection": SOCKET,
}
SERVER_STEPS = {
    **STEPS,
    "handshake": "override process_request, or give process_response to serve()",
    "read_http_request": "override process_request, which gets path and headers",
    "write_http_response": "give process_response to serve()",
}


def refuse_overrides(cls: type, steps: Mapping[str, str]) -> None:
    """
    Refuse a class that overrides what nothing calls here.

    Args:
        cls: the class that is being made.
        steps: names of methods, and what to do instead.

    Raises:
        TypeError: naming the method and what takes its place.
    """
    for name, instead in steps.items():
        owner = next((base for base in cls.__mro__ if name in vars(base)), None)
        # Some are methods of ours that only a foreign transport calls.
        if owner is not None and not is_ours(owner) and callable(vars(owner)[name]):
            raise TypeError(
                f"{cls.__qualname__} overrides {name}(), which is never called; "
                f"instead, {instead}"
            )


def overridden(instance: object, name: str, own: object) -> bool:
    """
    Tell whether a shortcut past a method would pass what somebody put in its place.

    Args:
        instance: the class of the method.
        name: of the method.
        own: the function of the class that has the shortcut, as it was defined; what
            the class holds now may be a patch.

    Returns:
        True if a subclass, a patch of a class or an attribute of `instance` counts.
    """
    return getattr(type(instance), name) is not own or name in vars(instance)


def is_ours(cls: type) -> bool:
    """Whether a class is part of the library."""
    return cls.__module__.partition(".")[0] == __name__.partition(".")[0]
