"""`lunamoth compare` on real runs: a run is no different from itself, a target that is half as slow again is worse.

    tests/world/run test_compare
    COMPARE_PAIRS=20 tests/world/run test_compare    the measurement: of so many pairs equal ones are no different, and 5 % slower ones are worse
"""

import concurrent.futures
import os
import pathlib
import signal
import sys
import tempfile
import unittest
import xml.etree.ElementTree

import support

MEASURED = int(os.environ.get("COMPARE_PAIRS", 0))
PAIRS = max(MEASURED, 1)
# What surely breaks a limit.
MUCH_SLOWER = 1.5
# What other processes of the machine do to a single pair is more than 5 %.
SLOWER = 1.05 if MEASURED else MUCH_SLOWER
SECONDS = 30
# Runs at a time: the delays are sleeps, and the target needs little of the machine.
AT_ONCE = 6

SCRIPT = """local http = require "http"
return function(self)
  if self.index % 4 == 0 then http.get("/cart") else http.get("/products") end
end
"""

WANDERING = pathlib.Path(__file__).with_name("wandering.py")


class Compare(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        cls.script = support.script(cls.folder, "compare.lua", SCRIPT)
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            kinds = [(kind, slowness, number) for number in range(PAIRS) for kind, slowness in (("base", 1), ("equal", 1), ("slow", SLOWER))]
            kinds.append(("much slower", MUCH_SLOWER, 0))
            done = list(pool.map(cls.make, *zip(*kinds)))
        assert len(done) == 3 * PAIRS + 1

    @classmethod
    def make(cls, kind, slowness, number):
        port = support.free_port()
        seed = 4 * number + ("base", "equal", "slow", "much slower").index(kind)
        target = support.Running([sys.executable, WANDERING, port, slowness, seed], deadline=SECONDS + 90)
        try:
            support.await_url(f"http://127.0.0.1:{port}/")
            command = [support.program(), "run", cls.script, "-H", f"http://127.0.0.1:{port}", "-u", 8, "-r", 8, "-t", f"{SECONDS}s"]
            done = support.run([*command, "--headless", "--quiet", "--json", cls.report(kind, number)], deadline=SECONDS + 60)
            assert done.code == 0, done.said()
        finally:
            target.signal(signal.SIGTERM)
            target.wait()

    @classmethod
    def report(cls, kind, number):
        return cls.folder / f"{kind}-{number}.json"

    def compare(self, *arguments, code=0):
        done = support.run([support.program(), "compare", *arguments], deadline=60)
        self.assertEqual(done.code, code, done.said())
        return done.stdout

    def verdicts(self, kind):
        """The last line of each comparison, such as `Total: worse. Of 2 entries 1 worse, 0 better.`"""
        said = [self.compare(self.report("base", number), self.report(kind, number)) for number in range(PAIRS)]
        return [text.strip().splitlines()[-1] for text in said]

    def test_equal_runs_are_hardly_ever_called_different(self):
        verdicts = self.verdicts("equal" if MEASURED else "base")
        seen = [line for line in verdicts if line != "Total: no difference seen. Of 2 entries 0 worse, 0 better."]
        print(f"{len(seen)} of {PAIRS} pairs of equal runs are called different")
        self.assertLessEqual(len(seen), PAIRS * 2 // 20, seen)

    def test_a_target_that_is_slower_is_called_worse(self):
        verdicts = self.verdicts("slow")
        seen = [line for line in verdicts if line.startswith("Total: worse.")]
        print(f"{len(seen)} of {PAIRS} pairs with a slower target are called worse")
        self.assertGreaterEqual(len(seen), PAIRS - PAIRS // 20, verdicts)

    def test_limits_end_with_99_only_where_they_are_surely_broken_and_are_written_for_others(self):
        base, slow = self.report("base", 0), self.report("much slower", 0)
        markdown, junit = self.folder / "out.md", self.folder / "out.xml"
        self.compare(base, slow, "--limit", "p(50) +90%", "--limit", "rate -70%", "--limit", "failures +1%")
        files = ("--markdown", markdown, "--junit", junit)
        said = self.compare(base, slow, "--limit", "avg +0%", "--limit", "p(99) +300%", *files, code=99)
        self.assertIn("BROKEN", said)
        self.assertIn("**worse**", markdown.read_text())
        suite = xml.etree.ElementTree.parse(junit).getroot()
        self.assertEqual((suite.get("tests"), len(suite.findall(".//testcase"))), ("6", 6))
        self.assertEqual(len(suite.findall(".//failure")), int(suite.get("failures")))
        self.assertGreaterEqual(int(suite.get("failures")), 1)
        self.assertEqual(self.compare(base, slow), self.compare(base, slow), "the same reports give the same words")
        self.assertTrue(self.compare(base, slow, "--markdown", "-").startswith("### Load test: "))

    def test_a_run_that_keeps_the_limits_is_the_base_of_the_next_comparison_and_one_that_breaks_them_is_not(self):
        base, equal, slow = self.folder / "kept.json", self.report("base", 0), self.report("slow", 0)
        limits = ("--limit", "avg +20%", "--update")
        self.assertIn("is the base of the next comparison", self.compare(base, equal, *limits))
        self.assertEqual(base.read_bytes(), equal.read_bytes())
        self.compare(base, slow, *limits, code=99)
        self.assertEqual(base.read_bytes(), equal.read_bytes())
        cut = self.folder / "cut.json"
        cut.write_text(equal.read_text().replace('"complete":true', '"complete":false').replace('"complete": true', '"complete": false'))
        self.assertIn("its run is not complete", self.compare(base, cut, *limits))
        self.assertEqual(base.read_bytes(), equal.read_bytes())
        none = self.folder / "none.json"
        done = support.run([support.program(), "compare", none, self.folder / "missing.json", "--update"], deadline=20)
        self.assertEqual((done.code, none.exists()), (2, False), done.said())

    def test_what_cannot_be_compared_ends_with_2_and_a_line(self):
        base = self.report("base", 0)
        torn = self.folder / "torn.json"
        torn.write_text(base.read_text()[:1000])
        other = self.folder / "other.json"
        other.write_text('{"schema": 7}')
        for arguments, words in (
            ((base, self.folder / "none.json"), "cannot read"),
            ((base, torn), "is no report of `--json`"),
            ((base, other), "has the schema 7"),
            ((base, base, "--limit", "p99 +5%"), "did you mean `p(99)`"),
            ((base, base, "--limit", "p(99) < 5ms"), "not where it may stand"),
        ):
            with self.subTest(words):
                done = support.run([support.program(), "compare", *arguments], deadline=20)
                self.assertEqual((done.code, words in done.stderr, done.stderr.count("\n")), (2, True, 1), done.said())


if __name__ == "__main__":
    unittest.main()
