"""A target whose delays are drawn from a log-normal distribution, and wander from second to second as those of real services do.

    wandering.py PORT SLOWNESS SEED

The median is 20 ms times SLOWNESS. Each second the level keeps half of where it was and moves by about 1.5 %. It ends on SIGTERM, or after 120 s.
"""

import asyncio
import math
import random
import signal
import sys

BODY = b'{"ok":true}'
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(BODY)

MEDIAN, SPREAD, WANDER, KEPT = 0.020, 0.4, 0.015, 0.5


class Level:
    def __init__(self, slowness, seed):
        self.slowness, self.random = slowness, random.Random(seed)
        self.at = WANDER * self.random.gauss(0, 1)

    def move(self):
        self.at = KEPT * self.at + WANDER * math.sqrt(1 - KEPT**2) * self.random.gauss(0, 1)

    def delay(self):
        return MEDIAN * self.slowness * math.exp(self.at + SPREAD * self.random.gauss(0, 1))


class Conversation(asyncio.Protocol):
    def __init__(self, level):
        self.level, self.head = level, b""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.head += data
        if self.head.endswith(b"\r\n\r\n"):
            self.head = b""
            asyncio.get_running_loop().call_later(self.level.delay(), self.answer)

    def answer(self):
        if not self.transport.is_closing():
            self.transport.write(HEAD + BODY)


async def main(port, slowness, seed):
    level = Level(slowness, seed)
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    server = await loop.create_server(lambda: Conversation(level), "127.0.0.1", port, backlog=256)
    for _ in range(120):
        try:
            await asyncio.wait_for(ended.wait(), 1)
            break
        except asyncio.TimeoutError:
            level.move()
    server.close()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])))
