"""What a pipeline and a cluster's operator rely on: a master that starts by itself comes to an end whatever is wrong, its report outlives it, and
small, early, broken or unknown processes do no harm.

Everything stands on loopback and is ended by the test. The test of process 1 needs root and `unshare`.
"""

import json
import os
import pathlib
import signal
import subprocess
import tempfile
import time
import unittest
import urllib.error

import cluster
import support

BROKEN = 'local http = require "http"\nlocal function = 1\n'
STRETCHED = "a secret that has to be stretched"


class Jobs(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.target = self.enterContext(cluster.Target())
        self.door, self.web, self.health = (support.free_port() for _ in range(3))
        self.url = f"http://127.0.0.1:{self.web}"
        self.started = []
        self.addCleanup(lambda: [process.kill() for process in self.started])

    def scripts(self, text=cluster.SCRIPT):
        folder = self.folder / "scripts"
        folder.mkdir(exist_ok=True)
        (folder / "main.lua").write_text(text)
        return folder

    def start(self, name, *arguments, env=None):
        process = cluster.Process(self.folder, name, *arguments, env=env)
        self.started.append(process)
        return process

    def master(self, *options, name="master", env=None):
        addresses = ("--bind", f"127.0.0.1:{self.door}", "--web", f"127.0.0.1:{self.web}")
        return self.start(name, "master", "--scripts", self.folder / "scripts", "-H", self.target.url, *addresses, *options, env=env)

    def worker(self, *options, name="worker", scripts=None, env=None):
        return self.start(name, "worker", "--master", f"127.0.0.1:{self.door}", "--scripts", scripts or self.folder / "scripts", *options, env=env)

    def ask(self, *arguments, env=None):
        return support.run([support.program(), *arguments, "--url", self.url], deadline=60, env=env)

    def test_a_broken_script_ends_a_master_that_starts_by_itself_and_its_workers(self):
        self.scripts(BROKEN)
        master = self.master("--autostart", "--expect-workers", 1, "--state", self.folder / "state")
        worker = self.worker("--once")
        self.assertEqual(master.wait(20), 2, master.said())
        self.assertIn("main.lua:2", master.text())
        # It had no time to come in: nobody it could hear an end from. One that did ends with its master.
        worker.end()

    def test_a_worker_that_came_for_one_run_ends_with_a_master_that_has_none(self):
        self.scripts()
        master = self.master("--autostart", "--expect-workers", 2, "--expect-workers-timeout", "4s", "--state", self.folder / "state")
        worker = self.worker("--once")
        self.assertEqual(master.wait(30), 3, master.said())
        self.assertIn("1 of 2 expected workers was ready within 4 s (--expect-workers-timeout)", master.text())
        self.assertEqual(worker.wait(20), 0, worker.said())

    def test_nobody_comes_and_the_master_says_so(self):
        self.scripts()
        master = self.master("--autostart", "--expect-workers", 1, "--expect-workers-timeout", "1s", "--state", self.folder / "state")
        self.assertEqual(master.wait(20), 3, master.said())
        self.assertIn("none has come in at all", master.text())

    def test_a_lingering_master_gives_its_report_and_then_its_verdict(self):
        self.scripts()
        options = ("--autostart", "--expect-workers", 1, "-u", 2, "-r", 2, "-t", "2s", "--linger", "60s", "--state", self.folder / "state")
        master, worker = self.master(*options), self.worker("--once")
        master.await_text("its report can be fetched for 60 s; the exit code will be 0", 40)
        done = self.ask("report")
        self.assertEqual(done.code, 0, done.said())
        report = json.loads(done.stdout)
        self.assertEqual(report["total"]["requests"], self.target.count())
        page = self.ask("report", "--html")
        self.assertTrue(page.code == 0 and "<html" in page.stdout and report["run"] in page.stdout, page.said())
        self.assertEqual(master.end(), 0, master.said())
        self.assertEqual(worker.wait(20), 0, worker.said())

    def test_the_report_of_a_run_that_sigterm_ended_is_shown_by_the_next_master(self):
        self.scripts()
        state = ("--state", self.folder / "state")
        first, worker = self.master(*state), self.worker()
        first.await_text("Currently 1 clients ready")
        done = self.ask("report")
        self.assertEqual(done.code, 1, done.said())
        self.assertIn("no run to report of", done.stderr)
        cluster.Master(self.web).swarm(user_count=2, spawn_rate=2)
        cluster.Master(self.web).await_stats(lambda stats: stats.requests > 5, of=first)
        first.end()
        served = self.target.count()
        second = self.master(*state, name="second")
        second.await_text("The last run that a master with this state directory has brought to its end")
        second.await_text("Starting web monitor")
        self.assertRegex(second.out.read_text(), rf" GET small +{served} ")
        self.assertEqual(json.loads(self.ask("report").stdout)["total"]["requests"], served)
        self.assertIn("<html", self.ask("report", "--html").stdout)
        worker.end()

    def test_a_second_master_waits_until_the_first_is_gone_and_takes_its_run_over(self):
        self.scripts()
        shared = ("--state", self.folder / "state", "--on-term", "handover")
        first, worker = self.master(*shared), self.worker()
        first.await_text("Currently 1 clients ready")
        other = support.free_port(), support.free_port()
        # Of another state, so that the lock of the state's folder does not keep it: the workers' name alone does.
        alone = self.start(
            "alone", "master", "--scripts", self.folder / "scripts", "-H", self.target.url, "--bind", f"127.0.0.1:{other[0]}",
            "--web", f"127.0.0.1:{other[1]}", "--sole", f"127.0.0.1:{self.door}",
        )
        alone.await_text("another master answers")
        with self.assertRaises(OSError):
            support.fetch(f"http://127.0.0.1:{other[1]}/readyz")
        cluster.Master(self.web).swarm(user_count=2, spawn_rate=2)
        cluster.Master(self.web).await_stats(lambda stats: stats.requests > 5, of=first)
        self.assertEqual(first.end(), 0, first.said())
        second = self.master(*shared, name="second")
        second.await_text("adopted run ")
        cluster.Master(self.web).await_stats(lambda stats: stats.users_of() == [2], of=second)
        # The one that waits hears the second.
        self.assertTrue(alone.is_alive() and "Starting web monitor" not in alone.text(), alone.said())
        self.ask("stop", "--wait")
        stats = cluster.Master(self.web).stats()
        self.assertEqual((stats.requests, stats.holes), (self.target.count(), []))
        self.assertEqual(second.end(), 0, second.said())
        alone.await_text("Starting web monitor")
        worker.end()

    def test_a_master_whose_pod_comes_before_the_other_one_is_gone_waits_for_its_state(self):
        self.scripts()
        shared = ("--state", self.folder / "state", "--on-term", "handover")
        first = self.master(*shared)
        first.await_text("workers come in")
        addresses = ("--bind", f"127.0.0.1:{support.free_port()}", "--web", f"127.0.0.1:{support.free_port()}")
        second = self.start("second", "master", "--scripts", self.folder / "scripts", *addresses, *shared)
        time.sleep(1)
        self.assertTrue(second.is_alive() and "Starting web monitor" not in second.text(), second.said())
        self.assertEqual(first.end(), 0, first.said())
        second.await_text("Starting web monitor")
        self.assertEqual(second.end(), 0, second.said())

    def test_every_command_works_where_the_system_has_no_roots(self):
        """As in an image FROM scratch."""
        self.scripts()
        bare = {"SSL_CERT_FILE": "/nonexistent", "SSL_CERT_DIR": "/nonexistent"}
        master, worker = self.master(env=bare), self.worker(env=bare)
        master.await_text("Currently 1 clients ready")
        for arguments in (["status"], ["swarm", "-u", "1"], ["reset"], ["report"], ["stop"], ["status", "--json"]):
            with self.subTest(arguments):
                if arguments == ["report"]:
                    # A run that has not begun has none.
                    cluster.Master(self.web).await_stats(lambda stats: stats.users > 0, of=master)
                done = self.ask(*arguments, env=bare)
                self.assertEqual(done.code, 0, done.said())
        done = support.run([support.program(), "status", "--url", "https://127.0.0.1:1"], deadline=60, env=bare)
        self.assertEqual(done.code, 3, done.said())
        self.assertNotIn("builder error", done.stderr)
        worker.end()

    def test_a_start_waits_for_the_scripts_that_it_names(self):
        self.scripts()
        master, worker = self.master("--skew-timeout", "20s"), self.worker()
        master.await_text("Currently 1 clients ready")
        changed = self.folder / "changed"
        changed.mkdir()
        (changed / "main.lua").write_text(cluster.SCRIPT.replace('name = "small"', 'name = "changed"'))
        wanted = support.run([support.program(), "check", "--fingerprint", changed / "main.lua"], deadline=20).stdout.strip()
        self.assertRegex(wanted, "^[0-9a-f]{12}$")
        starting = self.start("swarm", "swarm", "--url", self.url, "-u", 1, "--scripts-fingerprint", wanted)
        master.await_text(f"waiting for the scripts of fingerprint {wanted}")
        (self.folder / "scripts" / "main.lua").write_text((changed / "main.lua").read_text())
        self.assertEqual(starting.wait(30), 0, starting.said())
        stats = cluster.Master(self.web).await_stats(lambda stats: stats.requests > 3, of=master)
        self.assertEqual({row["name"] for row in stats.whole["stats"][:-1]}, {"changed"})
        self.ask("stop", "--wait")
        done = self.ask("swarm", "-u", 1, "--scripts-fingerprint", "xyz")
        self.assertEqual(done.code, 2, done.said())
        worker.end()

    def test_a_worker_whose_script_is_broken_waits_for_a_better_one_and_joins_the_run(self):
        self.scripts()
        master, first = self.master("--skew-timeout", "3s"), self.worker(name="first")
        master.await_text("Currently 1 clients ready")
        cluster.Master(self.web).swarm(user_count=4, spawn_rate=4)
        cluster.Master(self.web).await_stats(lambda stats: stats.users_of() == [4], of=master)
        theirs = self.folder / "theirs"
        theirs.mkdir()
        (theirs / "main.lua").write_text(BROKEN)
        second = self.worker("--health", f"127.0.0.1:{self.health}", name="second", scripts=theirs)
        second.await_text("this worker is not ready until they can: ")
        master.await_text("is here and not ready, for it has no script that it could run: ")
        self.assertIn("main.lua:2", second.text())
        with self.assertRaises(urllib.error.HTTPError) as refused:
            support.fetch(f"http://127.0.0.1:{self.health}/readyz")
        self.assertEqual(refused.exception.code, 503)
        (theirs / "main.lua").write_text(cluster.SCRIPT)
        cluster.Master(self.web).await_stats(lambda stats: stats.users_of() == [2, 2], 40, of=second)
        support.await_url(f"http://127.0.0.1:{self.health}/readyz")
        for worker in (first, second):
            worker.end()

    def test_a_worker_with_a_wrong_secret_is_one_line_of_the_masters_log(self):
        self.scripts()
        master = self.master(env={"LUNAMOTH_SECRET": STRETCHED})
        master.await_text("workers come in")
        worker = self.worker(env={"LUNAMOTH_SECRET": STRETCHED + "?"})
        master.await_text("it does not share this master's secret")
        time.sleep(4)
        self.assertEqual(master.text().count("it does not share this master's secret"), 1, master.said())
        worker.end()

    def test_a_stretched_secret_leaves_room_in_64_mib(self):
        self.scripts()
        secret = {"LUNAMOTH_SECRET": STRETCHED}
        master, worker = self.master(env=secret), self.worker("--lanes", 1, env=secret)
        master.await_text("Currently 1 clients ready")
        cluster.Master(self.web).swarm(user_count=100, spawn_rate=100)
        cluster.Master(self.web).await_stats(lambda stats: stats.users_of() == [100], of=master)
        status = pathlib.Path(f"/proc/{worker.process.pid}/status").read_text()
        kib = {line.split(":")[0]: int(line.split()[1]) for line in status.splitlines() if line.startswith(("VmHWM:", "RssFile:"))}
        # Pages of the program itself can be had back, and a build for development has many more of them than the image's.
        self.assertLess(kib["VmHWM"] - kib["RssFile"], 32 * 1024)
        self.assertLess(kib["VmHWM"], 80 * 1024)
        worker.end()

    def test_process_1_ends_when_it_is_told_to_however_early(self):
        if os.geteuid() != 0:
            self.fail("needs root: a process that is number 1 of its own")
        self.scripts()
        secret = {**support.foreign_environment(), "LUNAMOTH_SECRET": STRETCHED}
        for command in (
            ["master", "--scripts", self.folder / "scripts", "--bind", f"127.0.0.1:{self.door}", "--web", f"127.0.0.1:{self.web}"],
            ["worker", "--scripts", self.folder / "scripts", "--master", f"127.0.0.1:{self.door}"],
            ["target", "--bind", f"127.0.0.1:{self.health}"],
        ):
            with self.subTest(command[0]), (self.folder / "log").open("w+") as log:
                # `unshare` becomes the parent of process 1, and ends as that does.
                process = subprocess.Popen(
                    ["unshare", "--pid", "--fork", "--kill-child", support.program(), *map(str, command)],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=secret,
                )
                try:
                    os.kill(self.child_that_hears(process.pid), signal.SIGTERM)
                    code = process.wait(5)
                    log.seek(0)
                    said = log.read()
                    # It had not even looked at its settings, which takes a while where a secret has to be stretched. A target has none, and
                    # may serve already when the signal comes: then that is its ordinary end.
                    if command[0] == "target" and said:
                        self.assertEqual(code, 0, said)
                    else:
                        self.assertEqual((code, said), (130, ""))
                finally:
                    process.kill()
                    process.wait()

    def child_that_hears(self, pid):
        """The one child of a process, once it is the program and has a handler of SIGTERM."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            if children and os.readlink(f"/proc/{children[0]}/exe").endswith("lunamoth"):
                status = pathlib.Path(f"/proc/{children[0]}/status").read_text()
                caught = next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("SigCgt:"))
                if caught >> (signal.SIGTERM - 1) & 1:
                    return int(children[0])
            time.sleep(0.0005)
        raise AssertionError("nothing of it hears SIGTERM")


if __name__ == "__main__":
    unittest.main()
