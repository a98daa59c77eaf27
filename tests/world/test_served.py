"""Served = reported: nginx logs one line for each request that it served, and the report must say the same number.

For a run that ends by `-t`, one that is stopped by Ctrl-C, one whose scenario ends it, and one whose stop timeout cuts
requests in flight. A run without anything unanswered must agree to the unit.
"""

import json
import pathlib
import signal
import tempfile
import time
import unittest

import support

SMALL = """
local http = require "http"
return function() http.get("/small.json", { name = "small" }) end
"""

RAMP = """
local http, scenario = require "http", require "scenario"
local Asker = scenario.user { name = "Asker" }
Asker:task("ask", function() http.get("/small.json", { name = "small" }) end)
return scenario { users = { Asker }, load = scenario.ramp { { users = 20, over = "1s" }, { hold = "2s" } } }
"""

SLOW = """
local http = require "http"
return function()
  http.get("/small.json", { name = "small" })
  http.get("/slow.bin", { name = "slow" })
  http.get("/absent", { name = "absent" })
end
"""


class ServedIsReported(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.nginx = self.enterContext(support.Nginx(access_log=True))
        self.report = self.folder / "report.json"

    def start(self, text, *options):
        path = support.script(self.folder, "served.lua", text)
        command = [support.program(), "run", path, "-H", self.nginx.url, "--headless", "--json", self.report, *options]
        return support.Running(command, deadline=60)

    def lines(self):
        return [line for line in self.nginx.logged() if not line.endswith(" /status")]

    def slow_ended(self):
        return self.nginx.log.read_text().count(" /slow.bin\n")

    def agree(self, done, codes):
        self.assertIn(done.code, codes, done.said())
        total, lines = support.Report(self.report).total, self.lines()
        self.assertGreater(len(lines), 0)
        self.assertLessEqual(total.answered, len(lines))
        self.assertLessEqual(len(lines), total.answered + total.unanswered)
        if total.unanswered == 0:
            self.assertEqual(total.requests - total.not_sent, len(lines), done.said())
        return total, lines

    def test_a_run_that_ends_by_its_time(self):
        done = self.start(SMALL, "-u", "50", "-r", "50", "-t", "3s").wait()
        total, lines = self.agree(done, {0})
        self.assertEqual((total.failures, total.unanswered, total.requests), (0, 0, len(lines)))

    def test_a_run_that_its_scenario_ends(self):
        total, lines = self.agree(self.start(RAMP).wait(), {0})
        self.assertEqual((total.failures, total.unanswered, total.requests), (0, 0, len(lines)))

    def test_a_run_that_is_stopped_by_ctrl_c(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(number):
                running = self.start(SMALL, "-u", "50", "-r", "50", "-t", "50s")
                time.sleep(2.5)
                running.signal(number)
                done = running.wait()
                self.assertLess(done.wall, 20, done.said())
                total, lines = self.agree(done, {0})
                self.assertEqual((total.failures, total.unanswered, total.requests), (0, 0, len(lines)))
            self.nginx.close()
            self.nginx = self.enterContext(support.Nginx(access_log=True))

    def test_a_stop_that_cuts_what_is_in_flight(self):
        running = self.start(SLOW, "-u", "30", "-r", "30", "-t", "50s", "--stop-timeout", "300ms")
        time.sleep(2)
        # nginx ends slow bodies together, by its clock's seconds: right after one has ended the next have most of their second before them.
        ended = self.slow_ended()
        while self.slow_ended() == ended:
            time.sleep(0.01)
        time.sleep(0.1)
        running.signal(signal.SIGINT)
        done = running.wait()
        # What is absent has failed; what was cut has not.
        total, _ = self.agree(done, {1})
        # Some users are in the middle of the slow body when the stop comes: that is what the test is for.
        self.assertGreater(total.cut, 0, done.said())

    def test_a_second_ctrl_c_cuts_users_that_will_not_end(self):
        running = self.start(SLOW, "-u", "30", "-r", "30", "-t", "50s", "--stop-timeout", "40s")
        time.sleep(2.5)
        running.signal(signal.SIGINT)
        time.sleep(0.3)
        running.signal(signal.SIGINT)
        done = running.wait()
        self.assertLess(done.wall, 10, done.said())
        total, _ = self.agree(done, {130})
        self.assertGreater(total.cut, 0, done.said())

    def test_every_entry_agrees_with_its_path(self):
        done = self.start(SLOW, "-u", "10", "-r", "10", "-t", "4s").wait()
        total, lines = self.agree(done, {1})
        entries = support.Report(self.report).entries
        for name, path in (("small", "/small.json"), ("slow", "/slow.bin"), ("absent", "/absent")):
            served = sum(line.endswith(f" {path}") for line in lines)
            self.assertEqual(entries[name].requests - entries[name].not_sent, served, name)
        self.assertEqual(entries["absent"].kinds, {"status": entries["absent"].requests})
        self.assertEqual(total.failures, entries["absent"].failures)


class TheDemoTargetCounts(unittest.TestCase):
    """The same against the built-in shop by itself, whose `/count` is another's counter."""

    def setUp(self):
        port = support.free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.report = self.folder / "report.json"
        target = support.Running([support.program(), "target", "--bind", f"127.0.0.1:{port}"], deadline=60)
        self.addCleanup(lambda: self.assertEqual(target.wait().code, 0))
        self.addCleanup(target.signal, signal.SIGINT)
        support.await_url(f"{self.url}/count")

    def load(self, path, *options):
        script = support.script(self.folder, "shop.lua", f'local http = require "http"\nreturn function() http.get("{path}") end\n')
        command = [support.program(), "run", script, "-H", self.url, "--headless", "--json", self.report, *options]
        return support.Running(command, deadline=60)

    def count(self):
        return json.loads(support.fetch(f"{self.url}/count"))

    def test_the_shop_served_what_was_reported(self):
        done = self.load("/products/7", "-u", "20", "-r", "20", "-t", "2s").wait()
        self.assertEqual(done.code, 0, done.said())
        count = self.count()
        self.assertEqual(support.Report(self.report).total.requests, count["total"])
        self.assertEqual(count["paths"], {"/products/:n": count["total"]})

    def test_requests_in_flight_at_the_stop_are_waited_for_within_the_stop_timeout(self):
        running = self.load("/delay/1500", "-u", "10", "-r", "100", "-t", "50s", "--stop-timeout", "5s")
        time.sleep(1)
        running.signal(signal.SIGTERM)
        done = running.wait()
        self.assertEqual(done.code, 0, done.said())
        self.assertLess(done.wall, 4, done.said())
        total = support.Report(self.report).total
        self.assertEqual((total.requests, total.failures, total.unanswered), (10, 0, 0))
        self.assertEqual(self.count()["total"], 10)

    def test_requests_in_flight_past_the_stop_timeout_are_counted_as_cut(self):
        done = self.load("/delay/5000", "-u", "10", "-r", "100", "-t", "1s", "--stop-timeout", "300ms").wait()
        # They are no failures; but nothing was learned of the target.
        self.assertEqual(done.code, 1, done.said())
        self.assertIn("FAILED: no request came to its end", done.stdout)
        self.assertLess(done.wall, 3.5, done.said())
        total = support.Report(self.report).total
        self.assertEqual((total.requests, total.cut, total.failures, total.unanswered, total.not_sent), (10, 10, 0, 10, 0))


if __name__ == "__main__":
    unittest.main()
