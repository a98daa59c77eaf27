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


if __name__ == "__main__":
    unittest.main()
