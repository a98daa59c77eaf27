"""Who is let in: HTTPS, the token, the login and its cookie, and the commands that control a master, against `run --web`."""

import http.client
import json
import pathlib
import signal
import ssl
import tempfile
import time
import unittest
import urllib.parse

import certificates
import cluster
import support

TOKEN = "open sesame 1234"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Access(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.target = self.enterContext(support.Nginx(access_log=False))
        certificates.make(self.folder)
        self.token = support.script(self.folder, "token.txt", TOKEN + "\n")
        for kind in ("pem", "key"):
            (self.folder / f"web.{kind}").write_bytes((self.folder / f"good.{kind}").read_bytes())
        self.port = support.free_port()
        self.run_process = self.running("run", "--web-cert", self.folder / "web.pem", "--web-key", self.folder / "web.key")

    def running(self, name, *more):
        path = support.script(self.folder, "asked.lua", cluster.SCRIPT)
        process = cluster.Process(
            self.folder, name, "run", path, "-H", self.target.url, "-u", 2, "-r", 10, "-t", "60s", "--headless", "--quiet",
            "--web", f"127.0.0.1:{self.port}", "--web-token-file", self.token, *more,
        )
        self.addCleanup(process.kill)
        process.await_text("Starting web monitor")
        self.await_the_run()
        return process

    def await_the_run(self):
        """Whoever asks before the workers have the script is told of a master that is ready, and of no scenario."""
        deadline = time.monotonic() + 30
        while True:
            reply, body = self.open("GET", "/api/v1/run", headers={"Authorization": f"Bearer {TOKEN}"})
            if reply.status == 200 and json.loads(body)["scenario"] == "asked":
                return
            self.assertLess(time.monotonic(), deadline, (reply.status, body))
            time.sleep(0.05)

    def open(self, method, path, body=None, headers=None, authority="ca.pem"):
        context = ssl.create_default_context(cafile=self.folder / authority)
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=10, context=context)
        self.addCleanup(connection.close)
        connection.request(method, path, body, headers or {})
        reply = connection.getresponse()
        return reply, reply.read()

    def shell(self, *arguments, url="https", **env):
        return support.run([support.program(), *arguments, "--url", f"{url}://127.0.0.1:{self.port}"], deadline=60, env=env)

    def test_the_token_over_https(self):
        # A kubelet's probes have no token.
        for path in ("/healthz", "/readyz"):
            self.assertEqual(self.open("GET", path)[0].status, 200)
        for path in ("/metrics", "/stats/requests", "/api/v1/snapshot", "/api/v1/events"):
            reply, body = self.open("GET", path)
            self.assertEqual((reply.status, json.loads(body)["status"]), (401, 401), path)
        self.assertEqual(self.open("GET", "/metrics", headers={"Authorization": f"Bearer {TOKEN}"})[0].status, 200)
        reply, _ = self.open("POST", "/login", urllib.parse.urlencode({"token": TOKEN}), FORM)
        cookie = reply.headers["set-cookie"]
        for wanted in ("HttpOnly", "SameSite=Strict", "Secure"):
            self.assertIn(wanted, cookie)
        self.assertNotIn("sesame", cookie)
        session = {"Cookie": cookie.split(";")[0]}
        self.assertEqual(self.open("GET", "/stats/requests", headers=session)[0].status, 200)
        reply, _ = self.open("POST", "/logout", headers=session)
        self.assertIn("Max-Age=0", reply.headers["set-cookie"])
        # A page of another site has no guesses, which would shut this person out.
        for _ in range(6):
            self.assertEqual(self.open("POST", "/login", "token=wrong", FORM | {"Sec-Fetch-Site": "cross-site"})[0].status, 403)
        # Six wrong ones: the last has to wait, and a right one never does.
        codes = [self.open("POST", "/login", "token=wrong", FORM)[0].status for _ in range(6)]
        self.assertEqual(codes, [401] * 5 + [429])
        self.assertEqual(self.open("GET", "/metrics", headers={"Authorization": f"Bearer {TOKEN}"})[0].status, 200)
        self.assertEqual(self.open("GET", "/metrics", headers=session)[0].status, 200)
        self.assertIn("a wrong token came from 127.0.0.1:", self.run_process.text())
        self.assertNotIn("sesame", self.run_process.text())

    def test_http2_over_tls(self):
        base = f"https://127.0.0.1:{self.port}"
        bearer = ("--cacert", self.folder / "ca.pem", "-H", f"Authorization: Bearer {TOKEN}")
        told = "\n%{http_version} %{http_code}\n"

        def curl(*arguments):
            return support.run(["curl", "-sS", *arguments], deadline=30)

        for versions, version in ((["--http2"], "2"), (["--http1.1"], "1.1"), (["--http2", "--tls-max", "1.2"], "2")):
            done = curl(*versions, *bearer, "-w", told, f"{base}/api/v1/run")
            body, protocol = done.stdout.strip().rsplit("\n", 1)
            self.assertEqual((protocol, json.loads(body)["scenario"]), (f"{version} 200", "asked"), done.said())
        self.assertIn("\n2 401", curl("--http2", *bearer[:2], "-w", told, f"{base}/stats/requests").stdout)
        done = curl("--http2", *bearer, "-w", told, "-F", "user_count=3", "-F", "spawn_rate=5", f"{base}/swarm")
        self.assertIn("2 200", done.stdout, done.said())
        # A stream and twenty answers side by side on one connection; the stream's answer is what came until its time was over.
        answers = [argument for _ in range(20) for argument in ("-o", "/dev/null", f"{base}/stats/requests")]
        parallel = ("--parallel", "--parallel-max", 30, "--max-time", 4, "-w", "\nover %{http_version}: %{http_code}, %{num_connects}\n")
        done = curl("--http2", *bearer, *parallel, "-N", "-o", "-", f"{base}/api/v1/events", *answers)
        rows = [line for line in done.stdout.splitlines() if line.startswith("over ")]
        self.assertEqual(sorted(rows), ["over 2: 200, 0"] * 20 + ["over 2: 200, 1"], done.said())
        self.assertGreaterEqual(done.stdout.count("event: snapshot\n"), 3, done.said())

    def test_plain_http_is_told_and_new_certificates_are_taken(self):
        plain = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        plain.request("GET", "/")
        reply = plain.getresponse()
        self.assertEqual((reply.status, reply.read()), (400, b"this port speaks HTTPS: ask with https://\n"))
        with self.assertRaises(ssl.SSLCertVerificationError):
            other = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
            certificates.make(other)
            self.open("GET", "/healthz", authority=other / "ca.pem")
        # First half of a pair, which does not go with the other half, then the whole.
        (self.folder / "web.pem").write_bytes((other / "good.pem").read_bytes())
        self.run_process.await_text("keeps its last certificate")
        self.assertEqual(self.open("GET", "/healthz")[0].status, 200)
        (self.folder / "web.key").write_bytes((other / "good.key").read_bytes())
        self.run_process.await_text("takes its new certificate")
        self.assertEqual(self.open("GET", "/healthz", authority=other / "ca.pem")[0].status, 200)

    def test_the_shell_controls_the_run(self):
        trusted = ("--ca", self.folder / "ca.pem", "--web-token-file", self.token)
        for code, words, done in (
            (3, "certificate", self.shell("status", "--web-token-file", self.token)),
            (3, "--web-token-file", self.shell("status", "--insecure")),
            (3, "does not let you in", self.shell("status", "--insecure", LUNAMOTH_WEB_TOKEN="a wrong token")),
            (3, "speaks HTTPS", self.shell("status", url="http")),
            (2, "--url", support.run([support.program(), "status", "--url", "load.example"])),
            (0, "asked", self.shell("status", *trusted)),
            (0, "the run goes on", self.shell("swarm", "-u", 3, *trusted)),
            (1, "declines", self.shell("swarm", "-H", "http://127.0.0.1:1", *trusted)),
            (0, "statistics", self.shell("reset", *trusted)),
        ):
            self.assertEqual(done.code, code, done.said())
            self.assertIn(words, done.stdout + done.stderr, done.said())
        self.assertEqual(json.loads(self.shell("status", "--json", *trusted).stdout)["scenario"], "asked")
        watching = support.Running([support.program(), "status", "--watch", "--url", f"https://127.0.0.1:{self.port}", *trusted], 30)
        time.sleep(3.5)
        watching.signal(signal.SIGINT)
        watched = watching.wait()
        self.assertEqual(watched.code, 0, watched.said())
        self.assertGreaterEqual(len([line for line in watched.stdout.splitlines() if " users " in line]), 2, watched.said())
        done = self.shell("stop", "--wait", *trusted)
        self.assertEqual(done.code, 0, done.said())
        self.assertIn("state      stopped", done.stdout, done.said())
        self.assertEqual(self.run_process.wait(20), 0, self.run_process.said())


if __name__ == "__main__":
    unittest.main()
