"""Lives of a real cluster under drawn faults: what `chaos` and `test_chaos` play and judge.

A life is one run of some seconds: a master with a state folder on a disk of its own, workers, each on a machine of a `network.Network`, and nginx,
whose log is the truth. Its course is drawn from a seed alone: which fault befalls whom, when, and for how long. Faults:

- a worker or the master is killed with SIGKILL, and a new one comes in its place seconds later
- a worker or the master stands still (SIGSTOP) for one to twenty seconds
- a worker leaves in order (SIGTERM), and a new one comes
- the wire loses and delays; it cuts a worker off, both ways or only what it sends or hears
- a worker changes its address
- the disk of the master's journal is full for some seconds

What must hold at the end, whatever happened:

- answered <= served <= answered + unanswered, and equality but for what holes name
- what holes name is no more than their users can have asked in their time
- in the calm before the end every user runs, and none of them twice
- the run ends in time, and the master with it
"""

import dataclasses
import pathlib
import random
import shutil
import signal
import subprocess
import tempfile
import time

import cluster
import network
import support

DOOR, WEB = 5557, 8089
WORKERS = ("ada", "bee", "cid")
USERS = 12
# Requests a second of one user, as `cluster.SCRIPT` has it.
PACE = 10
# Seconds: faults begin and end within; then calm, so that all is as it was; then the end.
FAULTS_BEGIN, FAULTS_END, CALM = 4, 40, 22
RUN_TIME = FAULTS_END + CALM
DISK_MIB = 4


@dataclasses.dataclass(frozen=True)
class Fault:
    """What befalls whom, from when to when, in seconds after the start of the run. Faults of one subject follow each other."""

    kind: str
    subject: str
    begin: float
    end: float

    def __str__(self):
        return f"{self.begin:.1f}-{self.end:.1f} {self.subject} {self.kind}"


WORKER_KINDS = {"killed": (2, 8), "stopped": (1, 20), "leaves": (2, 6), "cut": (1, 15), "mute": (1, 12), "deaf": (1, 12), "moves": (1, 2)}
MASTER_KINDS = {"killed": (1, 8), "stopped": (1, 12)}
WIRE_KINDS = {"bad": (3, 15)}
DISK_KINDS = {"full": (2, 10)}


def course_of(seed):
    """The faults of a life, in the order in which they begin."""
    draw = random.Random(seed)
    faults = []

    def befall(subject, kinds, chance):
        clock = FAULTS_BEGIN + draw.random() * 12
        while draw.random() < chance and clock < FAULTS_END - 2:
            kind = draw.choice(sorted(kinds))
            least, most = kinds[kind]
            end = min(FAULTS_END, clock + draw.uniform(least, most))
            faults.append(Fault(kind, subject, round(clock, 2), round(end, 2)))
            clock = end + draw.uniform(0.5, 8)

    # One worker is always well: a cluster of which nothing is left ends its run, as it should.
    for worker in WORKERS[1:]:
        befall(worker, WORKER_KINDS, 0.75)
    befall("master", MASTER_KINDS, 0.5)
    befall("wire", WIRE_KINDS, 0.5)
    if not any(fault.subject == "master" and fault.kind == "killed" for fault in faults):
        # What a full disk did not take, a master that is killed then has not kept: that is told, and no fault of the program.
        befall("disk", DISK_KINDS, 0.5)
    return sorted(faults, key=lambda fault: fault.begin)


class Broken(AssertionError):
    """A promise that was not kept."""


class Disk:
    """A small disk of the master's own."""

    def __init__(self, path):
        self.path = path
        path.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", path], check=True, timeout=20)

    def fill(self):
        # Unbuffered: what did not fit would be written once more when the file is closed.
        with (self.path / "ballast").open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"\0" * 4096)
            except OSError:
                pass

    def free(self):
        (self.path / "ballast").unlink(missing_ok=True)

    def close(self):
        subprocess.run(["umount", "--lazy", self.path], check=False, timeout=20)


