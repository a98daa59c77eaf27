"""Bad clients of the API while a run is under way: each gets a clear answer or is dropped, and the run does not notice."""

import pathlib
import socket
import tempfile
import time
import unittest

import cluster
import support

HEAD = b"POST /swarm HTTP/1.1\r\nhost: 127.0.0.1\r\n"
FORM = b"content-type: multipart/form-data; boundary=XX\r\n"
TORN = b'--XX\r\ncontent-disposition: form-data; name="user_count"\r\n\r\n4'


class WebLimits(unittest.TestCase):
    def talk(self, *pieces, seconds=20):
        """Sends, and reads until the end; what came back."""
        with socket.create_connection(("127.0.0.1", self.web), timeout=seconds) as client:
            try:
                for piece in pieces:
                    client.sendall(piece)
            except OSError:
                pass
            answer = b""
            try:
                while piece := client.recv(65536):
                    answer += piece
            except ConnectionError:
                pass
            return answer

    def status(self, *pieces):
        answer = self.talk(*pieces)
        self.assertTrue(answer.startswith(b"HTTP/1.1 "), answer[:200])
        return int(answer.split(b" ", 2)[1])

    def test_bad_clients_do_not_move_the_run(self):
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        target = self.enterContext(cluster.Target())
        scripts = folder / "scripts"
        scripts.mkdir()
        support.script(scripts, "main.lua", cluster.SCRIPT)
        self.web, port = support.free_port(), support.free_port()
        master = cluster.Process(
            folder, "master", "master", "--scripts", scripts, "--bind", f"127.0.0.1:{port}", "--web", f"127.0.0.1:{self.web}", "-H", target.url
        )
        self.addCleanup(master.kill)
        worker = cluster.Process(folder, "worker", "worker", "--scripts", scripts, "--master", f"127.0.0.1:{port}")
        self.addCleanup(worker.kill)
        api = cluster.Master(self.web)
        api.await_stats(lambda stats: stats.users_of("ready") == [0], of=master)
        self.assertTrue(api.swarm(user_count=5, spawn_rate=10)["success"])
        api.await_stats(lambda stats: stats.users == 5, of=master)
        before = master.resident_kib()

        close = b"connection: close\r\n"
        # Announced and sent on and on: a gigabyte.
        mebibyte = b"x" * (1 << 20)
        self.assertEqual(self.status(HEAD + b"content-length: 1073741824\r\n\r\n", *[mebibyte] * 64), 413)
        chunk = b"100000\r\n" + mebibyte + b"\r\n"
        chunked = HEAD + b"content-type: application/x-www-form-urlencoded\r\ntransfer-encoding: chunked\r\n" + close + b"\r\n"
        self.assertEqual(self.status(chunked, *[chunk] * 64, b"0\r\n\r\n"), 413)
        # Torn, by its end and by the connection's.
        self.assertEqual(self.status(HEAD + FORM + close + b"content-length: %d\r\n\r\n" % len(TORN) + TORN), 400)
        with socket.create_connection(("127.0.0.1", self.web), timeout=5) as client:
            client.sendall(HEAD + FORM + b"content-length: 5000\r\n\r\n" + TORN)
        self.assertIn(self.status(b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"), (400, 414, 431))
        self.assertEqual(self.status(b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\n" + b"x-a: " + b"b" * 100_000 + b"\r\n\r\n"), 431)
        self.assertEqual(self.status(b"GET /nowhere HTTP/1.1\r\nhost: 127.0.0.1\r\n" + close + b"\r\n"), 404)
        self.assertEqual(self.status(b"DELETE /stop HTTP/1.1\r\nhost: 127.0.0.1\r\n" + close + b"\r\n"), 405)
        self.assertEqual(self.status(b"POST /stop HTTP/1.1\r\nhost: evil.example\r\ncontent-length: 0\r\n" + close + b"\r\n"), 403)
        image = b"GET /stop HTTP/1.1\r\nhost: 127.0.0.1\r\nuser-agent: Mozilla/5.0\r\n" + close + b"\r\n"
        self.assertEqual(self.status(image), 403)

        # A slow-loris from 200 connections: each is dropped, and others are served all the while.
        slow = [socket.create_connection(("127.0.0.1", self.web), timeout=20) for _ in range(200)]
        begin = time.monotonic()
        alive = set(slow)
        while alive and time.monotonic() - begin < 20:
            for client in list(alive):
                try:
                    client.sendall(b"GET / HTTP/1.1\r\n" if time.monotonic() - begin < 0.5 else b"x-a: b\r\n")
                except OSError:
                    alive.discard(client)
            asked = time.monotonic()
            api.stats()
            self.assertLess(time.monotonic() - asked, 1)
            time.sleep(0.5)
        for client in slow:
            client.close()
        self.assertFalse(alive, "a slow client is still connected")
        self.assertLess(master.resident_kib() - before, 60_000)

        stats = api.stats()
        self.assertEqual((stats.state, stats.users), ("running", 5))
        api.get("/stop")
        last = api.await_stats(lambda stats: stats.state == "stopped", of=master)
        self.assertEqual((last.requests, last.failures, last.holes), (target.count(), 0, []))


if __name__ == "__main__":
    unittest.main()
