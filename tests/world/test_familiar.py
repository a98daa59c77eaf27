"""Scenarios that Locust's and k6's own documentation shows, written anew in Lua: they run, get what they ask for, and are no longer than there.

`familiar/` has them; the README has the table. Against the built-in shop, so that paths differ from those of the originals.
"""

import pathlib
import re
import tempfile
import unittest

import support

FOLDER = support.ROOT / "tests" / "world" / "familiar"

# With a load of their own, of which a part is enough here.
LOADED = {"locust_stages", "k6_arrivals"}


def code_lines(text):
    return sum(1 for line in text.splitlines() if line.strip() and not line.strip().startswith("--"))


class Familiar(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def run_scenario(self, path):
        report = self.folder / f"{path.stem}.json"
        users = [] if path.stem in LOADED else ["-u", 5, "-r", 5]
        command = [support.program(), "run", path, "-H", "builtin:shop", *users, "-t", "4s", "--headless", "--json", report]
        done = support.run(command, deadline=60)
        self.assertEqual(done.code, 0, f"{path.name}\n{done.said()}")
        return support.Report(report)

    def test_each_of_them_runs_and_gets_what_it_asks_for(self):
        scenarios = sorted(FOLDER.glob("*.lua"))
        self.assertEqual(len(scenarios), 10)
        for path in scenarios:
            with self.subTest(path.name):
                report = self.run_scenario(path)
                self.assertGreater(report.total.requests, 3)
                self.assertEqual((report.total.failures, report.whole["exceptions"]), (0, []), path.name)
                for row in report.whole["checks"]:
                    self.assertEqual(row["fails"], 0, (path.name, row))
                    self.assertGreater(row["passes"], 0, (path.name, row))

    def test_none_is_longer_than_its_original_and_the_table_tells_the_truth(self):
        rows = re.findall(r"^\| \[`(\w+)`\]\(tests/world/familiar/\w+\.lua\) \|.*\| (\d+) \| (\d+) \|$", (support.ROOT / "README.md").read_text(), re.M)
        self.assertEqual(sorted(name for name, *_ in rows), sorted(path.stem for path in FOLDER.glob("*.lua")))
        for name, theirs, ours in rows:
            self.assertEqual(code_lines((FOLDER / f"{name}.lua").read_text()), int(ours), name)
            self.assertLessEqual(int(ours), int(theirs), name)


if __name__ == "__main__":
    unittest.main()
