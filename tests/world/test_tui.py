"""The terminal UI on real terminals: a local run from its start to its report, and a master's screen from afar, by keys alone.

Terminals are tmux sessions; everything stands on loopback.
"""

import json
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import time
import unittest

import certificates
import support
from cluster import Process
from terminal import Terminals
from test_ssh import SCRIPT


class Tui(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.script = self.folder / "main.lua"
        self.script.write_text(SCRIPT)
        self.terminals = Terminals(f"tui-{self._testMethodName[:20]}")
        self.addCleanup(self.terminals.close)

    def start(self, name, *arguments):
        process = Process(self.folder, name, *arguments)
        self.addCleanup(process.kill)
        return process

    def run_command(self, *more):
        return [support.program(), "run", self.script, "-H", "builtin:shop", "-u", "10", "-r", "50", *more]

    def test_a_local_run_leaves_its_report_on_the_screen(self):
        terminals = self.terminals
        for name, columns, rows in (("small", 80, 24), ("large", 200, 60)):
            terminals.open(name, self.run_command("-t", "6s"), columns, rows)
        for name in ("small", "large"):
            terminals.wait_for(name, "running", "10 users", "Thresholds", "Generator")
            terminals.type(name, "2")
            terminals.wait_for(name, "products", "Total")
            terminals.type(name, "6")
            terminals.wait_for(name, "seed:")
        for name in ("small", "large"):
            screen = terminals.wait_for(name, "EXIT 0", history=200)
            self.assertIn("passed (", screen)
            self.assertNotIn("1 Overview", screen)

    def test_a_run_is_ended_by_keys_and_by_signals_and_the_terminal_is_as_it_was(self):
        terminals = self.terminals
        for name in ("key", "interrupt", "term"):
            terminals.open(name, self.run_command(), 100, 30)
            terminals.wait_for(name, "running", "10 users")
        terminals.type("key", "q")
        terminals.wait_for("key", "End the run?")
        terminals.type("key", "y")
        terminals.type("interrupt", "C-c")
        child = subprocess.run(["pgrep", "-P", str(terminals.process("term"))], capture_output=True, text=True, timeout=10).stdout
        os.kill(int(child.split()[0]), signal.SIGTERM)
        for name in ("key", "interrupt", "term"):
            screen = terminals.wait_for(name, "EXIT 0", history=200)
            self.assertIn("passed (", screen)
            terminals.type(name, "echoed")
            terminals.wait_for(name, "echoed")

    def test_without_colour_and_without_unicode(self):
        self.terminals.open("plain", self.run_command("-t", "20s"), 80, 24, env={"LANG": "C", "LC_ALL": "C", "NO_COLOR": "1"})
        screen = self.terminals.wait_for("plain", "running", "10 users")
        self.assertTrue(screen.isascii(), screen)
        coloured = self.terminals.tmux("capture-pane", "-p", "-e", "-t", "plain:").stdout
        self.assertIsNone(re.search(r"\x1b\[([0-9]+;)*(3[0-7]|9[0-7])[;m]", coloured))

    def test_headless_has_the_table(self):
        self.terminals.open("table", self.run_command("-t", "3s", "--headless"), 160, 50)
        self.assertNotIn("1 Overview", self.terminals.wait_for("table", "EXIT 0", history=200))

    def test_a_master_is_steered_from_afar_and_found_again(self):
        web, cluster, target = (support.free_port() for _ in range(3))
        url = f"http://127.0.0.1:{web}/locust"
        env = {"LUNAMOTH_WEB_TOKEN": "correct horse battery"}

        def master():
            process = Process(
                self.folder, "master", "master", "--scripts", self.folder, "--bind", f"127.0.0.1:{cluster}", "--web", f"127.0.0.1:{web}",
                "--path-prefix", "/locust", "-H", f"http://127.0.0.1:{target}", "--state", self.folder / "state", env=env,
            )
            self.addCleanup(process.kill)
            return process

        self.start("target", "target", "--bind", f"127.0.0.1:{target}")
        first = master()
        self.start("worker", "worker", "--master", f"127.0.0.1:{cluster}", "--scripts", self.folder)
        first.await_text("reported as ready")
        terminals = self.terminals
        terminals.open("locked", [support.program(), "tui", "--url", url], 100, 30)
        terminals.wait_for("locked", "token")
        terminals.open("afar", [support.program(), "tui", "--url", url], 100, 30, env=env)
        terminals.wait_for("afar", "No run yet", "n starts a run")
        terminals.type("afar", "n")
        terminals.wait_for("afar", "Start a run")
        terminals.type("afar", "Tab", "Tab", "8", "Tab", "50", "Enter")
        terminals.wait_for("afar", "running", "8 users")
        terminals.type("afar", "2")
        terminals.wait_for("afar", "products")
        # The run stands still when it has stopped: then the numbers have to be the same.
        terminals.type("afar", "x")
        terminals.wait_for("afar", "Stop the run?")
        terminals.type("afar", "y")
        screen = terminals.wait_for("afar", "stopped")
        time.sleep(1.5)
        screen = terminals.screen("afar")
        request = support.urllib.request.Request(f"{url}/stats/requests", headers={"Authorization": f"Bearer {env['LUNAMOTH_WEB_TOKEN']}"})
        with support.urllib.request.urlopen(request, timeout=5) as reply:
            counted = json.load(reply)["stats"][-1]["num_requests"]
        shown = re.search(r"^ ?Total\s+([\d,]+)", screen, re.MULTILINE).group(1)
        self.assertEqual(int(shown.replace(",", "")), counted)
        first.kill()
        terminals.wait_for("afar", "reconnecting")
        master()
        deadline = time.monotonic() + 40
        while "reconnecting" in terminals.screen("afar"):
            self.assertLess(time.monotonic(), deadline, terminals.screen("afar"))
            time.sleep(0.2)
        terminals.wait_for("afar", "lunamoth  ●")
        terminals.type("afar", "q")
        terminals.wait_for("afar", "EXIT 0")

    def test_over_tls_with_a_token_behind_a_prefix_and_found_again(self):
        certificates.make(self.folder)
        web, cluster = support.free_port(), support.free_port()
        url = f"https://localhost:{web}/locust"
        env = {"LUNAMOTH_WEB_TOKEN": "correct horse battery"}

        def master():
            process = Process(
                self.folder, "master", "master", "--scripts", self.folder, "--bind", f"127.0.0.1:{cluster}", "--web", f"127.0.0.1:{web}",
                "--path-prefix", "/locust", "--web-cert", self.folder / "good.pem", "--web-key", self.folder / "good.key",
                "-H", "http://127.0.0.1:9", env=env,
            )
            self.addCleanup(process.kill)
            process.await_text("Starting web monitor")
            return process

        first = master()
        attach = [support.program(), "tui", "--url", url]
        trusting = [*attach, "--ca-file", self.folder / "ca.pem"]
        terminals = self.terminals
        terminals.open("distrustful", attach, 100, 30, env=env)
        terminals.open("wrong", trusting, 100, 30, env={"LUNAMOTH_WEB_TOKEN": "incorrect horse battery"})
        terminals.open("right", trusting, 100, 30, env=env)
        terminals.wait_for("right", "No run yet", "No worker has come in yet")
        terminals.wait_for("distrustful", "certificate")
        terminals.wait_for("wrong", "does not let you in")
        first.kill()
        terminals.wait_for("right", "reconnecting", "numbers are")
        master()
        terminals.wait_for("right", "● ready", seconds=40)
        terminals.type("right", "q")
        terminals.wait_for("right", "EXIT 0")

    def test_a_start_that_is_refused_leaves_what_was_typed(self):
        web, cluster = support.free_port(), support.free_port()
        self.start(
            "master", "master", "--scripts", self.folder, "--bind", f"127.0.0.1:{cluster}", "--web", f"127.0.0.1:{web}"
        ).await_text("Starting web monitor")
        terminals = self.terminals
        for name, columns, rows in (("large", 100, 30), ("tiny", 40, 12)):
            terminals.open(name, [support.program(), "tui", "--url", f"http://127.0.0.1:{web}"], columns, rows)
            terminals.wait_for(name, "No run yet")
            terminals.type(name, "n", "Tab", "Tab", "77", "Tab", "Tab", "Tab", "5parsecs", "Enter")
            screen = terminals.wait_for(name, "no unit", "parsecs")
            self.assertRegex(screen, r"Users +77")
            terminals.type(name, "C-u", "5m", "Enter")
            # There is no worker, and no host.
            terminals.wait_for(name, "Start a run", "77", "no")
            terminals.type(name, "Escape")
            terminals.wait_for(name, "No run yet")

    def test_a_terminal_that_hangs_up_ends_a_local_run_with_its_report_and_leaves_a_master_alone(self):
        terminals, report = self.terminals, self.folder / "report.json"
        cluster, web = support.free_port(), support.free_port()
        master = [support.program(), "master", "--tui", "--scripts", self.folder, "--bind", f"127.0.0.1:{cluster}", "--web", f"127.0.0.1:{web}"]
        # Ahead of the shell, which would end with its terminal as well.
        pids = {}
        for name, command in (
            ("run", self.run_command("--json", report)),
            ("master", master),
            ("afar", [support.program(), "tui", "--url", f"http://127.0.0.1:{web}"]),
        ):
            pid = self.folder / f"{name}.pid"
            terminals.open(name, ["sh", "-c", f'echo $$ > {pid}; exec "$@" 2> {self.folder}/{name}.err', "sh", *command], 100, 30)
            terminals.wait_for(name, "running" if name == "run" else "No run yet")
            pids[name] = int(pid.read_text())
        self.addCleanup(lambda: support.is_running(pids["master"]) and os.kill(pids["master"], signal.SIGKILL))
        for name in pids:
            terminals.end(name)
        for name in ("run", "afar"):
            deadline = time.monotonic() + 15
            while support.is_running(pids[name]):
                self.assertLess(time.monotonic(), deadline, f"{name} goes on without its terminal")
                time.sleep(0.1)
        written = json.loads(report.read_text())
        self.assertTrue(written["complete"])
        self.assertIn("the terminal is gone", (self.folder / "run.err").read_text())
        # What reads a terminal that is gone must not turn round in circles.
        before, begin = support.cpu_seconds(pids["master"]), time.monotonic()
        time.sleep(2)
        self.assertLess(support.cpu_seconds(pids["master"]) - before, 0.2 * (time.monotonic() - begin))
        self.assertEqual(support.fetch(f"http://127.0.0.1:{web}/healthz").strip(), b"ok")
        os.kill(pids["master"], signal.SIGTERM)

    def test_names_of_targets_cannot_move_the_cursor_and_a_dumb_terminal_gets_tables(self):
        hostile = self.folder / "hostile.lua"
        hostile.write_text(
            'local http, scenario, wait = require "http", require "scenario", require "wait"\n'
            'local Asker = scenario.user { name = "Asker", wait = wait.constant(0.1) }\n'
            'Asker:task("ask", function() http.get("/products", { name = "\\27[2J\\27]0;owned\\7\\r\\n日本語" .. string.rep("/long", 80) }) end)\n'
            "return scenario { users = { Asker } }\n"
        )
        command = [support.program(), "run", hostile, "-H", "builtin:shop", "-u", "2", "-r", "50", "-t"]
        terminals = self.terminals
        for name, columns, rows in (("small", 80, 24), ("large", 200, 60), ("tiny", 40, 10)):
            terminals.open(name, [*command, "60s"], columns, rows)
        terminals.open("dumb", [*command, "6s"], 120, 40, env={"TERM": "dumb"})
        for name in ("small", "large", "tiny"):
            terminals.wait_for(name, "running")
            terminals.type(name, "2")
            terminals.wait_for(name, "\\u{1b}[", "Total")
            terminals.type(name, "Enter")
            terminals.wait_for(name, "\\u{1b}[2J", "requests")
            terminals.type(name, "C-c")
            terminals.wait_for(name, "EXIT 0", history=400)
        self.assertNotIn("owned", terminals.tmux("list-panes", "-a", "-F", "#{pane_title}").stdout)
        terminals.wait_for("dumb", "Name", "# reqs", seconds=12)
        self.assertNotIn("1 Overview", terminals.wait_for("dumb", "EXIT 0", history=200))


if __name__ == "__main__":
    unittest.main()
