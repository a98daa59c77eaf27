"""The master's HTTP API with programs that were not written here: Locust itself, a schema-driven fuzzer, Prometheus' own tools.

A master, a worker and the demo target stand on loopback, started once for all tests. Needs the PyPI packages `schemathesis`,
`prometheus_client` and `locust`, in the environment of the Python that runs the tests, and `promtool`, which PROMTOOL may name.
"""

import importlib.util
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request

import cluster
import support

HERE = pathlib.Path(__file__).parent

SCRIPT = r"""
local http, scenario, wait, check = require "http", require "scenario", require "wait", require "check"
local metric = require "metric"
local Shopper = scenario.user { name = "Shopper", wait = wait.constant(0.2) }
local sizes = metric.trend("body_bytes")
Shopper:task("shop", function()
  local res = http.get("/products", { name = "products" })
  check.that('a "quoted" \\ check\nof two lines', res.status == 200)
  sizes:add(#res.body)
  http.get("/status/503", { name = "broken" })
  error("raised on purpose")
end)
return scenario { users = { Shopper }, thresholds = { http_req_failed = "rate<0.9" } }
"""

# Which Locust's replies are compared. Those with keys of their own making, such as class names and worker ids, are compared by value.
READ = ["/stats/requests", "/exceptions", "/worker-count"]
OWN_KEYS = {"/tasks.per_class", "/tasks.total", "/tasks.per_class.*.tasks", "/tasks.total.*.tasks", "/logs.workers"}

CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
]


class Reply:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)


