"""How a local run ends: its page stays for a while, and a second signal ends the program within a second, whatever holds it up."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import time
import unittest
import urllib.request
import xml.etree.ElementTree

import support
from terminal import Terminals

SCRIPT = 'local http, time = require "http", require "time"\nreturn function() http.get("/", { name = "home" }) time.sleep(0.05) end\n'

# Tables of more than a pipe holds.
WIDE = """
local http, time = require "http", require "time"
return function(self)
  for number = 1, 900 do http.get("/", { name = "entry " .. number }) end
  time.sleep(0.05)
end
"""


class Ends(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.web = support.free_port()

    def command(self, text, *more):
        script = support.script(self.folder, "main.lua", text)
        return [support.program(), "run", script, "-H", "builtin:shop", "-u", 2, "-r", 10, *more]

    def page(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.web}/api/v1/snapshot", timeout=5) as answer:
            return json.load(answer)

    def await_stopped(self):
        support.await_url(f"http://127.0.0.1:{self.web}/healthz")
        deadline = time.monotonic() + 20
        while self.page()["state"] != "stopped":
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.1)

    def test_the_page_stays_for_the_time_asked_for_and_a_signal_ends_that(self):
        report = self.folder / "report.json"
        web = ("--web", f"127.0.0.1:{self.web}", "--json", report, "-t", "1s", "--headless")
        begin = time.monotonic()
        running = support.Running(self.command(SCRIPT, *web, "--linger", "4s"), 60)
        self.await_stopped()
        time.sleep(2.5)
        self.assertEqual(self.page()["total"]["requests"], json.loads(report.read_text())["total"]["requests"])
        self.assertEqual(running.wait().code, 0)
        self.assertGreater(time.monotonic() - begin, 5)

        running = support.Running(self.command(SCRIPT, *web, "--web-linger", "5m"), 60)
        self.await_stopped()
        with socket.create_connection(("127.0.0.1", self.web)) as listener:
            listener.sendall(b"GET /api/v1/events HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
            time.sleep(0.5)
            begin = time.monotonic()
            running.signal(signal.SIGTERM)
            done = running.wait()
        self.assertLess(time.monotonic() - begin, 3)
        self.assertEqual(done.code, 0, done.said())
        self.assertIn("passed (", done.stdout)

    def test_the_page_stays_until_a_key_where_a_person_has_watched(self):
        terminals = Terminals("ends")
        self.addCleanup(terminals.close)
        terminals.open("run", self.command(SCRIPT, "--web", f"127.0.0.1:{self.web}", "-t", "2s"))
        terminals.wait_for("run", "passed (", "until you press a key", seconds=30)
        time.sleep(3)
        self.assertEqual(self.page()["state"], "stopped")
        self.assertNotIn("EXIT", terminals.screen("run"))
        terminals.type("run", "x")
        terminals.wait_for("run", "EXIT 0", seconds=10)

    def ends_within_a_second_of_its_second_signal(self, running, more=0):
        running.send_signal(signal.SIGINT)
        time.sleep(1)
        begin = time.monotonic()
        running.send_signal(signal.SIGTERM)
        code = running.wait(10)
        self.assertLess(time.monotonic() - begin, 1.3 + more)
        return code

    def test_several_outputs_say_the_same_and_one_that_nobody_reads_holds_nobody_up(self):
        (a, b, lines, suite), pipe = [self.folder / name for name in ("a.json", "b.json", "run.jsonl", "run.xml")], self.folder / "pipe"
        os.mkfifo(pipe)
        # Somebody who opens it and reads nothing.
        reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        outs = ("--out", f"json={a},jsonl={lines}", "--out", f"junit={suite}", "--json", b, "--out", f"jsonl={pipe}")
        done = support.run(self.command(WIDE, "-t", "4s", "--headless", *outs), deadline=25)
        os.close(reader)
        self.assertIn(f"cannot write `{pipe}`: its reader has taken nothing for 10 s", done.said())
        self.assertEqual(done.code, 2, done.said())
        reports = [json.loads(path.read_text()) for path in (a, b)]
        self.assertEqual(*reports)
        rows = [json.loads(line) for line in lines.read_text().splitlines()]
        self.assertEqual(rows[-1]["total"]["requests"], reports[0]["total"]["requests"])
        self.assertEqual(rows[-1]["verdict"], reports[0]["verdict"])
        self.assertGreaterEqual(len(rows), 4)
        self.assertTrue(all(one["total"]["requests"] <= two["total"]["requests"] for one, two in zip(rows, rows[1:])))
        cases = xml.etree.ElementTree.parse(suite).getroot().findall("testsuite/testcase")
        self.assertEqual([(case.get("classname"), case.find("failure")) for case in cases], [("lunamoth.run", None)])
        refused = support.run(self.command(SCRIPT, "-t", "1s", "--out", "influxdb=http://127.0.0.1:8086"), deadline=20)
        self.assertEqual(refused.code, 2)
        self.assertIn("there is no output `influxdb`; there are csv=BASE, json=FILE", refused.stderr)

    def test_a_second_signal_ends_it_though_nobody_reads_its_report(self):
        pipe = self.folder / "report"
        os.mkfifo(pipe)
        errors = self.folder / "errors"
        with open(errors, "w") as stderr:
            command = [*map(str, self.command(SCRIPT, "--headless", "--json", pipe))]
            running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, env=support.foreign_environment())
            self.addCleanup(running.kill)
            time.sleep(1.5)
            # The report's file was not written.
            self.assertEqual(self.ends_within_a_second_of_its_second_signal(running), 2, errors.read_text())
            self.assertIn(b"passed (", running.stdout.read())
            running.stdout.close()

    def test_a_second_signal_ends_it_though_its_stdout_is_full(self):
        command = [*map(str, self.command(WIDE, "--headless", "--print-interval", "1s"))]
        running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=support.foreign_environment())
        self.addCleanup(running.kill)
        time.sleep(4)
        # What is held up is the run itself, whose report gets a second and a half more to come about.
        self.ends_within_a_second_of_its_second_signal(running, 1.5)
        running.stdout.close()


if __name__ == "__main__":
    unittest.main()
