"""Who is not let in: strangers at the workers' door are refused and counted, cost little, and disturb nobody.

The other side of each refusal is tested in `src/cluster/transport/tests/door.rs`. Here stands a real master with a worker that makes load,
and what comes at it is real QUIC of another's making (aioquic), noise, and a scan of its ports. All of it stays on loopback.
"""

import os
import pathlib
import random
import re
import socket
import tempfile
import threading
import time
import unittest

from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection

import cluster
import support

HANDSHAKES = 10_000


def first_datagram(port):
    """What a client of QUIC says first: a true Initial, under a connection id of its own."""
    connection = QuicConnection(configuration=QuicConfiguration(is_client=True, alpn_protocols=["strange"]))
    connection.connect(("127.0.0.1", port), now=time.time())
    return connection, connection.datagrams_to_send(now=time.time())[0][0]


class Strangers(threading.Thread):
    """Clients that begin a handshake, answer to the master's Retry, and are never heard of again."""

    def __init__(self, port, count):
        super().__init__(daemon=True)
        self.port, self.count = port, count
        self.retried = 0

    def run(self):
        for _ in range(self.count):
            connection, datagram = first_datagram(self.port)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mouth:
                mouth.connect(("127.0.0.1", self.port))
                mouth.settimeout(0.05)
                try:
                    mouth.send(datagram)
                    connection.receive_datagram(mouth.recv(65_536), ("127.0.0.1", self.port), now=time.time())
                    for again, _ in connection.datagrams_to_send(now=time.time()):
                        mouth.send(again)
                        self.retried += 1
                except OSError:
                    pass


class Closed(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.processes = []
        self.addCleanup(lambda: [process.kill() for process in self.processes])
        self.target = self.enterContext(cluster.Target())
        self.scripts = cluster.config_map(self.folder)
        self.door, self.web = support.free_port(), support.free_port()
        self.api = cluster.Master(self.web)

    def start(self, name, *arguments, secret):
        env = {"LUNAMOTH_SECRET": secret} if secret else {}
        process = cluster.Process(self.folder, name, *arguments, env=env)
        self.processes.append(process)
        return process

    def start_master(self, secret):
        places = ("--bind", f"127.0.0.1:{self.door}", "--web", f"127.0.0.1:{self.web}")
        return self.start("master", "master", "--scripts", self.scripts, "-H", self.target.url, *places, secret=secret)

    def start_worker(self, name, secret):
        return self.start(name, "worker", "--master", f"127.0.0.1:{self.door}", "--scripts", self.scripts, "--lanes", 1, secret=secret)

    def begin(self, secret):
        master = self.start_master(secret)
        self.start_worker("good", secret)
        master.await_text("Currently 1 clients ready to swarm.")
        self.assertTrue(self.api.swarm(user_count=10, spawn_rate=100)["success"])
        self.api.await_stats(lambda stats: stats.users == 10, of=master)
        return master

    def end_undisturbed(self, master):
        """The run went on through all of it: no user moved, nothing was lost."""
        stats = self.api.stats()
        self.assertEqual((stats.users_of(), stats.holes, stats.overlaps), ([10], [], []), master.said())
        self.api.get("/stop")
        stats = self.api.await_stats(lambda stats: stats.state == "stopped", of=master)
        self.assertEqual((stats.requests, stats.failures), (self.target.count(), 0))
        self.assertEqual(master.end(), 0, master.said())

    def no_pause_longer_than(self, seconds, since):
        """By the target's log: each of the ten users asks ten times a second."""
        moments = [moment for moment, _, _ in self.target.records() if moment >= since]
        longest = max(after - before for before, after in zip(moments, moments[1:]))
        self.assertLess(longest, seconds)

    def test_whoever_has_another_secret_or_none_is_refused_and_told_so(self):
        secret = cluster.secret()
        master = self.begin(secret)
        other = self.start_worker("other", cluster.secret())
        master.await_text("refused 127.0.0.1:")
        self.assertRegex(master.text(), r"refused 127\.0\.0\.1:\d+: [^\n]*secret")
        none = self.start_worker("none", None)
        time.sleep(3)
        for worker in (other, none):
            self.assertRegex(worker.text(), "secret", "it says what it may be")
        self.assertEqual(len(self.api.stats().workers), 1)
        self.end_undisturbed(master)

    def test_ten_thousand_half_open_handshakes_noise_and_a_scan_cost_little_and_disturb_nobody(self):
        master = self.begin(cluster.secret())
        time.sleep(2)
        resident, since = master.resident_kib(), time.time()
        strangers = [Strangers(self.door, HANDSHAKES // 4) for _ in range(4)]
        for stranger in strangers:
            stranger.start()
        self.make_noise(1 << 20)
        self.scan_ports()
        for stranger in strangers:
            stranger.join(240)
            self.assertFalse(stranger.is_alive(), "the flood takes too long")
        self.assertGreater(sum(stranger.retried for stranger in strangers), HANDSHAKES * 0.9, "they were real to the master")
        grown = (master.resident_kib() - resident) / 1024
        self.assertLess(grown, 64, f"the master grew by {grown:.0f} MiB")
        self.assertRegex(master.text(), r"refused 127\.0\.0\.1:\d+: ")
        told = re.findall(r"refused 127\.0\.0\.1:", master.text())
        self.assertLess(len(told), 20, "they are not told one by one")
        self.no_pause_longer_than(1.0, since)
        self.end_undisturbed(master)

    def make_noise(self, length):
        draw = random.Random(1)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mouth:
            while length > 0:
                noise = draw.randbytes(draw.randint(1, 1_400))
                mouth.sendto(noise, ("127.0.0.1", self.door))
                length -= len(noise)

    def scan_ports(self):
        """Connects everywhere near, says nothing or nonsense, and goes."""
        for port in {self.door, self.web, *range(self.web - 50, self.web + 50)}:
            with socket.socket() as mouth:
                mouth.settimeout(0.2)
                try:
                    mouth.connect(("127.0.0.1", port))
                    mouth.send(os.urandom(64))
                except OSError:
                    pass


if __name__ == "__main__":
    unittest.main()
