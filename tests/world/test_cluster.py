"""A master and workers on one machine: the walk-through to the letter, and served = reported through a drain and a master's death.

The demo target counts what it served in a process of its own. Everything stands on loopback and is ended by the test.
"""

import json
import pathlib
import re
import signal
import subprocess
import tempfile
import time
import unittest

import support

SCRIPT = """
local http, time = require "http", require "time"
return function()
  http.get("/products", { name = "products" })
  time.sleep("20ms")
end
"""


class Process:
    """One of the program's commands, its output in files."""

    def __init__(self, folder, name, *arguments):
        self.name = name
        self.out = folder / f"{name}.out"
        self.err = folder / f"{name}.err"
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self.process = subprocess.Popen(
                [support.program(), *map(str, arguments)], stdout=out, stderr=err, stdin=subprocess.DEVNULL,
                env=support.foreign_environment(), preexec_fn=support.prepare(None),
            )

    def end(self, how=signal.SIGTERM, seconds=30):
        if self.process.poll() is None:
            self.process.send_signal(how)
        return self.process.wait(seconds)

    def text(self):
        return self.out.read_text() + self.err.read_text()

    def await_text(self, wanted, seconds=20):
        deadline = time.monotonic() + seconds
        while wanted not in self.text():
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise AssertionError(f"{self.name} did not say `{wanted}`:\n{self.text()[-4000:]}")
            time.sleep(0.05)


