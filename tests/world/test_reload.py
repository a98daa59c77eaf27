"""Scripts that change under a master and two workers, each with a folder of its own, laid out and swapped as a kubelet does.

nginx counts what it served, by the version that the script puts into the URL. Everything stands on loopback and is ended by the test.
"""

import itertools
import json
import os
import pathlib
import re
import tempfile
import time
import unittest
import urllib.error

import cluster
import support


def script(version, path="/small.json", before=""):
    return f"""
{before}
local http, time = require "http", require "time"
return function()
  http.get("{path}?user=1&version={version}", {{ name = "small" }})
  time.sleep("50ms")
end
"""


class Mounted:
    """A ConfigMap's folder: files are links into `..data`, a link that is renamed over at each change."""

    versions = itertools.count(1)

    def __init__(self, path, **files):
        self.path = path
        path.mkdir(parents=True)
        self.swap(**files)

    def swap(self, **files):
        self.bring({f"{name}.lua": text.encode() for name, text in files.items()})

    def bring(self, files):
        data = self.path / f"..2026_11_24_{next(self.versions)}"
        for name, content in files.items():
            (data / name).parent.mkdir(parents=True, exist_ok=True)
            (data / name).write_bytes(content)
        old = self.path / "..data"
        before = old.resolve() if old.is_symlink() else None
        (self.path / "..data_tmp").symlink_to(data.name)
        os.rename(self.path / "..data_tmp", old)
        for top in {name.split("/")[0] for name in files}:
            if not (self.path / top).is_symlink():
                (self.path / top).symlink_to(f"..data/{top}")
        if before:
            for place, folders, names in os.walk(before, topdown=False):
                for name in names:
                    (pathlib.Path(place) / name).unlink()
                os.rmdir(place)


