"""A target that does everything wrong, each wrong on a path of its own, and counts the requests whose head it has read.

The kinds of failure are part of the contract, so each path says which one it must land in. It runs in threads of the
test's process and ends with it.
"""

import random
import socket
import struct
import threading
import time

#: Path: the kinds that its failures may have; none where every request must succeed.
KINDS = {
    "/good": set(),
    "/sometimes-closes": set(),
    "/closes-after": set(),
    "/cut": {"protocol"},
    "/cut-chunk": {"protocol"},
    "/stall": {"timeout"},
    "/stall-body": {"timeout"},
    "/silent": {"reset"},
    "/rst": {"reset"},
    "/ring": {"too_many_redirects"},
    "/garbage": {"protocol"},
    "/bad-status": {"protocol"},
    "/bad-length": {"protocol"},
    "/bad-chunk": {"protocol"},
    "/endless": {"too_large"},
    "/endless-chunks": {"too_large"},
    "/endless-head": {"protocol"},
}

GOOD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"

#: Path: the bytes of the answer, after which the connection is closed.
CLOSED_AFTER = {
    "/closes-after": GOOD,
    "/cut": b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nonly this",
    "/cut-chunk": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n20\r\nonly this",
    "/silent": b"",
    "/garbage": b"\x16\x03\x01 this is not HTTP at all\r\n\r\n",
    "/bad-status": b"HTTP/1.1 abc OK\r\ncontent-length: 0\r\n\r\n",
    "/bad-length": b"HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n",
    "/bad-chunk": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nno size\r\n0\r\n\r\n",
}

#: Path: the bytes after which nothing more comes, for a while.
STALLED_AFTER = {
    "/stall": b"HTTP/1.1 200 OK\r\ncontent-le",
    "/stall-body": b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf",
}

#: Path: the bytes before an end that never comes, and what comes over and over.
ENDLESS = {
    "/endless": (b"HTTP/1.1 200 OK\r\n\r\n", b"m" * 16384),
    "/endless-chunks": (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b"1000\r\n" + b"m" * 4096 + b"\r\n"),
    "/endless-head": (b"HTTP/1.1 200 OK\r\n", b"x-again: and again\r\n" * 100),
}

STALL_SECONDS = 3


class Nasty:
    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self.listener.getsockname()[1]
        self.lock = threading.Lock()
        self.served = {}
        self.dice = random.Random(11)
        threading.Thread(target=self.accept, daemon=True).start()

    def close(self):
        self.listener.close()

    def accept(self):
        while True:
            try:
                stream, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.converse, args=(stream,), daemon=True).start()

    def converse(self, stream):
        stream.settimeout(30)
        try:
            with stream:
                unread = b""
                while True:
                    while b"\r\n\r\n" not in unread:
                        more = stream.recv(65536)
                        if not more:
                            return
                        unread += more
                    head, unread = unread.split(b"\r\n\r\n", 1)
                    path = head.split(b" ")[1].decode()
                    with self.lock:
                        self.served[path] = self.served.get(path, 0) + 1
                        roll = self.dice.random()
                    if not self.answer(stream, path, roll):
                        return
        except OSError:
            pass

    def answer(self, stream, path, roll):
        """Answers, and says whether the connection lives on."""
        if path in CLOSED_AFTER:
            stream.sendall(CLOSED_AFTER[path])
            return False
        if path in STALLED_AFTER:
            stream.sendall(STALLED_AFTER[path])
            time.sleep(STALL_SECONDS)
            return False
        if path in ENDLESS:
            head, part = ENDLESS[path]
            stream.sendall(head)
            while True:  # Until the client goes, or takes no more for the time of the socket.
                stream.sendall(part)
        if path == "/rst":
            # Closing with a linger of zero sends RST instead of FIN.
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False
        if path == "/ring":
            stream.sendall(b"HTTP/1.1 302 Found\r\nlocation: /ring\r\ncontent-length: 0\r\n\r\n")
            return True
        stream.sendall(GOOD)
        if path == "/sometimes-closes" and roll < 0.3:
            # A random moment, so that some closes meet the client's next request on its way.
            time.sleep(roll / 100)
            return False
        return True
