"""`lunamoth find` against a target whose capacity is known: a token bucket of nginx's lands within 5 %, five times of five."""

import json
import pathlib
import sys
import tempfile
import unittest

import cluster
import support

# Requests a second; what is above is answered with 503.
CAPACITIES = (37, 83, 140, 220, 310)
# What the workers of a master have to find.
OF_A_CLUSTER = 120

SCRIPT = 'local http = require "http"\nreturn function() http.get("/small.json", { name = "small" }) end\n'


def bucket(port, rate):
    return f"""
        limit_req_zone $server_port zone=bucket{rate}:1m rate={rate}r/s;
        server {{
            listen 127.0.0.1:{port} backlog=16384;
            root html;
            location / {{ limit_req zone=bucket{rate} burst=5 nodelay; }}
        }}
    """


class Find(unittest.TestCase):
    """All searches run at the same time: each is at a low rate, and waits most of the time."""

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        cls.ports = {rate: support.free_port() for rate in (*CAPACITIES, OF_A_CLUSTER)}
        cls.enterClassContext(support.Nginx(access_log=False, more="".join(bucket(port, rate) for rate, port in cls.ports.items())))
        script = support.script(cls.folder, "small.lua", SCRIPT)
        options = ["--keep", "http_req_failed: rate < 1%", "--hold", "4s", "--confirm", "8s"]
        cls.searches = {}
        for rate in CAPACITIES:
            command = [support.program(), "find", script, "-H", cls.host_of(rate), *options, "--lanes", 1, "--json", cls.report_of(rate)]
            cls.searches[rate] = support.Running(command, deadline=300)
        url = cls.start_cluster(cls.host_of(OF_A_CLUSTER))
        command = [support.program(), "find", "small", "--url", url, *options, "--from", "30/s", "--json", cls.report_of(OF_A_CLUSTER)]
        cls.searches[OF_A_CLUSTER] = support.Running(command, deadline=300)
        # All have ended before any of them is judged.
        cls.ended = {rate: search.wait() for rate, search in cls.searches.items()}

    @classmethod
    def host_of(cls, rate):
        return f"http://127.0.0.1:{cls.ports[rate]}"

    @classmethod
    def report_of(cls, rate):
        return cls.folder / f"{rate}.json"

    @classmethod
    def start_cluster(cls, host):
        """A master with two workers; its URL."""
        scripts = cls.folder / "scripts"
        scripts.mkdir()
        support.script(scripts, "small.lua", SCRIPT)
        bind, web = support.free_port(), support.free_port()
        own = ("--scripts", scripts, "--bind", f"127.0.0.1:{bind}", "--web", f"127.0.0.1:{web}", "-H", host)
        master = cluster.Process(cls.folder, "master", "master", *own)
        cls.addClassCleanup(master.kill)
        for number in range(2):
            worker = cluster.Process(cls.folder, f"worker{number}", "worker", "--master", f"127.0.0.1:{bind}", "--scripts", scripts, "--lanes", 1)
            cls.addClassCleanup(worker.kill)
        cluster.Master(web).await_stats(lambda stats: len(stats.workers) == 2, of=master)
        return f"http://127.0.0.1:{web}"

    def judge(self, rate):
        done = self.ended[rate]
        self.assertEqual(done.code, 0, done.said())
        found = json.loads(self.report_of(rate).read_text())
        best = found["holds_per_s"]
        print(f"  {rate}/s: found {best:.1f}", file=sys.stderr)
        self.assertTrue(abs(best / rate - 1) <= 0.05, f"{rate}/s: {best}\n{done.said()}")
        return found

    def test_each_of_five_capacities_is_found_within_a_twentieth(self):
        for rate in CAPACITIES:
            self.judge(rate)

    def test_the_workers_of_a_master_find_it_as_well(self):
        found = self.judge(OF_A_CLUSTER)
        self.assertTrue(all(abs(hold["reached_per_s"] / hold["rate_per_s"] - 1) < 0.05 for hold in found["curve"]), found)


if __name__ == "__main__":
    unittest.main()
