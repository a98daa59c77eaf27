"""The commands as a person types them: exit codes, messages, every shipped script, the files of `--csv` and `--json`."""

import csv
import math
import os
import pathlib
import tempfile
import unittest

import support

FAILING = 'local http = require "http"\nreturn function() http.get("/absent") end\n'
PASSING = 'local http = require "http"\nreturn function() http.get("/small.json", { name = "small" }) end\n'

TWO_NAMES = """
local http = require "http"
return function()
  http.get("/small.json", { name = "one" })
  http.get("/small.json", { name = "two" })
end
"""

JUDGED = """
local http, scenario = require "http", require "scenario"
local Asker = scenario.user {{ name = "Asker" }}
Asker:task("ask", function() http.get("/{path}", {{ name = "asked" }}) end)
return scenario {{ users = {{ Asker }}, thresholds = {{ http_req_failed = {{ "rate {limit}" }} }} }}
"""


class Commands(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.nginx = cls.enterClassContext(support.Nginx(access_log=False))

    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def lunamoth(self, *arguments, env=None):
        return support.run([support.program(), *arguments], deadline=60, env=env)

    def short_run(self, text, *options):
        path = support.script(self.folder, "asked.lua", text)
        return self.lunamoth("run", path, "-H", self.nginx.url, "-u", 5, "-r", 5, "-t", "1s", "--headless", *options)

    def test_exit_codes_tell_the_verdict(self):
        for wanted, text, options in (
            (0, PASSING, ()),
            (1, FAILING, ()),
            (7, FAILING, ("--exit-code-on-error", 7)),
            (0, JUDGED.format(path="absent", limit="<= 100%"), ()),
            (99, JUDGED.format(path="absent", limit="< 1%"), ()),
            (0, JUDGED.format(path="small.json", limit="< 1%"), ()),
        ):
            with self.subTest(wanted=wanted, text=text):
                done = self.short_run(text, *options)
                self.assertEqual(done.code, wanted, done.said())

    def test_bad_use_is_exit_code_2_with_a_message_and_no_backtrace(self):
        good = support.script(self.folder, "good.lua", PASSING)
        broken = support.script(self.folder, "broken.lua", "local http = require 'http'\nlocal function = 1\n")
        number = support.script(self.folder, "number.lua", "return 42\n")
        option = support.script(self.folder, "option.lua", 'local http = require "http"\nreturn function() http.get("/", { nam = "x" }) end\n')
        address = support.script(self.folder, "address.lua", 'local http = require "http"\nreturn function() http.get("http://[::1") end\n')
        host = ("-H", self.nginx.url)
        for arguments, words in (
            (("run", self.folder / "absent.lua", *host), ["absent.lua"]),
            (("run", self.folder, *host), [str(self.folder)]),
            (("run", broken, *host), ["broken.lua:2"]),
            (("run", number, *host), ["number.lua"]),
            (("check", option, *host), ["option.lua:2", "`nam`", "`name`"]),
            (("run", option, *host, "-t", "1s"), ["option.lua:2", "`nam`", "`name`"]),
            (("run", address, *host, "-t", "1s"), ["address.lua:2", "http://[::1"]),
            (("run", good, *host, "-u", "abc"), ["abc"]),
            (("run", good, *host, "-t", "5x"), ["5x"]),
            (("run", good, "-H", "http://"), ["http://"]),
            (("run", good, "-t", "1s"), ["host"]),
            (("fly",), ["fly"]),
        ):
            with self.subTest(arguments):
                done = self.lunamoth(*arguments)
                self.assertEqual(done.code, 2, done.said())
                for word in words:
                    self.assertIn(word, done.stdout + done.stderr, done.said())
                self.assertNotIn("backtrace", done.stderr)
                self.assertNotIn("panicked", done.stderr)

    def test_a_dead_host_is_a_failed_sample_and_not_an_error_of_the_tool(self):
        path = support.script(self.folder, "dead.lua", PASSING)
        report = self.folder / "dead.json"
        done = self.lunamoth(
            *("run", path, "-H", f"http://127.0.0.1:{support.free_port()}", "-u", 2, "-r", 2, "-t", "2s", "--headless", "--json", report)
        )
        self.assertEqual(done.code, 1, done.said())
        total = support.Report(report).total
        self.assertEqual((total.kinds, total.not_sent), ({"refused": total.requests}, total.requests))
        # The pause after a fruitless iteration holds: two users that spun would have failed thousands of times.
        self.assertLess(total.requests, 60)

    def test_every_shipped_script_runs_and_checks(self):
        scripts = sorted((support.ROOT / "scripts").glob("*.lua"))
        self.assertTrue(any(path.name == "quickstart.lua" for path in scripts))
        for path in scripts:
            with self.subTest(path.name):
                done = self.lunamoth("check", path, "-H", "builtin:shop")
                self.assertIn(done.code, (0, 1), done.said())
                done = self.lunamoth("run", path, "-H", "builtin:shop", "-t", "3s", "--headless")
                self.assertIn(done.code, (0, 1, 99), done.said())
                self.assertIn("Total", done.stdout)
                self.assertNotIn("panicked", done.stderr)

    def test_the_quickstart_passes(self):
        done = self.lunamoth("run", support.ROOT / "scripts" / "quickstart.lua", "-u", 20, "-r", 20, "-t", "3s", "--headless")
        self.assertEqual(done.code, 0, done.said())

    def test_csv_files_have_the_columns_and_the_totals_of_the_report(self):
        base, report = self.folder / "out", self.folder / "out.json"
        done = self.short_run(FAILING, "--csv", base, "--json", report)
        self.assertEqual(done.code, 1, done.said())
        total = support.Report(report).total
        stats = rows(f"{base}_stats.csv")
        self.assertEqual(list(stats[0])[:4], ["Type", "Name", "Request Count", "Failure Count"])
        self.assertEqual(list(stats[0])[-1], "100%")
        self.assertEqual((stats[-1]["Name"], int(stats[-1]["Request Count"])), ("Aggregated", total.requests))
        self.assertEqual(sum(int(row["Request Count"]) for row in stats[:-1]), total.requests)
        failures = rows(f"{base}_failures.csv")
        self.assertEqual(sum(int(row["Occurrences"]) for row in failures), total.failures)
        self.assertEqual(list(rows(f"{base}_stats_history.csv")[0])[:4], ["Timestamp", "User Count", "Type", "Name"])
        self.assertTrue(pathlib.Path(f"{base}_exceptions.csv").read_text().startswith("Count,Message,Traceback,Nodes"))

    def test_histograms_of_the_json_open_in_another_implementation(self):
        try:
            from hdrh.histogram import HdrHistogram
        except ImportError:
            if os.environ.get("CI"):
                self.fail("the check needs the PyPI package `hdrhistogram`")
            self.fail("needs `python3 -m pip install hdrhistogram`")
        totals = []
        for number in (1, 2):
            path = self.folder / f"out{number}.json"
            self.assertEqual(self.short_run(TWO_NAMES, "--json", path).code, 0)
            report = support.Report(path)
            total, parts = opened(HdrHistogram, report.total), HdrHistogram(1, 3_600_000_000, 3)
            for entry in report.entries.values():
                parts.add(opened(HdrHistogram, entry))
            self.assertEqual(parts.get_total_count(), report.total.requests)
            self.same(parts, total)
            for quantile in (50, 90, 95, 99, 99.9):
                found = report.total.millis(f"p{quantile}")
                # Never beyond the exact maximum, which the histogram's last bucket may be.
                wanted = min(at_percentile(total, quantile) / 1e3, report.total.millis("max"))
                self.assertAlmostEqual(found, wanted, delta=0.002 + found * 0.001)
            totals.append((report.total, total))
        # Two runs, merged by the other implementation, are the sum of both.
        merged = HdrHistogram(1, 3_600_000_000, 3)
        for _, histogram in totals:
            merged.add(histogram)
        self.assertEqual(merged.get_total_count(), sum(entry.requests for entry, _ in totals))
        for value in (histogram.get_value_at_percentile(50) for _, histogram in totals):
            self.assertEqual(merged.get_count_at_value(value), sum(histogram.get_count_at_value(value) for _, histogram in totals))

    def same(self, left, right):
        steps = lambda histogram: [(step.value_iterated_to, step.count_at_value_iterated_to) for step in histogram.get_recorded_iterator()]
        self.assertEqual(steps(left), steps(right))


def opened(decoder, entry):
    return decoder.decode(entry.histogram.encode())


def at_percentile(histogram, percentile):
    """The least value that `percentile` of the counts do not exceed; the library's own answer rounds the rank instead."""
    rank, seen = math.ceil(histogram.get_total_count() * percentile / 100), 0
    for step in histogram.get_recorded_iterator():
        seen += step.count_added_in_this_iter_step
        if seen >= rank:
            return step.value_iterated_to
    raise AssertionError(f"{rank} values are not in {histogram.get_total_count()}")


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


if __name__ == "__main__":
    unittest.main()
