"""How long it takes, by the target's own log: a start to reach every worker, and users to run elsewhere once their worker is gone.

nginx writes when it served whom. Each user asks ten times a second, so that a tenth of a second and a waiting time is what a log can show.
"""

import pathlib
import signal
import tempfile
import time
import unittest

import cluster
import support

USERS = 30
# Between two requests of a user.
BEAT = 0.1
# For a machine that is busy with other tests as well.
ROOM = 0.4


class Prompt(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.processes = []
        self.addCleanup(lambda: [process.kill() for process in self.processes])
        self.target = self.enterContext(cluster.Target())
        scripts, secret = cluster.config_map(self.folder), cluster.secret()
        door, web = support.free_port(), support.free_port()

        def start(name, *arguments):
            process = cluster.Process(self.folder, name, *arguments, "--scripts", scripts, env={"LUNAMOTH_SECRET": secret})
            self.processes.append(process)
            return process

        places = ("--bind", f"127.0.0.1:{door}", "--web", f"127.0.0.1:{web}")
        self.process = start("master", "master", "-H", self.target.url, *places)
        self.workers = [start(f"worker{number}", "worker", "--master", f"127.0.0.1:{door}", "--lanes", 1) for number in range(3)]
        self.process.await_text("Currently 3 clients ready to swarm.")
        self.master = cluster.Master(web)

    def begin(self):
        asked = time.time()
        self.assertTrue(self.master.swarm(user_count=USERS, spawn_rate=10_000)["success"])
        return asked

    def silences(self, since):
        """The longest time between two requests of each user, from a moment on."""
        last, longest = {}, {}
        for moment, _, user in self.target.records():
            if user in last and moment > since:
                longest[user] = max(longest.get(user, 0.0), moment - last[user])
            last[user] = moment
        return longest

    def test_a_start_reaches_all_workers_within_a_fifth_of_a_second(self):
        # The first start also opens the lanes, which is work and no waiting; the second one finds everything warm.
        for _ in range(2):
            asked = self.begin()
            time.sleep(1.5)
            self.master.get("/stop")
            self.master.await_stats(lambda stats: stats.state == "stopped", of=self.process)
            first = {}
            for moment, _, user in self.target.records():
                if moment >= asked:
                    first.setdefault(user, moment - asked)
            self.assertEqual(len(first), USERS)
        begun = sorted(first.values())
        # From the first user of all to the last one: all workers have heard by then.
        self.assertLess(begun[-1] - begun[0], 0.2, begun)

    def gone(self, how):
        self.begin()
        self.master.await_stats(lambda stats: stats.users_of() == [10, 10, 10], of=self.process)
        time.sleep(1)
        moment = time.time()
        self.workers[0].process.send_signal(how)
        self.master.await_stats(lambda stats: stats.users_of() == [15, 15], of=self.process)
        time.sleep(1.5)
        silences = self.silences(moment - 1)
        self.assertEqual(len(silences), USERS, "every user runs")
        moved = sorted(silences.values())[-10:]
        return moved

    def test_users_of_a_worker_that_leaves_run_elsewhere_within_a_second(self):
        moved = self.gone(signal.SIGTERM)
        self.assertLess(moved[-1], 1 + BEAT + ROOM, moved)

    def test_users_of_a_worker_that_dies_run_elsewhere_within_five_seconds(self):
        moved = self.gone(signal.SIGKILL)
        self.assertLess(moved[-1], 5 + BEAT + ROOM, moved)


if __name__ == "__main__":
    unittest.main()
