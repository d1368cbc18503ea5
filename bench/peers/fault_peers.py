"""Raw peers that do what servers should not, each connection in a thread.

They are for ``python -m bench.faults``.
"""

from __future__ import annotations

import os
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

from tests.kit.bytes import BINARY, CLOSE, PING, PONG, TEXT, frame, switching_protocols

from ..rows.messages import server_frame
from .peers import Stream

# Bytes that the slow reader takes at a time, and seconds between: 2 MiB a second.
SLOW_STEP, SLOW_PAUSE = 16 * 1024, 1 / 128

over = threading.Event()  # set when the peers may go


def handshake(stream: Stream) -> None:
    """Answer the opening handshake (RFC 6455, 4.2.2)."""
    head = stream.take_until(b"\r\n\r\n")
    after = head[head.lower().index(b"sec-websocket-key:") + 18 :]
    key = after.split(b"\r\n", 1)[0].strip()
    stream.sock.sendall(switching_protocols(key.decode()))


def reset(stream: Stream) -> None:
    """End TCP with RST instead of FIN."""
    stream.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    stream.sock.close()


def answer(stream: Stream, lock: threading.Lock) -> None:
    """Answer pings and the closing handshake, until then."""
    while True:
        frame = stream.frame()
        opcode = frame.first & 15
        if opcode in (PING, CLOSE):
            with lock:
                reply = PONG if opcode == PING else CLOSE
                stream.sock.sendall(server_frame(frame.payload, reply))
        if opcode == CLOSE:
            return
        if opcode == BINARY:
            stream.sock.sendall(server_frame(f"got {len(frame.payload)}", TEXT))


def mute(stream: Stream) -> None:
    handshake(stream)
    over.wait()


def silent(stream: Stream) -> None:
    over.wait()


def reset_handshake(stream: Stream) -> None:
    stream.take_until(b"\r\n\r\n")
    reset(stream)


def reset_message(stream: Stream) -> None:
    handshake(stream)
    stream.sock.sendall(frame(BINARY, bytes(2**19), length=2**20))
    time.sleep(0.2)
    reset(stream)


class SlowStream(Stream):
    """Takes a little at a time."""

    def more(self) -> None:
        data = self.sock.recv(SLOW_STEP)
        if not data:
            raise EOFError
        self.buffer += data
        time.sleep(SLOW_PAUSE)


def slow_reader(stream: Stream) -> None:
    handshake(stream)
    answer(SlowStream(stream.sock), threading.Lock())


def half_close(stream: Stream) -> None:
    handshake(stream)
    stream.sock.shutdown(socket.SHUT_WR)
    while stream.sock.recv(65536):
        pass


def try_later(stream: Stream) -> None:
    handshake(stream)
    stream.sock.sendall(server_frame(struct.pack("!H", 1013), CLOSE))
    stream.frame()


def firehose(stream: Stream) -> None:
    """Send without end, and answer pings between two messages."""
    handshake(stream)
    lock = threading.Lock()
    reader = threading.Thread(target=answer, args=(stream, lock), daemon=True)
    reader.start()
    message = server_frame(bytes(8192), BINARY)
    while reader.is_alive():
        with lock:
            stream.sock.sendall(message)
        time.sleep(0.001)


def garbage(stream: Stream) -> None:
    stream.take_until(b"\r\n\r\n")
    stream.sock.sendall(b"SSH-2.0-OpenSSH_9.2p1\r\n\r\n")
    over.wait()


def lingering(stream: Stream) -> None:
    handshake(stream)
    answer(stream, threading.Lock())
    over.wait()


def ordinary(stream: Stream) -> None:
    handshake(stream)
    answer(stream, threading.Lock())


class Peer:
    """Runs a handler for each connection, in threads."""

    def __init__(self, handler: Callable[[Stream], None]) -> None:
        self.handler = handler
        self.accepted = 0
        self.listener = socket.socket()
        # Bytes that the peer does not read must not vanish in its kernel's buffers.
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(100)
        self.port: int = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        while True:
            sock, _ = self.listener.accept()
            self.accepted += 1
            threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def serve(self, sock: socket.socket) -> None:
        try:
            with sock:
                self.handler(Stream(sock))
        except (OSError, EOFError):
            pass

    def client_sockets(self) -> set[int]:
        """The descriptors of this process that are TCP and not the peer's."""
        found = set()
        for name in os.listdir("/proc/self/fd"):
            try:
                sock = socket.socket(fileno=os.dup(int(name)))
            except OSError:
                continue  # no socket
            with sock:
                is_tcp = sock.family in (socket.AF_INET, socket.AF_INET6)
                if is_tcp and sock.getsockname()[1] != self.port:
                    found.add(int(name))
        return found


def serve_tls(certificate: str, pipe: Connection) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        pipe.send(listener.getsockname()[1])
        while True:
            sock, _ = listener.accept()
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                with context.wrap_socket(sock, server_side=True) as tls:
                    ordinary(Stream(tls))
            except (OSError, EOFError):
                pass


def trusted_certificate(folder: str) -> str:
    """Make a certificate, and let default contexts trust it beside the usual ones."""
    import trustme

    ca = trustme.CA()
    certificate = ca.issue_cert("127.0.0.1")
    path = os.path.join(folder, "server.pem")
    certificate.private_key_and_cert_chain_pem.write_to_path(path)
    bundle = os.path.join(folder, "ca.pem")
    usual = ssl.get_default_verify_paths().cafile
    if usual:
        Path(bundle).write_bytes(Path(usual).read_bytes())
    ca.cert_pem.write_to_path(bundle, append=True)
    os.environ["SSL_CERT_FILE"] = bundle
    return path
