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
    def test_each_of_five_capacities_is_found_within_a_twentieth(self):
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        script, ports = support.script(folder, "small.lua", SCRIPT), {rate: support.free_port() for rate in CAPACITIES}
        more = "".join(bucket(port, rate) for rate, port in ports.items())
        with support.Nginx(access_log=False, more=more):
            searches = {}
            for rate, port in ports.items():
                command = [support.program(), "find", script, "-H", f"http://127.0.0.1:{port}", "--keep", "http_req_failed: rate < 1%"]
                command += ["--hold", "4s", "--confirm", "8s", "--lanes", 1, "--json", folder / f"{rate}.json"]
                searches[rate] = support.Running(command, deadline=300)
            # All have ended before any of them is judged.
            ended = {rate: search.wait() for rate, search in searches.items()}
            for rate, done in ended.items():
                self.assertEqual(done.code, 0, done.said())
                found = json.loads((folder / f"{rate}.json").read_text())
                best = found["holds_per_s"]
                print(f"  {rate}/s: found {best:.1f}", file=sys.stderr)
                self.assertTrue(abs(best / rate - 1) <= 0.05, f"{rate}/s: {best}\n{done.said()}")

    def test_the_workers_of_a_master_find_it_as_well(self):
        folder, rate = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory())), 120
        scripts, port = folder / "scripts", support.free_port()
        scripts.mkdir()
        support.script(scripts, "small.lua", SCRIPT)
        bind, web, host = support.free_port(), support.free_port(), f"http://127.0.0.1:{port}"
        with support.Nginx(access_log=False, more=bucket(port, rate)):
            master = cluster.Process(
                folder, "master", "master", "--scripts", scripts, "--bind", f"127.0.0.1:{bind}", "--web", f"127.0.0.1:{web}", "-H", host
            )
            self.addCleanup(master.kill)
            for number in range(2):
                worker = cluster.Process(folder, f"worker{number}", "worker", "--master", f"127.0.0.1:{bind}", "--scripts", scripts, "--lanes", 1)
                self.addCleanup(worker.kill)
            api = cluster.Master(web)
            api.await_stats(lambda stats: len(stats.workers) == 2, of=master)
            command = [support.program(), "find", "small", "--url", f"http://127.0.0.1:{web}", "--keep", "http_req_failed: rate < 1%"]
            command += ["--from", "30/s", "--hold", "4s", "--confirm", "8s", "--json", folder / "found.json"]
            done = support.Running(command, deadline=300).wait()
            self.assertEqual(done.code, 0, done.said())
            found = json.loads((folder / "found.json").read_text())
            print(f"  {rate}/s on a cluster: found {found['holds_per_s']:.1f}", file=sys.stderr)
            self.assertTrue(abs(found["holds_per_s"] / rate - 1) <= 0.05, done.said())
            self.assertTrue(all(abs(hold["reached_per_s"] / hold["rate_per_s"] - 1) < 0.05 for hold in found["curve"]), found)


if __name__ == "__main__":
    unittest.main()
