"""Core: everything about WebSocket that needs no I/O and no clock.

Not for import by programs.  The packages in reading order; each imports only those
above it.

kernels      masks, UTF-8 and zlib in C, with pure-Python twins
wire         bytes to frames and back: `FrameReader`, `FrameWriter`, `MessageQueue`
frames       frames, messages, close codes and the states of closing as values
http         HTTP/1.1: headers, field grammar, requests, responses and their parsers
extensions   permessage-deflate (RFC 7692), the pipeline of extensions
handshake    opening handshake, both sides (RFC 6455, 4)
endpoint     one open connection (RFC 6455, 5 to 7): messages, timers, closing
diagnostics  `Diagnosis`, `explain`, statistics, the trace of connecting
connection   `BaseConnection`: the connection as programs see it
client       plan of `connect`, proxies, redirects, reconnection
server       configuration of `serve`, limits, response to a request, hooks, routing

A driver does the I/O for these: `asyncio`, `sync` or `trio`.  A face is one public
API over one driver.
"""
