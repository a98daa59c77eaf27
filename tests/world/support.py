"""What the end-to-end tests and the benches share: the program, an nginx of their own, and the report's numbers.

Only the standard library. Every wait here has a deadline, and every process that is started is ended.
"""

import fcntl
import json
import math
import os
import pathlib
import pwd
import random
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]

SMALL = b'{"id":7,"name":"moth","tags":["night","light"],"price":4.99}\n'


def program():
    """The program under test: LUNAMOTH_BIN, else the build of the profile `release`, else the debug build."""
    named = os.environ.get("LUNAMOTH_BIN")
    places = [pathlib.Path(named)] if named else [ROOT / "target" / kind / "lunamoth" for kind in ("release", "debug")]
    for place in places:
        if place.exists():
            return str(place)
    raise SystemExit(f"no program at {', '.join(map(str, places))}: run `cargo build --release` first")


# Open files whose locks are this process's claims on ports, until it ends.
PORT_CLAIMS = []


def free_port():
    """A port of loopback for TCP and UDP that is nobody's, and that no other process of the tests is given while this one lives.

    Not one of those that the system gives to connections by itself: it could be taken between this answer and its use.
    """
    lowest, highest = map(int, pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    # Below are some to which browsers do not go.
    ports = [port for port in range(11_000, 65_536) if not lowest <= port <= highest]
    folder = pathlib.Path(tempfile.gettempdir()) / f"lunamoth-ports-{os.geteuid()}"
    folder.mkdir(exist_ok=True)
    for port in random.sample(ports, min(len(ports), 1000)):
        claim = (folder / str(port)).open("w")
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                with socket.socket(type=kind) as listener:
                    listener.bind(("127.0.0.1", port))
        except OSError:
            claim.close()
            continue
        PORT_CLAIMS.append(claim)
        return port
    raise SystemExit(f"no port is free outside of {lowest} to {highest}, see ip_local_port_range")


def cores():
    return sorted(os.sched_getaffinity(0))


def fetch(url):
    with urllib.request.urlopen(url, timeout=5) as reply:
        return reply.read()


def await_url(url, seconds=10):
    """Until somebody answers at `url`."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return fetch(url)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def is_running(pid):
    """Whether the process is there, and not merely waited for."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def cpu_seconds(pid):
    """Processor time of all of a process's threads, user and system."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def raise_descriptor_limit():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def foreign_environment():
    """The environment without settings of the program: a test sees those that it gives itself."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("LUNAMOTH_", "LOCUST_"))}


def prepare(pins):
    """What a child does before it becomes the program: its cores, and as many descriptors as it may have."""

    def run():
        raise_descriptor_limit()
        if pins:
            os.sched_setaffinity(0, pins)

    return run


class Done:
    """A finished process: exit code, output, and the processor time of it and its children."""

    def __init__(self, code, stdout, stderr, usage, wall):
        self.code, self.stdout, self.stderr, self.wall = code, stdout, stderr, wall
        self.user, self.system = usage.ru_utime, usage.ru_stime
        self.resident_max_mib = usage.ru_maxrss / 1024

    def said(self):
        return f"exit code {self.code}\n--- stdout\n{self.stdout[-4000:]}\n--- stderr\n{self.stderr[-4000:]}"


class Running:
    """A process that ends by itself, or is killed at its deadline."""

    def __init__(self, command, deadline, pins=None, env=None, cwd=None):
        self.command = [str(part) for part in command]
        self.files = [tempfile.TemporaryFile(), tempfile.TemporaryFile()]
        self.start = time.monotonic()
        self.process = subprocess.Popen(
            self.command,
            stdin=subprocess.DEVNULL,
            stdout=self.files[0],
            stderr=self.files[1],
            preexec_fn=prepare(pins),
            env={**foreign_environment(), **(env or {})},
            cwd=cwd or ROOT,
        )
        self.timed_out = False
        self.timer = threading.Timer(deadline, self.kill)
        self.timer.daemon = True
        self.timer.start()

    def kill(self):
        self.timed_out = True
        self.process.kill()

    def signal(self, number):
        os.kill(self.process.pid, number)

    def resident_kib(self):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
        raise RuntimeError(f"`{self.command[0]}` has ended")

    @staticmethod
    def read(file):
        with file:
            file.seek(0)
            return file.read().decode(errors="replace")

    def wait(self):
        # wait4 gives the usage of this child alone, not of all that ever ran.
        _, status, usage = os.wait4(self.process.pid, 0)
        self.timer.cancel()
        self.process.returncode = os.waitstatus_to_exitcode(status)
        wall = time.monotonic() - self.start
        out, err = (self.read(file) for file in self.files)
        done = Done(self.process.returncode, out, err, usage, wall)
        if self.timed_out:
            raise AssertionError(f"`{' '.join(self.command)}` did not end by itself\n{done.said()}")
        return done


def run(command, deadline=60, **options):
    return Running(command, deadline, **options).wait()


class Nginx:
    """nginx with one worker on a free port and a folder of its own: a target that this project did not write.

    `more` is further configuration of the kind that stands inside `http { }`; paths in it are relative to the folder.
    """

    def __init__(self, access_log, pins=None, more="", files=None):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.more = more
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="lunamoth-nginx-"))
        self.log = self.folder / "access.log"
        (self.folder / "html").mkdir()
        (self.folder / "html" / "small.json").write_bytes(SMALL)
        (self.folder / "html" / "slow.bin").write_bytes(b"m" * 60_000)
        for name, content in (files or {}).items():
            (self.folder / name).write_bytes(content)
        # A worker drops root's rights and must still be able to read the folder.
        self.folder.chmod(0o755)
        (self.folder / "nginx.conf").write_text(self.config(access_log))
        binary = shutil.which("nginx") or "/usr/sbin/nginx"
        if not pathlib.Path(binary).exists():
            raise SystemExit("nginx is missing: `apt-get install nginx`")
        self.process = subprocess.Popen(
            [binary, "-p", str(self.folder), "-c", "nginx.conf", "-e", "error.log"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=prepare(pins),
        )
        self.await_port()

    def config(self, access_log):
        user = f"user {pwd.getpwuid(0).pw_name};" if os.geteuid() == 0 else ""
        log = "access_log access.log one;" if access_log else "access_log off;"
        return f"""
            {user}
            daemon off;
            worker_processes 1;
            worker_rlimit_nofile 65536;
            pid nginx.pid;
            events {{ worker_connections 40000; }}
            http {{
                log_format one '$server_protocol $status $request_method $request_uri';
                {log}
                client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
                uwsgi_temp_path uwsgi; scgi_temp_path scgi;
                types {{ application/json json; }}
                keepalive_requests 1000000000;
                keepalive_timeout 600s;
                open_file_cache max=16;
                tcp_nodelay on;
                server {{
                    listen 127.0.0.1:{self.port} backlog=16384;
                    root html;
                    location = /status {{ stub_status; access_log off; }}
                    location = /slow.bin {{ limit_rate 40k; }}
                }}
                {self.more}
            }}
        """

    def await_port(self):
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                self.served()
                return
            except OSError:
                if self.process.poll() is not None:
                    break
                time.sleep(0.05)
        error = (self.folder / "error.log").read_text() if (self.folder / "error.log").exists() else ""
        self.close()
        raise RuntimeError(f"nginx did not start: {error}")

    def served(self):
        """Requests that it has counted so far, this one included."""
        return int(fetch(f"{self.url}/status").split(b"\n")[2].split()[2])

    def logged(self):
        """Lines of the access log once nginx has ended in order: one for each request that it served, however it ended."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=20)
        return self.log.read_text().splitlines()

    def close(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Entry:
    """One row of the report of `--json`. The only place that knows the file's keys."""

    def __init__(self, row):
        self.row = row
        self.name = row.get("name")
        self.requests = row["requests"]
        self.failures = row["failures"]
        self.not_sent = row["not_sent"]
        self.unanswered = row["unanswered"]
        self.stale_retries = row["stale_retries"]
        self.kinds = {kind: count for kind, count in row["failures_by_kind"].items() if count}
        self.cut = row["cut"]
        self.answered = sum(row["statuses"].values())

    def millis(self, key):
        """`min`, `max`, `avg`, or a percentile such as `p99.9`, in milliseconds."""
        return self.row[f"{key}_ms"]

    @property
    def histogram(self):
        """The durations in microseconds, in base64 of HdrHistogram's compressed V2 encoding."""
        return self.row["histogram_us_v2_base64"]


class Report:
    """The file of `--json`."""

    def __init__(self, path):
        self.whole = json.loads(pathlib.Path(path).read_text())
        self.total = Entry(self.whole["total"])
        self.entries = {row["name"]: Entry(row) for row in self.whole["entries"]}
        self.lag_max_ms = self.whole["generator"]["lag"]["max_ms"]
        self.exceptions = {row["message"]: row["count"] for row in self.whole["exceptions"]}


def script(folder, name, text):
    """Writes a script and gives its path."""
    path = pathlib.Path(folder) / name
    path.write_text(text)
    return path


def at_quantile(values, quantile):
    """The least of the sorted `values` that `quantile` of them do not exceed: nearest rank, as an HdrHistogram answers."""
    return values[max(0, math.ceil(len(values) * quantile) - 1)]