def ask(method, url, body=None, **headers):
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Content-Type": "application/json", **{name.replace("_", "-"): value for name, value in headers.items()}}
    request = urllib.request.Request(url, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:
            return Reply(reply.status, reply.headers, reply.read())
    except urllib.error.HTTPError as error:
        with error:
            return Reply(error.code, error.headers, error.read())


def need(*packages):
    missing = [package for package in packages if not importlib.util.find_spec(package)]
    if missing:
        raise AssertionError(f"needs `python3 -m pip install {' '.join(missing)}`")


def kind(value):
    if isinstance(value, bool):
        return "boolean"
    return {int: "number", float: "number", str: "string", list: "array", dict: "object", type(None): "null"}[type(value)]


def differences(locust, own, path):
    """Where `own` lacks a key that Locust sends, or has something of another type."""
    if locust is None or own is None:
        return []
    if kind(locust) != kind(own):
        return [f"{path}: {kind(locust)} of Locust's is {kind(own)}"]
    if isinstance(locust, dict) and path in OWN_KEYS:
        if not locust:
            return []
        if not own:
            return [f"{path}: empty"]
        return differences(next(iter(locust.values())), next(iter(own.values())), f"{path}.*")
    if isinstance(locust, dict):
        missing = [f"{path}.{key}: missing" for key in locust if key not in own]
        return missing + [line for key in locust if key in own for line in differences(locust[key], own[key], f"{path}.{key}")]
    if isinstance(locust, list) and locust:
        return differences(locust[0], own[0], f"{path}[]") if own else [f"{path}: empty"]
    return []


class Stage(unittest.TestCase):
    """Processes that all tests of a class share."""

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        cls.processes = []
        cls.addClassCleanup(lambda: [process.kill() for process in reversed(cls.processes)])
        cls.target = f"http://127.0.0.1:{cls.serve('target', 'target', '--bind')}"
        support.await_url(f"{cls.target}/products")
        scripts = cluster.config_map(cls.folder, text=SCRIPT)
        door = support.free_port()
        # A start may name scripts that never come, and would wait for them longer than whoever asks here does.
        web = cls.serve("master", "master", "--skew-timeout", "0s", "--scripts", scripts, "-H", cls.target, "--bind", f"127.0.0.1:{door}", "--web")
        cls.base = f"http://127.0.0.1:{web}"
        cls.master = cluster.Master(web)
        cls.processes[-1].await_text("Starting web monitor at")
        cls.health = cls.serve("worker", "worker", "--master", f"127.0.0.1:{door}", "--scripts", scripts, "--lanes", 1, "--health")
        cls.processes[-2].await_text("Currently 1 clients ready to swarm.")

    @classmethod
    def start(cls, name, *arguments):
        cls.processes.append(cluster.Process(cls.folder, name, *arguments))

    @classmethod
    def serve(cls, name, *arguments):
        port = support.free_port()
        cls.start(name, *arguments, f"127.0.0.1:{port}")
        return port

    def setUp(self):
        self.end_run()

    def api(self, method, path, body=None, **headers):
        return ask(method, f"{self.base}/api/v1/{path}", body, **headers)

    def end_run(self):
        self.api("POST", "run/stop")
        self.await_run(lambda run: run["state"] in ("ready", "stopped"))

    def await_run(self, holds, seconds=20):
        deadline = time.monotonic() + seconds
        while True:
            run = self.api("GET", "run").json()
            if holds(run):
                return run
            self.assertLess(time.monotonic(), deadline, f"it does not come to hold: {run}\n{self.processes[1].said()}")
            time.sleep(0.05)

    def start_run(self, users=2):
        reply = self.api("POST", "run", {"users": users, "spawn_rate": 10})
        self.assertEqual(reply.status, 202, reply.body)
        self.await_run(lambda run: run["users"] == users)
        return reply.json()


class OurOwn(Stage):
    def test_a_run_from_start_to_stop(self):
        started = self.start_run(users=2)
        self.assertEqual((started["host"], len(started["run"])), (self.target, 16))
        again = self.api("POST", "run", {"users": 1})
        self.assertEqual((again.status, again.headers["Content-Type"]), (409, "application/problem+json"))
        self.assertEqual(self.api("PATCH", "run", {"users": 4, "spawn_rate": 20}).json()["run"], started["run"])
        self.await_run(lambda run: run["users"] == 4)
        deadline = time.monotonic() + 10
        while self.api("GET", "entries").json()["total"]["requests"] < 20:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.1)
        self.assertEqual(self.api("POST", "run/reset").status, 202)
        time.sleep(1.5)
        self.end_run()
        snapshot = self.api("GET", "snapshot").json()
        self.assertEqual((snapshot["run"], snapshot["state"]), (started["run"], "stopped"))
        self.assertEqual({entry["name"] for entry in snapshot["entries"]}, {"products", "broken"})
        self.assertEqual(snapshot["total"]["failures"] * 2, snapshot["total"]["requests"])
        self.assertEqual(self.api("PATCH", "run", {"users": 1}).status, 409)
        history = self.api("GET", "history").json()["points"]
        self.assertEqual(self.api("GET", f"history?after_s={history[-1]['at_s']}").json()["points"], [])
        detail = self.api("GET", "entries/detail?method=GET&name=broken").json()
        self.assertEqual(detail["statuses"], [{"status": 503, "count": detail["requests"]}])

    def test_what_is_wrong_is_named(self):
        for body, field in (({"users": "many"}, "users"), ({"usrs": 1}, "usrs"), ({"run_time": "soon"}, "run_time"), ({"host": "shop"}, "host")):
            reply = self.api("POST", "run", body)
            self.assertEqual((reply.status, reply.json()["field"]), (422, field), reply.body)
        self.assertEqual(self.api("POST", "run", {}, Sec_Fetch_Site="cross-site").status, 403)
        self.assertEqual(self.api("POST", "run", b"{").status, 400)
        self.assertEqual(self.api("GET", "run").json()["state"] in ("ready", "stopped"), True)

    def listen(self, *curl):
        """The snapshots of four seconds, as curl reads the stream."""
        command = ["curl", "-sN", "--max-time", "4", *curl, f"{self.base}/api/v1/events"]
        text = subprocess.run(command, capture_output=True, text=True, timeout=20).stdout
        events = [dict(line.split(": ", 1) for line in event.split("\n") if ": " in line) for event in text.split("\n\n") if "data: " in event]
        return [(int(event["id"]), json.loads(event["data"])) for event in events if event["event"] == "snapshot"]

    def test_the_stream_follows_a_run_over_both_protocols(self):
        self.start_run()
        for curl in ([], ["--http2-prior-knowledge"], ["--compressed"]):
            with self.subTest(curl=curl):
                events = self.listen(*curl)
                self.assertGreaterEqual(len(events), 4)
                numbers = [number for number, _ in events]
                self.assertEqual(numbers, sorted(set(numbers)))
                requests = [snapshot["total"]["requests"] for _, snapshot in events]
                self.assertEqual(requests, sorted(requests))
                self.assertGreater(requests[-1], requests[0])

    def test_the_stream_is_read_by_urllib_and_ends_with_the_connection(self):
        with urllib.request.urlopen(f"{self.base}/api/v1/events", timeout=10) as stream:
            self.assertEqual(stream.headers["Content-Type"], "text/event-stream")
            lines = [stream.readline() for _ in range(5)]
        self.assertEqual(lines[:3], [b"retry: 2000\n", b"\n", b"event: snapshot\n"])
        self.assertEqual(json.loads(lines[4].removeprefix(b"data: "))["version"], self.api("GET", "").json()["version"])

    def test_prometheus_reads_the_metrics_of_master_and_run(self):
        need("prometheus_client")
        from prometheus_client.parser import text_string_to_metric_families

        self.start_run()
        time.sleep(2.5)
        self.end_run()
        reply = ask("GET", f"{self.base}/metrics")
        self.assertEqual(reply.headers["Content-Type"], "text/plain; version=0.0.4; charset=utf-8")
        families = {family.name: family for family in text_string_to_metric_families(reply.body.decode())}
        self.assertTrue(all(family.type != "unknown" and family.documentation for family in families.values()), families.keys())

        def samples(family, **labels):
            chosen = families[family].samples
            return [sample for sample in chosen if all(sample.labels.get(name) == value for name, value in labels.items())]

        entries = {entry["name"]: entry for entry in self.api("GET", "entries").json()["entries"]}
        for name, status in (("products", "200"), ("broken", "503")):
            counted = samples("lunamoth_requests", name=name)
            self.assertEqual([(sample.labels["status"], sample.value) for sample in counted], [(status, entries[name]["requests"])])
            buckets = [sample for sample in samples("lunamoth_request_duration_seconds", name=name) if sample.name.endswith("_bucket")]
            values = [sample.value for sample in buckets]
            self.assertEqual((values, values[-1]), (sorted(values), entries[name]["requests"]))
            self.assertEqual(buckets[-1].labels["le"], "+Inf")
        failed = samples("lunamoth_failures", name="broken", kind="status")
        self.assertEqual([sample.value for sample in failed], [entries["broken"]["failures"]])
        self.assertEqual([sample.value for sample in samples("lunamoth_workers", state="ready")], [1])
        self.assertEqual([sample.value for sample in samples("lunamoth_run_state", state="stopped")], [1])

    def test_promtool_has_nothing_to_criticise(self):
        promtool = os.environ.get("PROMTOOL") or shutil.which("promtool")
        self.assertTrue(promtool, "needs promtool of Debian's package `prometheus`, in the PATH or named by PROMTOOL")
        pages = {"ready": f"{self.base}/metrics", "worker": f"http://127.0.0.1:{self.health}/metrics"}
        texts = {name: support.fetch(url) for name, url in pages.items()}
        self.start_run()
        time.sleep(2.5)
        texts |= {"running": support.fetch(pages["ready"]), "busy worker": support.fetch(pages["worker"])}
        self.end_run()
        texts["stopped"] = support.fetch(pages["ready"])
        for part in (b'name="broken",kind="status"', b'check="a \\"quoted\\" \\\\ check\\nof two lines"', b'metric="body_bytes"', b"threshold_passed{"):
            self.assertIn(part, texts["stopped"])
        for name, text in texts.items():
            with self.subTest(name):
                done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, timeout=30)
                self.assertEqual((done.returncode, done.stdout + done.stderr), (0, b""))

    def test_a_fuzzer_finds_no_server_error_and_nothing_undocumented(self):
        need("schemathesis")
        paths = self.api("GET", "openapi.json").json()["paths"]
        absent = [path for path, methods in paths.items() if any("501" in operation["responses"] for operation in methods.values())]
        # The stream never ends, and has tests of its own.
        excluded = [argument for path in ("/api/v1/events", *absent) for argument in ("--exclude-path", path)]
        command = [
            sys.executable, "-m", "schemathesis.cli", "run", f"{self.base}/api/v1/openapi.json", "--url", self.base, "--no-color", *excluded,
            "--checks", ",".join(CHECKS), "--phases", "coverage,fuzzing", "--max-examples", "20", "--seed", "7",
        ]  # fmt: skip
        environment = {"PYTHONPATH": str(HERE), "SCHEMATHESIS_HOOKS": "fuzz_hooks", "LUNAMOTH_FUZZ_HOST": self.target}
        done = support.run(command, deadline=300, env=environment, cwd=self.folder)
        self.assertEqual(done.code, 0, done.said())
        self.assertTrue(self.processes[1].is_alive(), self.processes[1].said())