class Reload(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.target = self.enterContext(cluster.Target())
        self.started = []
        self.addCleanup(self.end_all)

    def end_all(self):
        for process in self.started:
            process.kill()

    def begin(self, options=(), **files):
        door, web = support.free_port(), support.free_port()
        self.mounts = [Mounted(self.folder / name / "scripts", **files) for name in ("master", "worker1", "worker2")]
        self.master = self.start(
            "master", "master", "--scripts", self.mounts[0].path, "-H", self.target.url,
            "--bind", f"127.0.0.1:{door}", "--web", f"127.0.0.1:{web}", *options,
        )
        for number in (1, 2):
            self.start(
                f"worker{number}", "worker", "--master", f"127.0.0.1:{door}", "--scripts", self.mounts[number].path, "--lanes", "1"
            )
            # One after the other, so that they stand in this order in all lists.
            self.master.await_text(f"Currently {number} clients ready to swarm.")
        self.api = cluster.Master(web)
        # What people see follows within a second.
        self.stats(lambda stats: len(stats.workers) == 2)

    def start(self, name, *arguments):
        process = cluster.Process(self.folder, name, *arguments)
        self.started.append(process)
        return process

    def stats(self, holds, seconds=6):
        """The statistics once `holds`; a change of scripts must be seen within six seconds."""
        return self.api.await_stats(holds, seconds, of=self.master)

    def fingerprints(self, stats=None):
        return [worker["fingerprint"] for worker in (stats or self.api.stats()).workers]

    def states(self, stats):
        return [worker["state"] for worker in stats.workers]

    def swarm(self):
        self.assertEqual(self.api.swarm(user_count=2, spawn_rate=10)["success"], True)

    def run_until(self, requests):
        """Makes load until so many are reported, and answers the versions that were served; served = reported."""
        before = len(self.served())
        self.swarm()
        both = lambda stats: stats.users_of() == [1, 1] and stats.requests >= requests
        self.api.await_stats(both, 30, of=self.master)
        return self.stop(before)

    def stop(self, before):
        self.api.get("/stop")
        stats = self.api.await_stats(lambda stats: stats.state == "stopped", 20, of=self.master)
        served = self.served()[before:]
        self.assertEqual((len(served), stats.failures), (stats.requests, 0))
        return set(served)

    def served(self):
        return re.findall(r"version=(\w+)", self.target.log.read_text())

    def test_a_swap_is_told_within_seconds_and_the_next_run_uses_it(self):
        self.begin(main=script("one"))
        first = self.fingerprints()
        self.assertEqual(self.run_until(20), {"one"})
        before = len(self.served())
        self.swarm()
        self.api.await_stats(lambda stats: stats.users_of() == [1, 1], 20, of=self.master)
        # A run goes on as it was, however often its script is swapped meanwhile.
        for version in ("a", "b", "c", "two"):
            for mount in self.mounts:
                mount.swap(main=script(version))
        stats = self.stats(lambda stats: not set(self.fingerprints(stats)) & set(first))
        self.assertEqual(len(set(self.fingerprints(stats))), 1)
        after = stats.requests
        self.stats(lambda stats: stats.requests > after + 10)
        self.assertEqual(self.stop(before), {"one"})
        short = self.fingerprints(stats)[0][:12]
        self.master.await_text(f"the scripts have changed: the next start uses main.lua as of {short}", 6)
        self.assertEqual(len(re.findall(rf"has the script main.lua as of {short}$", self.master.text(), re.M)), 2, self.master.said())
        self.assertEqual(self.run_until(20), {"two"})
        workers = json.loads(self.api.get("/api/v1/workers"))
        workers = workers if isinstance(workers, list) else workers["workers"]
        self.assertEqual([worker["fingerprint"] for worker in workers], self.fingerprints(stats))

    def test_workers_ahead_of_the_master_are_shown_and_still_run_what_it_has(self):
        self.begin(main=script("one"))
        self.mounts[1].swap(main=script("two"))
        stats = self.stats(lambda stats: self.states(stats) == ["differs", "ready"])
        self.assertEqual(len(set(self.fingerprints(stats))), 2)
        metrics = self.api.get("/metrics")
        for fingerprint in self.fingerprints(stats):
            self.assertIn(f'fingerprint="{fingerprint}"', metrics)
        self.assertEqual(self.run_until(20), {"one"})
        self.mounts[0].swap(main=script("two"))
        self.stats(lambda stats: self.states(stats) == ["ready", "differs"])
        self.swarm()
        # In Locust's words a start that waits for workers spawns.
        self.stats(lambda stats: stats.state == "spawning" and self.states(stats)[1] == "differs")
        before = len(self.served())
        self.mounts[2].swap(main=script("two"))
        self.api.await_stats(lambda stats: stats.users_of() == [1, 1] and stats.requests > 10, 20, of=self.master)
        self.assertEqual(self.stop(before), {"two"})

    def test_a_broken_script_is_shown_and_the_one_before_stays(self):
        self.begin(main=script("one"))
        first = self.fingerprints()
        self.mounts[2].swap(main="return function(")
        stats = self.stats(lambda stats: stats.workers[1]["script_error"])
        self.assertIn("main.lua:1:", stats.workers[1]["script_error"])
        self.assertIsNone(stats.workers[0]["script_error"])
        self.assertEqual((self.fingerprints(stats), self.states(stats)), (first, ["ready", "ready"]))
        self.assertIn("cannot be used, and it keeps those that it has", "".join(stats.whole["warnings"]))
        self.master.await_text("keeps the script that it has, for what its folder holds cannot be used:", 6)
        self.started[2].await_text("cannot be used, those from before stay:", 6)
        self.assertEqual(self.run_until(20), {"one"})
        # The master's own: a start is refused with the place of the error.
        self.mounts[0].swap(main="return function(")
        self.master.await_text("no run can start as they are:", 6)
        try:
            answer = json.dumps(self.api.swarm(user_count=2, spawn_rate=10))
        except urllib.error.HTTPError as refused:
            answer = refused.read().decode()
        self.assertIn("main.lua:1:", answer)
        for mount in self.mounts:
            mount.swap(main=script("two"))
        self.stats(lambda stats: not any(worker["script_error"] for worker in stats.workers) and first[0] not in self.fingerprints(stats))
        self.master.await_text("the next start uses main.lua as of", 6)
        self.stats(lambda stats: stats.whole["warnings"] == [])
        self.assertEqual(self.run_until(20), {"two"})

    def test_a_folder_that_vanishes_takes_nothing_along_and_may_come_back(self):
        self.begin(main=script("one"))
        first = self.fingerprints()
        before = len(self.served())
        self.swarm()
        self.api.await_stats(lambda stats: stats.users_of() == [1, 1], 20, of=self.master)
        mount = self.mounts[1].path
        mount.rename(mount.with_name("away"))
        stats = self.stats(lambda stats: stats.workers[0]["script_error"])
        self.assertIn("no folder at", stats.workers[0]["script_error"])
        self.assertEqual(self.stop(before), {"one"})
        self.assertEqual(self.run_until(20), {"one"})
        mount.with_name("away").rename(mount)
        self.stats(lambda stats: not stats.workers[0]["script_error"] and self.fingerprints(stats) == first)
        self.assertEqual(self.run_until(20), {"one"})

    def test_a_large_script_two_config_maps_in_one_tree_and_binary_data(self):
        text = script("one", before='local shop = require "lib.shop"; assert(shop.one); assert(require("more.pay").two)')
        filler = "\n".join(f"-- {number:060}" for number in range(18_000))
        large = (text + filler).encode()
        self.assertGreater(len(large), 1 << 20)
        files = {"main.lua": large, "lib/shop.lua": b"return { one = true }", "picture.png": bytes(range(256)) * 100}
        self.begin(main=script("none"))
        nested = []
        for mount in self.mounts:
            nested.append(Mounted(mount.path / "more", pay="return { two = true }"))
            mount.bring(files)
        none = self.fingerprints()[0]
        stats = self.stats(lambda stats: none not in self.fingerprints(stats))
        self.assertEqual(self.run_until(20), {"one"})
        # A change in the mount within the mount is one, too; that of a file that no script reads is none.
        for mount in nested:
            mount.swap(pay="return { two = 2 }")
        second = self.stats(lambda now: self.fingerprints(now)[0] != self.fingerprints(stats)[0] and len(set(self.fingerprints(now))) == 1)
        lines = self.master.text().count("has the script main.lua as of")
        for mount in self.mounts:
            mount.bring({**files, "picture.png": b"\0\1"})
        time.sleep(5)
        self.assertEqual(self.fingerprints(), self.fingerprints(second))
        self.assertEqual(self.master.text().count("has the script main.lua as of"), lines)
        self.assertEqual(self.run_until(20), {"one"})

    def test_a_running_test_takes_a_change_over_between_two_iterations(self):
        self.begin(["--reload", "live"], main=shopper("one"))
        self.api.swarm(user_count=4, spawn_rate=100)
        self.api.await_stats(lambda stats: stats.users_of() == [2, 2] and stats.requests > 40, 20, of=self.master)
        first = self.fingerprints()
        for mount in self.mounts[:2]:
            mount.swap(main=shopper("two"))
        # One kubelet is late: its worker goes on with what it has, and people see it.
        late = self.stats(lambda stats: any("1 of 2 workers run an older revision" in text for text in stats.whole["warnings"]), 12)
        self.assertEqual((late.state, late.users), ("running", 4))
        self.mounts[2].swap(main=shopper("two"))
        self.stats(lambda stats: not any("older revision" in text for text in stats.whole["warnings"]), 15)
        self.assertNotIn(first[0], self.fingerprints())
        self.master.await_text("(revision 1), each after the iteration that it is in")
        count = len(self.calls())
        self.api.await_stats(lambda stats: len(self.calls()) > count + 40 and stats.users_of() == [2, 2], 20, of=self.master)
        self.api.get("/stop")
        stats = self.api.await_stats(lambda stats: stats.state == "stopped", 20, of=self.master)
        self.assertEqual((len(self.calls()), stats.failures), (stats.requests, 0))
        self.assertTrue(any("its numbers are of all versions together" in text for text in stats.whole["warnings"]), stats.whole["warnings"])
        for user in range(4):
            calls = [(what, version, number) for who, what, version, number in self.calls() if who == user]
            # Whole lives, one after the other, and iterations that count on.
            lives = [(what, version) for what, version, _ in calls if what != "iteration"]
            self.assertEqual(lives, [("start", "one"), ("stop", "one"), ("start", "two"), ("stop", "two")])
            numbers = [number for what, _, number in calls if what == "iteration"]
            self.assertEqual(numbers, list(range(1, len(numbers) + 1)))
            versions = [version for what, version, _ in calls if what == "iteration"]
            self.assertEqual(versions, sorted(versions))
            self.assertLessEqual({"one", "two"}, set(versions))

    def test_a_change_that_cannot_be_taken_over_leaves_the_running_test_as_it_is(self):
        self.begin(["--reload", "live"], main=shopper("one", start='error("no token")'))
        self.api.swarm(user_count=2, spawn_rate=100)
        self.stats(lambda stats: stats.state == "running")
        self.swap_all("return function(")
        broken = self.stats(lambda stats: any("cannot be taken over: main.lua:1:" in text for text in stats.whole["warnings"]), 12)
        self.assertEqual(broken.state, "running")
        self.swap_all(shopper("two", name="Another"))
        self.stats(lambda stats: any("its user classes" in text for text in stats.whole["warnings"]), 12)
        self.assertEqual(self.calls(), [])
        # A user whose `on_start` raises again and again begins by the mended one.
        self.swap_all(shopper("three"))
        self.stats(lambda stats: stats.users_of() == [1, 1] and stats.requests > 10, 20)
        self.assertEqual({version for _, _, version, _ in self.calls()}, {"three"})
        self.assertFalse(any("cannot be taken over" in text for text in self.api.stats().whole["warnings"]))

    def swap_all(self, text):
        for mount in self.mounts:
            mount.swap(main=text)

    def calls(self):
        """What users did, in the order in which it was served: (user, what, version, iteration)."""
        found = re.findall(r"who=(\d+)&what=(\w+)&version=(\w+)&iteration=(\d+)", self.target.log.read_text())
        return [(int(user), what, version, int(number)) for user, what, version, number in found]


def shopper(version, start="", name="Shopper"):
    """A user whose every step is a request that says which it is."""
    return f"""
local http, scenario, wait = require "http", require "scenario", require "wait"
local Shopper = scenario.user {{ name = "{name}", wait = wait.constant(0.05) }}
local function call(self, what)
  http.get("/small.json?user=1&who=" .. self.index .. "&what=" .. what .. "&version={version}&iteration=" .. (self.iteration or 0), {{ name = what }})
end
function Shopper:on_start() {start} call(self, "start") end
function Shopper:on_stop() call(self, "stop") end
Shopper:task("ask", function(self) call(self, "iteration") end)
return scenario {{ users = {{ Shopper }} }}
"""


if __name__ == "__main__":
    unittest.main()
