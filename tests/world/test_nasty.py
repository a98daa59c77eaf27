"""Everything that a target can do wrong lands in its own kind, and `answered <= served <= answered + unanswered` holds."""

import pathlib
import tempfile
import unittest

import nasty
import support

SCRIPT = """
local http = require "http"
local paths = { %s }
return function()
  for _, path in ipairs(paths) do
    http.get(path, { name = path, timeout = "700ms", redirects = 3 })
  end
end
"""

SOMETIMES = """
local http, wait = require "http", require "wait"
local time = require "time"
return function()
  http.get("/sometimes-closes", { name = "/sometimes-closes" })
  time.sleep(0.001)
end
"""


class EachWrongHasItsKind(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.target = nasty.Nasty()
        self.addCleanup(self.target.close)

    def load(self, text, seconds, *options):
        report = self.folder / "report.json"
        command = [support.program(), "run", support.script(self.folder, "nasty.lua", text), "-H", f"http://127.0.0.1:{self.target.port}"]
        done = support.run([*command, "-u", 8, "-r", 8, "-t", f"{seconds}s", "--headless", "--json", report, *options], deadline=60)
        found = support.Report(report)
        served = sum(self.target.served.values())
        self.assertLessEqual(found.total.answered, served, done.said())
        self.assertLessEqual(served, found.total.answered + found.total.unanswered, done.said())
        return done, found

    def test_each_wrong_lands_in_its_own_kind(self):
        done, found = self.load(SCRIPT % ", ".join(f'"{path}"' for path in nasty.KINDS), 8, "--body-limit", "2MiB")
        self.assertEqual(done.code, 1, done.said())
        for path, kinds in nasty.KINDS.items():
            with self.subTest(path):
                # A ring of redirects has an entry for each place in it.
                rows = [entry for name, entry in found.entries.items() if name == path or name.startswith(f"{path} > ")]
                self.assertTrue(rows, f"no entry for {path}: {list(found.entries)}")
                total = {kind: sum(row.kinds.get(kind, 0) for row in rows) for row in rows for kind in row.kinds}
                # Requests in flight at the stop are waited for, so nothing is cut.
                self.assertEqual(set(total), kinds, total)

    def test_connections_closed_at_random_moments_are_retried_and_no_failure(self):
        done, found = self.load(SOMETIMES, 4)
        self.assertEqual((done.code, found.total.failures), (0, 0), done.said())
        self.assertGreater(found.total.requests, 200)


if __name__ == "__main__":
    unittest.main()