class Life:
    """One life. A context manager, which leaves nothing behind."""

    def __init__(self, seed, faults=None):
        self.seed = seed
        self.faults = course_of(seed) if faults is None else faults
        self.processes, self.numbers = [], {}
        # Workers that were told to leave.
        self.leaving = []
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="lunamoth-chaos-"))
        self.network = network.Network("target", "master", *WORKERS, seed=seed)
        self.disk = Disk(self.folder / "state")
        self.target = cluster.Target(self.network["target"])
        self.scripts = cluster.config_map(self.folder)
        self.env = {"LUNAMOTH_SECRET": cluster.secret()}
        self.api = cluster.Master(WEB, self.network["master"])
        self.current = {}
        self.free_numbers = list(range(40, 200))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.processes:
            if process.is_alive():
                process.process.send_signal(signal.SIGCONT)
            process.kill()
        self.target.close()
        self.network.close()
        self.disk.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self, name, *arguments):
        number = self.numbers[name] = self.numbers.get(name, 0) + 1
        process = cluster.Process(self.folder, f"{name}{number}", *arguments, env=self.env, machine=self.network[name])
        self.processes.append(process)
        self.current[name] = process
        return process

    def start_master(self):
        number = self.numbers.get("master", 0) + 1
        self.report_path = self.folder / f"report{number}.json"
        return self.start(
            "master", "master", "--scripts", self.scripts, "--bind", f"0.0.0.0:{DOOR}", "--web", f"127.0.0.1:{WEB}",
            "-H", self.target.url, "--json", self.report_path, "--state", self.folder / "state",
        )

    def start_worker(self, name):
        self.network[name].knows(control=self.network["master"].wire_address)
        return self.start(name, "worker", "--master", f"control:{DOOR}", "--scripts", self.scripts, "--lanes", 1)

    def said(self):
        course = "\n".join(f"  {fault}" for fault in self.faults)
        return f"life {self.seed}:\n{course}\n" + "\n".join(process.said() for process in self.processes)

    def play(self):
        """The whole life. Answers with what it came to; raises `Broken` where a promise was not kept."""
        self.start_master()
        for worker in WORKERS:
            self.start_worker(worker)
        self.current["master"].await_text(f"Currently {len(WORKERS)} clients ready to swarm.", 60)
        reply = self.api.swarm(user_count=USERS, spawn_rate=USERS, run_time=f"{RUN_TIME}s")
        if not reply["success"]:
            raise Broken(f"the run did not start: {reply}")
        begin = time.monotonic()
        steps = sorted((moment, which, place) for place, fault in enumerate(self.faults) for which, moment in enumerate((fault.begin, fault.end)))
        for moment, which, place in steps:
            time.sleep(max(0.0, begin + moment - time.monotonic()))
            (self.undo if which else self.do)(self.faults[place])
        self.await_calm(begin)
        return self.await_end(begin)

    def do(self, fault):
        wire, name = self.network.wire, fault.subject
        process = self.current.get(name)
        if fault.kind == "killed":
            process.kill()
        elif fault.kind == "stopped":
            process.process.send_signal(signal.SIGSTOP)
        elif fault.kind == "leaves":
            process.process.send_signal(signal.SIGTERM)
        elif fault.kind == "moves":
            self.network[name].moves(self.free_numbers.pop(0))
        elif fault.kind in ("cut", "mute", "deaf"):
            wire.bars(self.network[name], hears=fault.kind == "mute", speaks=fault.kind == "deaf")
        elif fault.kind == "bad":
            draw = random.Random(f"{self.seed} {fault}")
            wire.behaves(loss=draw.uniform(0.02, 0.3), delay=draw.uniform(0, 0.2), jitter=draw.uniform(0, 0.05))
        elif fault.kind == "full":
            self.disk.fill()
        else:
            raise AssertionError(f"nobody knows the fault {fault}")

    def undo(self, fault):
        wire, name = self.network.wire, fault.subject
        process = self.current.get(name)
        if fault.kind == "killed":
            self.start_master() if name == "master" else self.start_worker(name)
        elif fault.kind == "stopped":
            process.process.send_signal(signal.SIGCONT)
        elif fault.kind == "leaves":
            # The next one comes whether or not it is gone: it may be waiting for a master that stands still.
            self.leaving.append(process)
            self.start_worker(name)
        elif fault.kind in ("cut", "mute", "deaf"):
            wire.bars(self.network[name], hears=True, speaks=True)
        elif fault.kind == "bad":
            wire.behaves()
        elif fault.kind == "full":
            self.disk.free()

    def await_calm(self, begin):
        """When nothing has happened for a while, all users run, each on one worker."""
        time.sleep(max(0.0, begin + RUN_TIME - 5 - time.monotonic()))
        since, window = time.time() - 2, 2
        asked = {}
        for moment, _, user in self.target.records():
            if moment >= since:
                asked[user] = asked.get(user, 0) + 1
        missing = sorted(set(range(USERS)) - set(asked))
        # The machine may be busy, so that a user asks less; more than its pace it never asks.
        double = {user: count for user, count in asked.items() if count > PACE * window + 3}
        if missing or double:
            stats = self.api.stats()
            shown = f"{[(worker['id'], worker['state'], worker['user_count']) for worker in stats.workers]}"
            raise Broken(f"in the calm users {missing} do not run, and {double} run twice: {shown}\n{self.said()}")

    def await_end(self, begin):
        master = self.current["master"]
        try:
            stats = self.api.await_stats(lambda stats: stats.state == "stopped", max(1.0, begin + RUN_TIME + 45 - time.monotonic()), master)
        except AssertionError as error:
            raise Broken(f"the run did not end: {error}\n{self.said()}") from None
        code = master.end()
        if code not in ((0, 3) if stats.holes else (0,)):
            raise Broken(f"the master ended with exit code {code}\n{self.said()}")
        for worker in self.leaving:
            code = worker.wait(30)
            # Whoever could reach no master for as long as it waited has said so, and is missing.
            is_missing = any(hole["worker"] in worker.text() for hole in stats.holes)
            if code != 0 and not (code == 3 and is_missing):
                raise Broken(f"{worker.name} left with exit code {code}\n{self.said()}")
        total = support.Report(self.report_path).total
        served = self.target.count()
        answered, unanswered = total.answered, total.unanswered
        # A worker's users ask at most so often in the time that its hole names.
        lost_most = sum((hole["to"] - hole["from"] + 2) * USERS * PACE for hole in stats.holes)
        came_to = f"served {served}, answered {answered}, unanswered {unanswered}, holes {stats.holes}, overlaps {len(stats.overlaps)}"
        if not answered <= served <= answered + unanswered + lost_most:
            raise Broken(f"served is not reported: {came_to}\n{self.said()}")
        return came_to
