"""The terminal UI over ssh, with OpenSSH's own client: who is let in and to what, and that nothing of it touches the run.

A master, a worker and the demo target on loopback; terminals are tmux sessions.
"""

import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest

import support
from cluster import Process
from terminal import Terminals

SCRIPT = """
local http, scenario, wait = require "http", require "scenario", require "wait"
local Asker = scenario.user { name = "Asker", wait = wait.constant(0.1) }
Asker:task("ask", function() http.get("/products", { name = "products" }) end)
return scenario { users = { Asker } }
"""


class Ssh(unittest.TestCase):
    def setUp(self):
        for tool in ("ssh", "ssh-keygen"):
            if not shutil.which(tool):
                raise SystemExit(f"no {tool}: apt-get install openssh-client")
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        for name in ("operator", "viewer", "stranger"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"{name}@test", "-f", self.folder / name], check=True)
        public = {name: (self.folder / f"{name}.pub").read_text() for name in ("operator", "viewer")}
        (self.folder / "keys").write_text(public["operator"] + 'command="view" ' + public["viewer"])
        (self.folder / "scripts").mkdir()
        (self.folder / "scripts" / "main.lua").write_text(SCRIPT)
        web, cluster, self.port, target = (support.free_port() for _ in range(4))
        self.web = f"http://127.0.0.1:{web}"
        scripts = self.folder / "scripts"
        self.start("target", "target", "--bind", f"127.0.0.1:{target}")
        self.master = self.start(
            "master", "master", "--scripts", scripts, "--bind", f"127.0.0.1:{cluster}", "--web", f"127.0.0.1:{web}",
            "--ssh", f"127.0.0.1:{self.port}", "--ssh-authorized-keys", self.folder / "keys", "--state", self.folder,
            "-H", f"http://127.0.0.1:{target}",
        )
        self.master.await_text("served over ssh")
        self.start("worker", "worker", "--master", f"127.0.0.1:{cluster}", "--scripts", scripts)
        self.master.await_text("reported as ready")
        self.terminals = Terminals(f"ssh-{self._testMethodName[:20]}")
        self.addCleanup(self.terminals.close)

    def start(self, name, *arguments):
        process = Process(self.folder, name, *arguments)
        self.addCleanup(process.kill)
        return process

    def ssh(self, key, *arguments):
        return [
            "ssh", "-o", "StrictHostKeyChecking=accept-new", "-o", f"UserKnownHostsFile={self.folder}/known", "-o", "IdentitiesOnly=yes",
            "-o", "LogLevel=ERROR", "-p", str(self.port), "-i", str(self.folder / key), *arguments, "127.0.0.1",
        ]

    def refused(self, *command):
        return subprocess.run(command, capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL, env=support.foreign_environment())

    def requests(self):
        return json.loads(support.fetch(f"{self.web}/stats/requests"))["stats"][-1]["num_requests"]

    def start_run(self, users=5):
        support.urllib.request.urlopen(f"{self.web}/swarm", data=f"user_count={users}&spawn_rate=50".encode(), timeout=10).read()

    def test_an_operator_starts_steers_and_stops_a_run_while_a_viewer_looks(self):
        terminals = self.terminals
        terminals.open("operator", self.ssh("operator"), 80, 24)
        terminals.open("viewer", self.ssh("viewer"), 120, 40)
        terminals.wait_for("operator", "No run yet", "1 worker is ready", "n starts a run")
        terminals.wait_for("viewer", "operator's key")
        terminals.type("viewer", "n")
        terminals.wait_for("viewer", "your key may look")
        terminals.type("operator", "n")
        terminals.wait_for("operator", "Start a run")
        terminals.type("operator", "Tab", "Tab", "5", "Tab", "50", "Enter")
        terminals.wait_for("operator", "running", "5 users")
        # Each has a place, an order and a size of its own.
        terminals.type("viewer", "2", ">", ">", ">")
        terminals.wait_for("viewer", "products", "Total", "▼Requests")
        self.assertNotIn("▼", terminals.wait_for("operator", "Requests/s"))
        terminals.type("operator", "+")
        terminals.wait_for("operator", "6 users")
        terminals.resize("operator", 132, 20)
        terminals.wait_for("operator", "6 users", "p99", "Requests/s")
        terminals.type("operator", "x")
        terminals.wait_for("operator", "Stop the run?")
        terminals.type("operator", "y")
        terminals.wait_for("operator", "stopped")
        terminals.type("operator", "q")
        terminals.wait_for("operator", "the screen has left", "EXIT 0")
        log = self.master.text()
        for words in ("operator@test", "to steer", "to look", "starts a run", "wants other users", "stops the run"):
            self.assertIn(words, log)

    def test_nothing_but_a_screen_is_to_be_had(self):
        self.assertIn("Permission denied", self.refused(*self.ssh("stranger", "-o", "BatchMode=yes")).stderr)
        password = self.ssh("operator", "-o", "PreferredAuthentications=password,keyboard-interactive", "-o", "BatchMode=yes")
        self.assertIn("Permission denied", self.refused(*password).stderr)
        self.assertNotEqual(self.refused(*self.ssh("operator"), "id").returncode, 0)
        self.assertIn("shell request failed", self.refused(*self.ssh("operator", "-T")).stderr)
        self.assertNotEqual(self.refused(*self.ssh("operator", "-s"), "sftp").returncode, 0)
        forward = self.ssh("operator", "-N", "-o", "ExitOnForwardFailure=yes", "-R", "0:127.0.0.1:1")
        self.assertIn("forwarding failed", self.refused(*forward).stderr)
        tunnel = self.ssh("operator", "-W", f"127.0.0.1:{self.port}")
        self.assertNotEqual(self.refused(*tunnel).returncode, 0)

    def test_strangers_and_killed_clients_do_not_move_the_run(self):
        self.start_run()
        self.terminals.open("operator", self.ssh("operator"), 80, 24)
        self.terminals.wait_for("operator", "running")
        strangers = [socket.create_connection(("127.0.0.1", self.port)) for _ in range(50)]
        self.addCleanup(lambda: [stranger.close() for stranger in strangers])
        before, begin = self.requests(), time.monotonic()
        client = subprocess.run(
            ["pgrep", "-P", str(self.terminals.process("operator")), "ssh"], capture_output=True, text=True, timeout=10
        ).stdout.split()
        self.assertEqual(len(client), 1)
        os.kill(int(client[0]), signal.SIGKILL)
        self.master.await_text("connections were turned away")
        self.master.await_text("is gone")
        time.sleep(max(0, 12 - (time.monotonic() - begin)))
        rate = (self.requests() - before) / (time.monotonic() - begin)
        self.assertGreater(rate, 35, "5 users ask ten times a second each")
        self.master.await_text("has not logged in within 20 s", seconds=30)
        self.terminals.open("again", self.ssh("operator"), 80, 24)
        self.terminals.wait_for("again", "running")


if __name__ == "__main__":
    unittest.main()
