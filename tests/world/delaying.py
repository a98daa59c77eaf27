"""A target that delays each answer by a known distribution and writes down what the delay truly was.

    delaying.py PORT TRUTH_FILE

The truth of a request is the time from the moment its bytes were read to the moment before its answer is given to the system.
So the server's own timer may be late as it likes: its lateness is part of the truth. Requests with the header `x-probe`
are written down apart: they come from the test's own client, which runs beside the load and measures what lies between the
truth and any client (the loopback, two wake-ups, this server being busy with another request).
On SIGTERM it writes `{"load": [seconds...], "probe": [seconds...]}` and ends.
"""

import asyncio
import json
import random
import signal
import sys
import time

BODY = b'{"ok":true}'
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(BODY)

# From 4 ms to 200 ms, evenly over the logarithm: without gaps, so that a quantile is never a matter of one sample's rank.
SHORTEST, SPREAD = 0.004, 50


class Conversation(asyncio.Protocol):
    def __init__(self, truth, delays):
        self.truth, self.delays, self.head = truth, delays, b""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        read_at = time.perf_counter()
        self.head += data
        if not self.head.endswith(b"\r\n\r\n"):
            return
        kind = "probe" if b"\r\nx-probe:" in self.head.lower() else "load"
        self.head = b""
        delay = SHORTEST * SPREAD ** self.delays[kind].random()
        asyncio.get_running_loop().call_later(delay, self.answer, kind, read_at)

    def answer(self, kind, read_at):
        if not self.transport.is_closing():
            # Looked at before the write: a client may have the answer in its hands before the write returns.
            self.truth[kind].append(time.perf_counter() - read_at)
            self.transport.write(HEAD + BODY)


async def main(port, path):
    truth = {"load": [], "probe": []}
    # Fixed seeds: two runs of the test see the same delays.
    delays = {"load": random.Random(7), "probe": random.Random(8)}
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    server = await loop.create_server(lambda: Conversation(truth, delays), "127.0.0.1", port, backlog=1024)
    try:
        await asyncio.wait_for(ended.wait(), 120)
    finally:
        server.close()
    with open(path, "w") as file:
        json.dump(truth, file)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
