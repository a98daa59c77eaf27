"""Nothing is lost, on a network that loses: every process on a machine of its own, and a wire between master and workers that drops,
delays, reorders and cuts. The way to the target is clean, so that nginx's log is the truth: served = reported, to the unit.
"""

import json
import pathlib
import signal
import tempfile
import time
import unittest

import cluster
import network
import support

DOOR, WEB = 5557, 8089


class OnALossyNetwork(unittest.TestCase):
    def build(self, *workers):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.network = self.enterContext(network.Network("target", "master", *workers, seed=3))
        self.processes = []
        self.addCleanup(lambda: [process.kill() for process in self.processes])
        self.target = self.enterContext(cluster.Target(self.network["target"]))
        self.scripts = cluster.config_map(self.folder)
        self.env = {"LUNAMOTH_SECRET": cluster.secret()}
        self.master = cluster.Master(WEB, self.network["master"])
        self.tell_where_the_master_is(*workers)

    def tell_where_the_master_is(self, *workers):
        for worker in workers:
            self.network[worker].knows(control=self.network["master"].wire_address)

    def start(self, name, machine, *arguments):
        process = cluster.Process(self.folder, name, *arguments, env=self.env, machine=self.network[machine])
        self.processes.append(process)
        return process

    def start_master(self, name, *more):
        options = ("--bind", f"0.0.0.0:{DOOR}", "--web", f"127.0.0.1:{WEB}", "-H", self.target.url, "--json", self.folder / f"{name}.json", *more)
        return self.start(name, "master", "master", "--scripts", self.scripts, *options)

    def start_worker(self, name):
        return self.start(name, name, "worker", "--master", f"control:{DOOR}", "--scripts", self.scripts, "--lanes", 1)

    def begin(self, users, run_time):
        reply = self.master.swarm(user_count=users, spawn_rate=10, run_time=run_time)
        self.assertTrue(reply["success"], reply)
        self.begun = time.monotonic()

    def at(self, seconds):
        """Until this long after the start."""
        time.sleep(max(0.0, self.begun + seconds - time.monotonic()))

    @staticmethod
    def overlaps_of(machine, stats):
        return [overlap for overlap in stats.overlaps if overlap["worker"].startswith(f"{machine}_")]

    def everything_said(self):
        return "\n".join(process.said() for process in self.processes) + f"\nwire: {dict(self.network.wire.counts)}"

    def judge(self, master, stats):
        served = self.target.count()
        self.assertEqual((stats.requests, stats.failures), (served, 0), self.everything_said())
        self.assertEqual(stats.holes, [])
        self.assertEqual(master.end(), 0, master.said())
        report = support.Report(self.folder / f"{master.name}.json")
        self.assertEqual((report.total.requests, report.total.unanswered, report.total.not_sent), (served, 0, 0))
        return report

    def test_a_minute_of_everything_that_can_happen_loses_nothing(self):
        self.build("ada", "bee", "cid")
        wire, state = self.network.wire, self.folder / "state"
        wire.behaves(loss=0.2, delay=0.1, jitter=0.02)
        master = self.start_master("first", "--state", state)
        workers = {name: self.start_worker(name) for name in ("ada", "bee", "cid")}
        master.await_text("Currently 3 clients ready to swarm.", 40)
        self.begin(30, "60s")

        self.at(6)
        wire.cuts(self.network["cid"])
        self.at(14)
        stats = self.master.await_stats(lambda stats: stats.users_of() == [15, 15], 5, master)
        self.assertEqual(stats.worker("cid")["state"], "missing")
        # Nobody can tell yet whether it is dead or out of reach: what is missing is a hole until it is back. An overlap that had ended before the
        # cut is of a moment out of reach, which such a wire brings about by itself.
        since_the_cut = [overlap for overlap in self.overlaps_of("cid", stats) if overlap["to"] > 6]
        self.assertEqual(([hole["worker"].split("_")[0] for hole in stats.holes], since_the_cut), (["cid"], []))
        alone = self.target.users_since(time.time() - 1.5, self.network["cid"].street_address)
        # A third of the users, or a half where another worker had just been out of reach for a moment.
        self.assertIn(len(alone), range(8, 16), "an orphan goes on by the plan")

        self.at(21)
        wire.cuts()
        stats = self.master.await_stats(lambda stats: stats.users_of() == [10, 10, 10], 12, master)
        # On such a wire another one may have been out of reach for a moment, too, and this one once more.
        overlap = max(self.overlaps_of("cid", stats), key=lambda overlap: overlap["to"] - overlap["from"])
        self.assertEqual((0 < overlap["users"] <= 15, stats.holes), (True, []), overlap)
        # From when it was given up: three seconds after its last word, which on such a wire may be old when the cut comes, or come a moment later.
        self.assertTrue(0 < overlap["from"] < 10, overlap)
        self.assertGreater(overlap["to"] - overlap["from"], 8)

        self.at(max(28, time.monotonic() - self.begun))
        self.assertEqual(workers["ada"].end(signal.SIGTERM), 0, workers["ada"].said())
        self.master.await_stats(lambda stats: stats.users_of() == [15, 15], 10, master)

        self.at(max(38, time.monotonic() - self.begun))
        self.assertLess(time.monotonic() - self.begun, 45, "the rest needs its time")
        master.end(signal.SIGKILL)
        time.sleep(3)
        master = self.start_master("second", "--state", state)
        master.await_text("adopted run ", 25)
        # On such a wire one may be given up again for a moment just after it has come back; then it comes later.
        self.assertRegex(master.text(), "from (2 workers|1 worker)")
        moment = time.time()
        stats = self.master.await_stats(lambda stats: stats.users_of() == [15, 15], 20, master)
        time.sleep(1)
        self.assertEqual(self.target.users_since(moment), set(range(30)))

        stats = self.master.await_stats(lambda stats: stats.state == "stopped", 60, master)
        report = self.judge(master, stats)
        self.assertGreater(wire.counts["lost"], 100)
        self.assertGreater(wire.counts["cut"], 10)
        self.the_history_is_whole(report)

    def the_history_is_whole(self, report):
        """The first master's seconds are in its journal, in steps of ten: what lies between the last step and its death may be missing."""
        seconds = [point["at_s"] for point in report.whole["history"]]
        self.assertLess(min(seconds), 2)
        self.assertGreater(max(seconds), 57)
        gaps = [(before, after) for before, after in zip(seconds, seconds[1:]) if after - before > 1.5]
        self.assertLessEqual(sum(after - before for before, after in gaps), 20, json.dumps(gaps))

    def test_a_master_that_comes_back_elsewhere_is_found_by_its_name_and_a_worker_may_move_too(self):
        self.build("ada", "bee")
        self.network.wire.behaves(loss=0.05, delay=0.03, jitter=0.01)
        master = self.start_master("first")
        for name in ("ada", "bee"):
            self.start_worker(name)
        master.await_text("Currently 2 clients ready to swarm.", 20)
        self.begin(10, "26s")

        self.at(3)
        self.network["bee"].moves(50)
        self.at(9)
        stats = self.master.stats()
        self.assertEqual((stats.users_of(), stats.overlaps), ([5, 5], []), "a connection outlives its address")

        master.end(signal.SIGKILL)
        self.network["master"].moves(60)
        self.tell_where_the_master_is("ada", "bee")
        moment = time.time()
        master = self.start_master("second")
        master.await_text("adopted run ", 15)
        self.assertIn("from 2 workers", master.text())
        self.assertEqual(self.target.users_since(moment), set(range(10)), "nobody waited for the master")

        stats = self.master.await_stats(lambda stats: stats.state == "stopped", 30, master)
        self.judge(master, stats)


if __name__ == "__main__":
    unittest.main()
