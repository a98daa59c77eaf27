"""Rows of a file in a cluster: each is taken once, whatever happens to workers and master, and the target's log is the truth.

Everything stands on loopback and is ended by the test.
"""

import collections
import pathlib
import re
import signal
import tempfile
import time
import unittest

import cluster
import support

ROWS, USERS = 30_000, 30

SCRIPT = """
local data, http, scenario, wait = require "data", require "http", require "scenario", require "wait"
local orders = data.csv("orders.csv", { at_end = "stop" })
local accounts = data.lines("accounts.txt")
local Buyer = scenario.user { name = "Buyer", wait = wait.constant(0.005) }
function Buyer:on_start() http.get("/small.json?user=" .. self.index .. "&row=" .. accounts:of(self), { name = "sign in" }) end
Buyer:task("buy", function(self)
  http.get("/small.json?user=" .. self.index .. "&row=" .. orders:take(self).id, { name = "buy" })
end)
return scenario { users = { Buyer } }
"""

OF_LOST = re.compile(r"rows (\d+) to (\d+) of `orders.csv` were in the hands of client '([^']+)'")


class Target(cluster.Target):
    def config(self, access_log):
        return super().config(access_log).replace("$arg_user ", "$arg_user $arg_row ")

    def rows(self):
        """What was asked for so far: (user, row), in the order in which it was served."""
        return [tuple(line.split()[2:4]) for line in self.log.read_text().splitlines() if "row=" in line]


class Data(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.scripts = self.folder / "scripts"
        self.scripts.mkdir()
        (self.scripts / "main.lua").write_text(SCRIPT)
        (self.scripts / "orders.csv").write_text("\ufeffid;note\r\n" + "".join(f'{row:06};"a, ""b"""\r\n' for row in range(1, ROWS + 1)), newline="")
        (self.scripts / "accounts.txt").write_text("".join(f"account-{user}\n" for user in range(USERS)))
        self.target = self.enterContext(Target())
        self.door, self.web = support.free_port(), support.free_port()
        self.processes = []
        self.addCleanup(lambda: [process.kill() for process in self.processes])

    def start(self, name, *arguments):
        process = cluster.Process(self.folder, name, *arguments)
        self.processes.append(process)
        return process

    def master(self, name):
        return self.start(
            name, "master", "--scripts", self.scripts, "-H", self.target.url, "--bind", f"127.0.0.1:{self.door}",
            "--web", f"127.0.0.1:{self.web}", "--state", self.folder / "state", "--json", self.folder / f"{name}.json",
        )

    def worker(self, name):
        return self.start(name, "worker", "--master", f"127.0.0.1:{self.door}", "--scripts", self.scripts, "--lanes", 1)

    def await_rows(self, count, of):
        deadline = time.monotonic() + 60
        while len(self.target.rows()) < count:
            self.assertLess(time.monotonic(), deadline, of.said())
            self.assertTrue(of.is_alive(), of.said())
            time.sleep(0.05)

    def test_thirty_thousand_rows_are_taken_once_through_deaths_of_a_worker_and_of_the_master(self):
        master, api = self.master("first"), cluster.Master(self.web)
        workers = {name: self.worker(name) for name in ("ada", "bee", "cid")}
        master.await_text("Currently 3 clients ready to swarm.")
        self.assertTrue(api.swarm(user_count=USERS, spawn_rate=USERS)["success"])
        self.await_rows(5_000, master)
        workers["bee"].end(signal.SIGKILL)
        workers["dan"] = self.worker("dan")
        self.await_rows(10_000, master)
        master.end(signal.SIGKILL)
        time.sleep(1)
        master = self.master("second")
        master.await_text("adopted run ", 25)
        # All users end where the rows do, and the run with them.
        api.await_stats(lambda stats: stats.state == "stopped", 90, master)
        master.end()
        asked = [(user, row) for user, row in self.target.rows() if not row.startswith("account-")]
        taken = collections.Counter(int(row) for _, row in asked)
        self.assertEqual([row for row, times in taken.items() if times > 1], [])
        lost = {row for first, last, _ in OF_LOST.findall(master.text()) for row in range(int(first), int(last) + 1)}
        self.assertEqual(set(range(1, ROWS + 1)) - set(taken) - lost, set(), master.said())
        self.assertLessEqual(len(lost), 2 * ROWS // 64, "a sixty-fourth of the file at most is in a worker's hands")
        self.assertEqual({(user, f"account-{user}") for user in map(str, range(USERS))}, {pair for pair in self.target.rows() if pair[1].startswith("account-")})
        report = support.Report(self.folder / "second.json")
        self.assertIn("orders.csv", str(report.whole["warnings"]))


if __name__ == "__main__":
    unittest.main()
