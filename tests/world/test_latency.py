"""The reported latencies are the target's true ones.

Goal: p50, p90, p99 and max within 1% + 0.3 ms of the truth, plus what no client can avoid. Method: `delaying.py` writes
down how long each request truly took inside the server. A reported time can never be below it. Above it lies what stands
between the server's clock and a client's: that is measured in the same seconds by a plain socket client of this test, and
only as much is granted. Percentiles are compared by rank over the same set of requests, so there is no chance in them.
"""

import json
import pathlib
import random
import signal
import socket
import sys
import tempfile
import threading
import time
import unittest

import support

USERS = 20
SECONDS = 8
# Another process on the machine can make times longer and never shorter. A program that adds time does so in each attempt.
ATTEMPTS = 3

SCRIPT = """
local http = require "http"
return function() http.get("/delayed", { name = "delayed" }) end
"""

REQUEST = b"GET /delayed HTTP/1.1\r\nhost: probe\r\nx-probe: 1\r\n\r\n"


class Probe(threading.Thread):
    """A client on a plain socket: one request after the other until told to end.

    It pauses for random times: without them it keeps the server busy all the time, and comes just when that is free, as no other client does.
    """

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port, self.durations, self.ended = port, [], threading.Event()

    def run(self):
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as stream:
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while not self.ended.is_set():
                start = time.perf_counter()
                stream.sendall(REQUEST)
                reply = b""
                while not reply.endswith(b"}"):
                    reply += stream.recv(4096)
                self.durations.append(time.perf_counter() - start)
                time.sleep(random.uniform(0.001, 0.005))


class LatenciesAreTrue(unittest.TestCase):
    def measure(self, folder):
        port, truth_file, report = support.free_port(), folder / "truth.json", folder / "report.json"
        cores = support.cores()
        server_file = pathlib.Path(__file__).with_name("delaying.py")
        server = support.Running([sys.executable, server_file, port, truth_file], deadline=100, pins={cores[-1]})
        try:
            await_port(port)
            probe = Probe(port)
            probe.start()
            path = support.script(folder, "delayed.lua", SCRIPT)
            command = [support.program(), "run", path, "-H", f"http://127.0.0.1:{port}", "-u", USERS, "-r", USERS]
            done = support.run([*command, "-t", f"{SECONDS}s", "--headless", "--json", report], deadline=60, pins={cores[0]})
            probe.ended.set()
            probe.join(timeout=5)
        finally:
            server.signal(signal.SIGTERM)
            server.wait()
        self.assertEqual(done.code, 0, done.said())
        return json.loads(truth_file.read_text()), probe.durations, support.Report(report)

    def test_percentiles_and_maximum_are_those_of_the_server(self):
        missed = []
        for _ in range(ATTEMPTS):
            with tempfile.TemporaryDirectory() as folder:
                truth, probed, report = self.measure(pathlib.Path(folder))
            missed.append(self.judge(truth, probed, report.total))
            if not missed[-1]:
                return
        self.fail(f"above what is granted in each of {ATTEMPTS} attempts: {missed}")

    def judge(self, truth, probed, total):
        """What must hold in every attempt, and the percentiles that are above what is granted."""
        self.assertEqual((total.failures, total.unanswered), (0, 0))
        self.assertEqual(total.requests, len(truth["load"]), "the sets must be the same for ranks to be compared")
        self.assertGreater(total.requests, 1000)
        # The probe is one after the other, so its requests and the server's notes are in the same order.
        overheads = sorted(outside - inside for outside, inside in zip(probed, truth["probe"]))
        self.assertGreater(len(overheads), 50)
        self.assertGreaterEqual(overheads[0], 0)
        true, above = sorted(truth["load"]), []
        for key, quantile in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1.0)):
            wanted = support.at_quantile(true, quantile) * 1e3
            # Hiccups are few, so they cannot move a percentile; the one longest request may have met the worst of them.
            granted = (overheads[-1] if key == "max" else support.at_quantile(overheads, 0.9)) * 1e3
            found = total.millis(key)
            line = f"{key}: true {wanted:.3f} ms, reported {found:.3f} ms, granted overhead {granted:.3f} ms"
            print(f"  {line}", file=sys.stderr)
            self.assertGreaterEqual(found, wanted * 0.999 - 0.001, f"less than the server took cannot be true: {line}")
            if found > wanted * 1.01 + 0.3 + granted:
                above.append(line)
        return above


def await_port(port):
    deadline = time.monotonic() + 10
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


if __name__ == "__main__":
    unittest.main()