class BesideLocust(Stage):
    @classmethod
    def setUpClass(cls):
        need("locust")
        super().setUpClass()
        door, web = support.free_port(), support.free_port()
        common = [sys.executable, "-m", "locust", "-f", str(HERE / "locustfile.py"), "--host", cls.target]
        address = ["127.0.0.1", "--master-bind-port", str(door), "--web-host", "127.0.0.1", "--web-port", str(web)]
        cls.run_locust("locust-master", [*common, "--master", "--master-bind-host", *address])
        cls.run_locust("locust-worker", [*common, "--worker", "--master-host", "127.0.0.1", "--master-port", str(door)])
        cls.locust = f"http://127.0.0.1:{web}"
        deadline = time.monotonic() + 60
        while True:
            try:
                if json.loads(support.fetch(f"{cls.locust}/worker-count"))["worker_count"] == 1:
                    break
            except OSError:
                pass
            if time.monotonic() > deadline:
                raise AssertionError("Locust did not come up: " + (cls.folder / "locust-master.log").read_text()[-2000:])
            time.sleep(0.2)

    @classmethod
    def run_locust(cls, name, command):
        with (cls.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=support.foreign_environment(), cwd=cls.folder
            )

        def end():
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

        cls.addClassCleanup(end)

    def both(self, method, path, **fields):
        """The replies of Locust and of Lunamoth."""
        body = urllib.parse.urlencode(fields).encode() if fields else None
        kind_of_body = {"Content_Type": "application/x-www-form-urlencoded"}
        replies = [ask(method, base + path, body, **kind_of_body) for base in (self.locust, self.base)]
        self.assertEqual([reply.status for reply in replies], [200, 200], path)
        return [reply.json() for reply in replies]

    def test_every_key_that_locust_sends_is_there_with_its_type(self):
        found = differences(*self.both("POST", "/swarm", user_count=2, spawn_rate=10, host=self.target, run_time="1m"), "/swarm")
        deadline = time.monotonic() + 30
        while any(len(reply["errors"]) == 0 or reply["state"] != "running" for reply in self.both("GET", "/stats/requests")):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.5)
        time.sleep(4)
        for path in READ:
            locust, own = self.both("GET", path)
            self.assertTrue(any(locust.values()), f"Locust's own reply to {path} is empty and holds nothing: {locust}")
            found += differences(locust, own, path)
        for path in ("/stats/requests/csv", "/stats/failures/csv", "/exceptions/csv"):
            locust, own = (support.fetch(base + path).decode().splitlines()[0] for base in (self.locust, self.base))
            self.assertEqual(locust.split(","), own.split(",")[: len(locust.split(","))], path)
        found += differences(*self.both("POST", "/stop"), "/stop")
        bad = self.both("POST", "/swarm", user_count="many", spawn_rate=1)
        found += differences(*bad, "/swarm, refused")
        self.assertEqual([reply["success"] for reply in bad], [False, False])
        self.assertEqual(found, [])


if __name__ == "__main__":
    unittest.main()