class Cluster(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        data = self.folder / "scripts" / "..2026_11_24"
        data.mkdir(parents=True)
        (data / "main.lua").write_text(SCRIPT)
        # As the kubelet mounts a ConfigMap.
        (self.folder / "scripts" / "..data").symlink_to("..2026_11_24")
        (self.folder / "scripts" / "main.lua").symlink_to("..data/main.lua")
        self.door, self.web, self.port = support.free_port(), support.free_port(), support.free_port()
        self.started = []
        self.addCleanup(self.end_all)
        self.target = self.start("target", "target", "--bind", f"127.0.0.1:{self.port}")
        support.await_url(f"http://127.0.0.1:{self.port}/products")
        self.probes = 1

    def end_all(self):
        for process in self.started:
            if process.process.poll() is None:
                process.process.kill()
                process.process.wait(10)

    def start(self, name, *arguments):
        process = Process(self.folder, name, *arguments)
        self.started.append(process)
        return process

    def master(self, name="master", *more):
        return self.start(
            name, "master", "--scripts", self.folder / "scripts", "-H", f"http://127.0.0.1:{self.port}", "--print-stats",
            "--bind", f"127.0.0.1:{self.door}", "--web", f"127.0.0.1:{self.web}", "--path-prefix", "/locust", *more,
        )

    def worker(self, name):
        return self.start(name, "worker", "--master", f"127.0.0.1:{self.door}", "--scripts", self.folder / "scripts", "--lanes", "1")

    def curl(self, path, *arguments):
        command = ["curl", "-s", "--max-time", "30", *arguments, f"http://127.0.0.1:{self.web}/locust{path}"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def swarm(self, users, rate):
        answer = self.curl("/swarm", "-X", "POST", "-F", f"locust_count={users}", "-F", f"hatch_rate={rate}")
        self.assertEqual(answer, '{"success": true, "message": "Swarming started"}')

    def stats(self):
        return json.loads(self.curl("/stats/requests"))

    def await_stats(self, holds, seconds=20):
        deadline = time.monotonic() + seconds
        while True:
            stats = self.stats()
            if holds(stats):
                return stats
            self.assertLess(time.monotonic(), deadline, f"it does not come to hold: {json.dumps(stats)[:3000]}")
            time.sleep(0.1)

    def stop(self):
        self.assertEqual(self.curl("/stop"), '{"success": true, "message": "Test stopped"}')
        return self.await_stats(lambda stats: stats["state"] == "stopped")

    def served(self):
        self.assertEqual(self.target.end(signal.SIGTERM), 0)
        return int(re.search(r"served (\d+) requests", self.target.text()).group(1)) - self.probes

    def reported(self, stats):
        return stats["stats"][-1]["num_requests"]

    def test_the_walk_through(self):
        master = self.master()
        master.await_text(f"Starting web monitor at 127.0.0.1:{self.web}")
        master.await_text("Starting Lunamoth ")
        workers = [self.worker(f"worker{number}") for number in (1, 2)]
        master.await_text("reported as ready. Currently 2 clients ready to swarm.")
        self.swarm(4, 4)
        master.await_text("Sending hatch jobs to 2 ready clients")
        stats = self.await_stats(lambda stats: stats["user_count"] == 4 and self.reported(stats) > 50)
        self.assertEqual([worker["user_count"] for worker in stats["workers"]], [2, 2])
        self.assertEqual(json.loads(self.curl("/worker-count")), {"worker_count": 2})
        self.swarm(7, 10)
        self.await_stats(lambda stats: sorted(worker["user_count"] for worker in stats["workers"]) == [3, 4])
        self.swarm(2, 10)
        self.await_stats(lambda stats: [worker["user_count"] for worker in stats["workers"]] == [1, 1])
        first = self.reported(self.stop())
        self.assertGreaterEqual(len(re.findall(r"^ GET products ", master.text(), re.M)), 2, "the table grows")
        self.swarm(3, 10)
        self.await_stats(lambda stats: stats["user_count"] == 3)
        second = self.reported(self.stop())
        self.assertEqual(self.served(), first + second)
        self.assertEqual([master.end(), *(worker.end() for worker in workers)], [0, 0, 0])

    def test_a_drain_and_a_masters_death_lose_nothing(self):
        state = self.folder / "state"
        master = self.master("master", "--state", state)
        workers = [self.worker(f"worker{number}") for number in (1, 2, 3)]
        master.await_text("Currently 3 clients ready to swarm.")
        self.swarm(6, 6)
        self.await_stats(lambda stats: stats["user_count"] == 6 and self.reported(stats) > 100)
        self.assertEqual(workers[0].end(signal.SIGTERM), 0)
        self.await_stats(lambda stats: [worker["user_count"] for worker in stats["workers"] if worker["state"] == "running"] == [3, 3])
        master.end(signal.SIGKILL)
        time.sleep(2)
        again = self.master("again", "--state", state)
        again.await_text("adopted run ")
        self.await_stats(lambda stats: stats["user_count"] == 6)
        stats = self.stop()
        self.assertEqual((stats["holes"], stats["overlaps"]), ([], []))
        self.assertEqual(self.served(), self.reported(stats))
        self.assertEqual(again.end(), 0)

    def test_a_worker_that_joins_is_late_for_nothing_that_was_before_it(self):
        master = self.master()
        self.worker("worker1")
        master.await_text("Currently 1 clients ready to swarm.")
        self.swarm(4, 4)
        self.await_stats(lambda stats: stats["user_count"] == 4)
        # Longer than any lag of this machine's, so that one counted from the run's beginning is told from one that was.
        time.sleep(8)
        self.worker("worker2")
        self.await_stats(lambda stats: sorted(worker["user_count"] for worker in stats["workers"]) == [2, 2])
        time.sleep(2)
        lag = json.loads(self.curl("/api/v1/snapshot"))["generator"]["lag"]
        self.assertLess(lag["max_ms"], 5000)
        self.assertEqual(self.reported(self.stop()), self.served())

    def test_a_killed_worker_leaves_a_hole_of_one_interval_and_its_users_run_elsewhere(self):
        master = self.master()
        workers = [self.worker(f"worker{number}") for number in (1, 2)]
        master.await_text("Currently 2 clients ready to swarm.")
        self.swarm(4, 4)
        self.await_stats(lambda stats: stats["user_count"] == 4 and self.reported(stats) > 50)
        workers[0].end(signal.SIGKILL)
        killed = time.monotonic()
        self.await_stats(lambda stats: [worker["user_count"] for worker in stats["workers"] if worker["state"] == "running"] == [4])
        # Three seconds of silence, a second to spawn, one until a report says so.
        self.assertLess(time.monotonic() - killed, 6.5)
        stats = self.stop()
        self.assertEqual(len(stats["holes"]), 1)
        lost = self.served() - self.reported(stats)
        self.assertGreaterEqual(lost, 0)
        # Two users, at most 50 requests a second each, of a second and the time until its report is through.
        self.assertLessEqual(lost, 150)
        self.assertEqual(master.end(), 0)

    def test_an_automatic_start_ends_with_its_verdict(self):
        master = self.master("master", "--autostart", "--expect-workers", "2", "-u", "4", "-r", "4", "-t", "3s", "--state", self.folder / "state")
        workers = [self.worker(f"worker{number}") for number in (1, 2)]
        self.assertEqual(master.process.wait(40), 0, master.text()[-3000:])
        total = re.findall(r"passed \((\d+) requests", master.text())
        self.assertEqual(self.served(), int(total[-1]))
        for worker in workers:
            self.assertIsNone(worker.process.poll(), "workers wait for the next master")

    def test_a_run_that_lost_a_worker_has_one_verdict_wherever_it_is_shown(self):
        report, suite = self.folder / "run.json", self.folder / "run.xml"
        outs = ("--json", report, "--out", f"junit={suite}")
        master = self.master("master", "--autostart", "--expect-workers", "2", "-u", "4", "-r", "4", "-t", "8s", *outs)
        workers = [self.worker(f"worker{number}") for number in (1, 2)]
        master.await_text("Sending hatch jobs to 2 ready clients", 40)
        time.sleep(3)
        workers[0].end(signal.SIGKILL)
        # A worker that is lost may come back with its numbers: it is waited for.
        self.assertEqual(master.process.wait(60), 3, master.text()[-3000:])
        self.assertRegex(master.text(), r"INCOMPLETE: numbers of a worker are missing \(\d+ requests.*exit code 3\)")
        written = json.loads(report.read_text())
        self.assertEqual((len(written["holes"]), written["complete"]), (1, False))
        self.assertEqual((written["verdict"]["passed"], written["verdict"]["exit_code"]), (False, 3))
        self.assertIn('failures="1"', suite.read_text())

    def test_a_run_that_its_workers_gave_up_without_a_master_does_not_pass(self):
        lead = ("--state", self.folder / "state", "--orphan-timeout", "6s")
        master = self.master("master", *lead)
        workers = [self.worker(f"worker{number}") for number in (1, 2)]
        master.await_text("Currently 2 clients ready to swarm.")
        self.curl("/swarm", "-X", "POST", "-F", "locust_count=4", "-F", "hatch_rate=4", "-F", "run_time=60s")
        self.await_stats(lambda stats: stats["user_count"] == 4)
        master.end(signal.SIGKILL)
        for worker in workers:
            worker.await_text("no master for 6 s: the users finish; the numbers are kept")
        second = self.master("second", *lead)
        second.await_text("the run is not whole: its workers had heard nothing of a master for 6 s (--orphan-timeout)")
        shown = json.loads(self.curl("/api/v1/snapshot"))
        self.assertEqual((shown["state"], shown["holes"], shown["unfinished"].count(" by 0:")), ("stopped", [], 2))
        ask = [support.program(), "report", "--url", f"http://127.0.0.1:{self.web}/locust"]
        written = json.loads(support.run(ask, deadline=20).stdout)
        self.assertEqual((written["complete"], written["verdict"]["exit_code"]), (False, 3))
        self.assertIn("ended their users", written["verdict"]["words"])

    def test_who_does_not_know_the_secret_stays_outside(self):
        environment = support.foreign_environment()
        long = subprocess.run([support.program(), "secret"], capture_output=True, text=True, check=True, env=environment)
        self.assertGreaterEqual(len(long.stdout.strip()), 32)
        short = subprocess.run(
            [support.program(), "worker", "--master", f"127.0.0.1:{self.door}", "--scripts", str(self.folder / "scripts")],
            capture_output=True, text=True, timeout=20, env={**environment, "LUNAMOTH_SECRET": "short"},
        )
        self.assertEqual(short.returncode, 2, short.stderr)
        opened = subprocess.run(
            [support.program(), "master", "--bind", f"0.0.0.0:{self.door}", "--scripts", str(self.folder / "scripts")],
            capture_output=True, text=True, timeout=20, env=environment,
        )
        self.assertEqual(opened.returncode, 2, opened.stderr)
        self.assertIn("lunamoth secret", opened.stderr)


if __name__ == "__main__":
    unittest.main()
