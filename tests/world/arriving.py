"""A target that writes down when each request arrived and when it was answered, on the system's monotonic clock.

    arriving.py PORT FILE

Whoever wants it to freeze sends SIGSTOP, and SIGCONT later: the kernel goes on taking bytes, as of a process that is swapped out. On SIGTERM it
writes a line for each request, `ARRIVED ANSWERED PATH` with nanoseconds and without the path's slash, in the order of their answers, and ends.
"""

import asyncio
import signal
import sys
import time

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 11\r\n\r\n" + b'{"ok":true}'


class Conversation(asyncio.Protocol):
    def __init__(self, rows):
        self.rows, self.head = rows, b""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        arrived = time.monotonic_ns()
        self.head += data
        if self.head.endswith(b"\r\n\r\n"):
            path = self.head.split(b" ", 2)[1].decode()[1:]
            self.head = b""
            self.rows.append((arrived, time.monotonic_ns(), path))
            self.transport.write(ANSWER)


async def main(port, path):
    rows, loop, ended = [], asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    server = await loop.create_server(lambda: Conversation(rows), "127.0.0.1", port, backlog=4096)
    try:
        await asyncio.wait_for(ended.wait(), 300)
    finally:
        server.close()
        with open(path, "w") as file:
            file.writelines(f"{arrived} {answered} {path}\n" for arrived, answered, path in rows)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
