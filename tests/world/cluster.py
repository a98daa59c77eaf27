"""What the tests of a cluster share: the program's processes, a target that counts, and a master as its users see it.

All of it stands on this machine's loopback, or each process on a machine of a `network.Network`.
"""

import json
import pathlib
import signal
import subprocess
import time
import urllib.parse
import urllib.request

import support

# Ten requests a second of each user, and each says whose it is.
SCRIPT = """
local http, scenario, wait = require "http", require "scenario", require "wait"
local Asker = scenario.user { name = "Asker", wait = wait.constant(0.1) }
Asker:task("ask", function(self) http.get("/small.json?user=" .. self.index, { name = "small" }) end)
return scenario { users = { Asker } }
"""


class Process:
    """One of the program's commands, its output in files."""

    def __init__(self, folder, name, *arguments, env=None, machine=None):
        self.name = name
        self.out = folder / f"{name}.out"
        self.err = folder / f"{name}.err"
        command = [support.program(), *map(str, arguments)]
        with self.out.open("wb") as out, self.err.open("wb") as err:
            options = {
                "stdout": out,
                "stderr": err,
                "stdin": subprocess.DEVNULL,
                "env": {**support.foreign_environment(), **(env or {})},
                "preexec_fn": support.prepare(None),
            }
            if machine:
                self.process = machine.call(subprocess.Popen, machine.command(*command), **options)
            else:
                self.process = subprocess.Popen(command, **options)

    def is_alive(self):
        return self.process.poll() is None

    def end(self, how=signal.SIGTERM, seconds=30):
        if self.is_alive():
            self.process.send_signal(how)
        return self.wait(seconds)

    def wait(self, seconds=30):
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} did not end within {seconds} s\n{self.said()}") from None

    def kill(self):
        if self.is_alive():
            self.process.kill()
            self.process.wait(10)

    def text(self):
        return self.out.read_text() + self.err.read_text()

    def said(self):
        return f"--- {self.name}, exit code {self.process.poll()}\n{self.out.read_text()[-3000:]}\n{self.err.read_text()[-3000:]}"

    def await_text(self, wanted, seconds=20):
        deadline = time.monotonic() + seconds
        while wanted not in self.text():
            if time.monotonic() > deadline or not self.is_alive():
                raise AssertionError(f"{self.name} did not say `{wanted}`\n{self.said()}")
            time.sleep(0.02)

    def resident_kib(self):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
        raise AssertionError(f"{self.name} has ended\n{self.said()}")


class Target(support.Nginx):
    """nginx that logs when it served which user of which machine, on this machine or on one of a network."""

    def __init__(self, machine=None):
        self.address = machine.street_address if machine else "127.0.0.1"
        self.call = machine.call if machine else lambda function, *arguments: function(*arguments)
        self.call(super().__init__, True)
        self.url = f"http://{self.address}:{self.port}"

    def config(self, access_log):
        text = super().config(access_log).replace(f"listen 127.0.0.1:{self.port}", f"listen {self.address}:{self.port}")
        # On a machine of a network there is one address, which the test itself asks at, too.
        self.url = f"http://{self.address}:{self.port}"
        return text.replace("log_format one '", "log_format one '$msec $remote_addr $arg_user ")

    def records(self):
        """Requests of users so far: (Unix time in seconds, address, user), in the order in which they were served."""
        rows = [line.split()[:3] for line in self.log.read_text().splitlines() if "user=" in line]
        return [(float(moment), address, int(user)) for moment, address, user in rows]

    def count(self):
        return len(self.records())

    def users_since(self, moment, *addresses):
        """Which users it has served since a Unix time, of these machines or of all."""
        return {user for when, address, user in self.records() if when >= moment and (not addresses or address in addresses)}


class Master:
    """A master's API as its users see it."""

    def __init__(self, web, machine=None):
        self.url = f"http://127.0.0.1:{web}"
        self.call = machine.call if machine else lambda function, *arguments: function(*arguments)

    def get(self, path):
        return self.call(support.fetch, f"{self.url}{path}").decode()

    def swarm(self, **parameters):
        def post():
            body = urllib.parse.urlencode(parameters).encode()
            with urllib.request.urlopen(f"{self.url}/swarm", body, timeout=30) as reply:
                return json.loads(reply.read())

        return self.call(post)

    def stats(self):
        return Stats(json.loads(self.get("/stats/requests")))

    def await_stats(self, holds, seconds=20, of=None):
        """The statistics once `holds` is true of them. A master that cannot be asked has none that do."""
        deadline, stats = time.monotonic() + seconds, None
        while True:
            try:
                stats = self.stats()
                if holds(stats):
                    return stats
            except OSError:
                pass
            if time.monotonic() > deadline or (of and not of.is_alive()):
                shown = json.dumps(stats.whole)[:3000] if stats else "nothing to be asked"
                raise AssertionError(f"it did not come to hold within {seconds} s: {shown}\n{of.said() if of else ''}")
            time.sleep(0.1)


class Stats:
    """`/stats/requests`."""

    def __init__(self, whole):
        self.whole = whole
        self.state = whole["state"]
        self.users = whole["user_count"]
        self.total = whole["stats"][-1]
        self.requests = self.total["num_requests"]
        self.failures = self.total["num_failures"]
        self.workers = whole["workers"]
        self.overlaps = whole["overlaps"]
        self.holes = whole["holes"]

    def users_of(self, state="running"):
        """The users of each worker in that state, ascending."""
        return sorted(worker["user_count"] for worker in self.workers if worker["state"] == state)

    def worker(self, host):
        """The worker of a machine; the last that came, where there were several."""
        return [worker for worker in self.workers if worker["host"] == host][-1]


def config_map(folder, name="scripts", text=SCRIPT, **files):
    """A folder of scripts as the kubelet mounts a ConfigMap: its files are links into a folder that is itself a link."""
    data = folder / name / "..2026_11_24"
    data.mkdir(parents=True)
    (folder / name / "..data").symlink_to(data.name)
    for file, content in {"main": text, **files}.items():
        (data / f"{file}.lua").write_text(content)
        (folder / name / f"{file}.lua").symlink_to(f"..data/{file}.lua")
    return folder / name


def secret():
    return support.run([support.program(), "secret"], deadline=20).stdout.strip()
