"""Certified numbers: a generator that is starved says in which seconds and why, and one that is not blames nobody.

The load comes from one core and the target from another; a busy process takes the generator's core for some seconds.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest

import support

# Two hundred requests a second, whatever the target does.
STEADY = """
local http, scenario = require "http", require "scenario"
local Asker = scenario.user { name = "Asker" }
Asker:task("ask", function() http.get("/small.json") end)
return scenario { users = { Asker }, load = scenario.arrivals { { rate = "200/s", over = "1s" }, { hold = "SECONDSs" } } }
"""

# Each second one of its users keeps the lane for a third of it, in line 6.
HOLDING = """
local http, scenario, time = require "http", require "scenario", require "time"
local Shopper = scenario.user { name = "Shopper" }
local function price()
  local began = time.now()
  while time.now() - began < 0.34 do end
end
Shopper:task("browse", { weight = 20 }, function() http.get("/small.json") time.sleep(0.05) end)
Shopper:task("checkout", function() price() http.get("/small.json") end)
return scenario { users = { Shopper }, load = scenario.ramp { { users = 6, over = 0 }, { hold = "8s" } } }
"""

# What a neighbour on the same core does: it is awake all the time.
BUSY = "import os, time\nend = time.monotonic() + float({seconds})\nwhile time.monotonic() < end: pass\n"

# Another, awake for nine tenths of each tenth of a second.
HOG = """
import time
end = time.monotonic() + {seconds}
while time.monotonic() < end:
    turn = time.monotonic() + 0.09
    while time.monotonic() < turn: pass
    time.sleep(0.01)
"""


def before_all_others(core):
    """Puts the process onto the core, in real time: it is not asked to share."""
    os.sched_setaffinity(0, {core})
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))


class Soundness(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        cores = support.cores()
        if len(cores) < 2:
            raise SystemExit("two cores are needed: one for the generator, one for its target")
        self.generator, self.target = {cores[0]}, {cores[1]}

    def start(self, url, seconds, *more):
        report, script = self.folder / "report.json", support.script(self.folder, "main.lua", STEADY.replace("SECONDS", str(seconds - 1)))
        command = [support.program(), "run", script, "-H", url, "--headless", "--lanes", 1, "--json", report, *more]
        return support.Running(command, deadline=seconds + 60, pins=self.generator), report

    def test_a_starved_generator_says_in_which_seconds_and_strict_ends_with_4(self):
        with support.Nginx(access_log=False, pins=self.target) as nginx:
            running, report = self.start(nginx.url, 14, "--strict")
            time.sleep(5)
            core = next(iter(self.generator))
            busy = subprocess.Popen([sys.executable, "-c", BUSY.format(seconds=2)], preexec_fn=lambda: before_all_others(core))
            busy.wait(30)
            done = running.wait()
        found = json.loads(report.read_text())
        generator, history = found["generator"], found["history"]
        self.assertEqual(done.code, 4, done.said())
        reasons = {one["reason"] for one in generator["unsound"]}
        self.assertIn("late", reasons)
        # Those seconds, the one in which it came back, and no others.
        late = [point["at_s"] for point in history if "late" in point["reasons"]]
        self.assertTrue(late and 3 <= min(late) and max(late) <= 9, late)
        self.assertLess(len(late), 6)
        self.assertGreater(generator["unsound_requests"], 0)
        self.assertIn("the generator was late", done.stdout)
        self.assertIn("UNSOUND", done.stdout)

    def test_a_slow_target_is_not_blamed_on_the_generator(self):
        with support.Nginx(access_log=False, pins=self.target) as nginx:
            running, report = self.start(nginx.url, 12, "--strict")
            time.sleep(3)
            # For five seconds the target has a tenth of its core, in turns of a hundredth of a second: what is before it is real time, since
            # how ordinary processes share depends on the kernel's groups of them.
            hog = subprocess.Popen([sys.executable, "-c", HOG.format(seconds=5)], preexec_fn=lambda: before_all_others(next(iter(self.target))))
            hog.wait(30)
            done = running.wait()
        found = json.loads(report.read_text())
        self.assertEqual((found["generator"]["unsound_s"], done.code), (0, 0), done.said())
        self.assertGreater(found["total"]["max_ms"], 50)

    def test_a_script_that_holds_its_lane_is_named_with_class_task_and_line(self):
        with support.Nginx(access_log=False, pins=self.target) as nginx:
            script, report = support.script(self.folder, "main.lua", HOLDING), self.folder / "holding.json"
            command = [support.program(), "run", script, "-H", nginx.url, "--headless", "--lanes", 1, "--json", report]
            done = support.run(command, deadline=60, pins=self.generator)
        late = [one for one in json.loads(report.read_text())["generator"]["unsound"] if one["reason"] == "late"]
        holds = [hold for one in late for hold in one["holds"]]
        self.assertTrue(holds, done.said())
        self.assertEqual({hold["by"] for hold in holds}, {"Shopper:checkout"})
        # The loop calls a native, in which it may be seen as well.
        self.assertIn("main.lua:6", {hold["place"] for hold in holds}, holds)
        longest = max(hold["longest_ms"] for hold in holds)
        self.assertTrue(200 <= longest <= 2_000, holds)
        self.assertIn("late: Shopper:checkout held the lane for ", done.stdout)
        self.assertIn(" at main.lua:6", done.stdout)

    def test_the_floor_is_measured_before_the_run_and_is_in_none_of_its_numbers(self):
        with support.Nginx(access_log=True, pins=self.target) as nginx:
            found = {}
            for switch in ((), ("--no-floor",)):
                script, report = support.script(self.folder, "main.lua", STEADY.replace("SECONDS", "2")), self.folder / "floor.json"
                command = [support.program(), "run", script, "-H", nginx.url, "--headless", "--json", report, *switch]
                done = support.run(command, deadline=60)
                found[switch] = (json.loads(report.read_text()), done)
            served = len([line for line in nginx.logged() if "small.json" in line])
        with_floor, done = found[()]
        floor = with_floor["floor"]
        self.assertTrue(floor["requests"] >= 100 and 0 < floor["p50_ms"] <= floor["p99_ms"] and floor["cpu_ms"] > 0, floor)
        self.assertEqual(with_floor["workers"][0]["floor"], floor)
        self.assertIn("Floor: a request that costs the target nothing takes ", done.stdout)
        without, done = found[("--no-floor",)]
        self.assertIsNone(without["floor"])
        self.assertNotIn("Floor:", done.stdout)
        self.assertEqual(served, sum(report["total"]["requests"] for report, _ in found.values()))


if __name__ == "__main__":
    unittest.main()
