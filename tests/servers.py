"""Local servers of videos, for tests that read from addresses."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

PACKETS = 7 * 188  # bytes of MPEG-TS in an RTP packet


@contextmanager
def http_server(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    """Serve GET requests; yield the address up to the slash."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def log_message(self, *args: object) -> None:
            pass

    with serve(Handler) as address:
        yield address


@contextmanager
def folder_server(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Serve a folder; yield the address, and the list of paths that were asked for."""
    requests: list[str] = []

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            requests.append(self.path)

    with serve(partial(Handler, directory=str(folder))) as address:
        yield address, requests


@contextmanager
def serve(handler: Callable[..., BaseHTTPRequestHandler]) -> Iterator[str]:
    """Serve with a handler in a thread; yield the address up to the slash."""
    server = ThreadingHTTPServer(('127.0.0.1', 0), handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f'http://127.0.0.1:{server.server_port}'
    finally:
        server.shutdown()
        server.server_close()


def send(request: BaseHTTPRequestHandler, content: bytes, length: int | None = None) -> None:
    """Send an answer with content; state its length if one is given."""
    request.send_response(200)
    if length is not None:
        request.send_header('Content-Length', str(length))
    request.end_headers()
    with suppress(ConnectionError):
        request.wfile.write(content)


@contextmanager
def rtsp_server(video: Path, times: int) -> Iterator[str]:
    """Serve an MPEG-TS file by RTSP over TCP to a number of clients; yield the address."""
    listener = socket.create_server(('127.0.0.1', 0))

    def serve() -> None:
        for _ in range(times):
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                serve_client(connection, video.read_bytes())
        listener.close()

    Thread(target=serve, daemon=True).start()
    try:
        yield f'rtsp://127.0.0.1:{listener.getsockname()[1]}/camera'
    finally:
        listener.close()


def serve_client(connection: socket.socket, content: bytes) -> None:
    """Answer the requests of a client up to PLAY, then send the file and hang up."""
    lines = connection.makefile('r', newline='\r\n')
    sdp = 'v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=video 0 RTP/AVP 33\r\n'
    more = {
        'OPTIONS': 'Public: DESCRIBE, SETUP, PLAY\r\n\r\n',
        'DESCRIBE': f'Content-Type: application/sdp\r\nContent-Length: {len(sdp)}\r\n\r\n{sdp}',
        'SETUP': 'Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n\r\n',
        'PLAY': 'Session: 1\r\n\r\n',
    }
    method = ''
    while method != 'PLAY':
        method, sequence = lines.readline().split(' ')[0], ''
        while line := lines.readline().strip():
            if line.lower().startswith('cseq'):
                sequence = line
        connection.sendall(f'RTSP/1.0 200 OK\r\n{sequence}\r\n{more[method]}'.encode())
    for number, at in enumerate(range(0, len(content), PACKETS)):
        payload = content[at : at + PACKETS]
        header = struct.pack('!BBHII', 0x80, 33, number, number * 900, 1)
        packet = header + payload
        connection.sendall(struct.pack('!cBH', b'$', 0, len(packet)) + packet)
