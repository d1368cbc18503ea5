"""WebSocket without I/O: bytes in, events and bytes out.

For programs that bring their own network code.  Nothing here waits, opens a socket
or starts a timer.  The public path of these classes is `fullduplex.protocol`, and
`fullduplex.client` and `fullduplex.server` for the two sides.

    protocol = ClientProtocol(parse_uri("wss://example.com/"))
    protocol.send_request(protocol.connect())
    while ...:
        for data in protocol.data_to_send():
            ...                       # write it; b"" says to close that half of TCP
        protocol.receive_data(...)    # or receive_eof()
        for event in protocol.events_received():
            ...                       # a Response, then Frames
"""

from __future__ import annotations
