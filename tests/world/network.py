"""A network of machines that exists only for a test: each has an address of its own, a name for others, a name of its own.

Every machine is a network namespace that nothing but this process's descriptors keep alive, so it is gone with the process, however that
ends. Two nets join them, and neither leads anywhere else:

- the wire, `10.77.0.0/24`, which a thread of this process carries packet by packet: it loses, delays, reorders and cuts as the test says.
  Many kernels come without a queue that does this (`netem`), and this one draws what it loses from a seed.
- the street, `10.78.0.0/24`, a bridge in the first machine: fast, and nothing is lost on it.

Needs root, `ip` and `unshare`.
"""

import collections
import ctypes
import fcntl
import heapq
import itertools
import os
import pathlib
import random
import selectors
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time


class Machine:
    """One machine of a `Network`."""

    def __init__(self, network, number, name):
        self.network, self.number, self.name = network, number, name
        self.namespace = in_thread(new_namespace)
        self.wire_address = f"10.77.0.{number}"
        self.street_address = f"10.78.0.{number}"
        self.hosts = network.folder / f"{name}.hosts"
        self.hosts.write_text("127.0.0.1 localhost\n")
        self.tunnel = self.call(open_tunnel)
        # Without this, taking away the first address of a net takes the others with it.
        self.call(pathlib.Path("/proc/sys/net/ipv4/conf/all/promote_secondaries").write_text, "1")
        self.ip("link set lo up")
        self.ip(f"address add {self.wire_address}/24 dev wire")
        self.ip("link set wire up")

    @property
    def path(self):
        return f"/proc/{os.getpid()}/fd/{self.namespace}"

    def call(self, function, *arguments, **options):
        """Runs something as if this process stood on that machine: its sockets and children are the machine's."""

        def there():
            enter(self.namespace)
            return function(*arguments, **options)

        return in_thread(there)

    def ip(self, words):
        self.call(subprocess.run, ["ip", *words.split()], check=True, stdin=subprocess.DEVNULL, timeout=20)

    def command(self, *command):
        """A command that finds this machine's own name and its own `/etc/hosts`. What it becomes keeps the process id."""
        prepare = f'mount --bind "{self.hosts}" /etc/hosts && echo "{self.name}" > /proc/sys/kernel/hostname && exec "$@"'
        return ["unshare", "--mount", "--uts", "sh", "-c", prepare, "sh", *command]

    def knows(self, **names):
        """What names mean here from now on; the rest of `/etc/hosts` is forgotten."""
        lines = ["127.0.0.1 localhost", *(f"{address} {name}" for name, address in names.items())]
        # The same file: it is the one that is mounted.
        self.hosts.write_text("\n".join(lines) + "\n")

    def moves(self, number):
        """Changes its address on the wire. What is bound to no address goes on under the other one."""
        before, self.wire_address = self.wire_address, f"10.77.0.{number}"
        self.ip(f"address add {self.wire_address}/24 dev wire")
        self.ip(f"address delete {before}/24 dev wire")
        self.network.wire.plug(self.wire_address, self.tunnel)
        self.network.wire.unplug(before)


class Wire(threading.Thread):
    """Carries packets between machines, and does to them what its rules say."""

    def __init__(self, seed):
        super().__init__(name="wire", daemon=True)
        self.random = random.Random(seed)
        self.lock = threading.Lock()
        self.selector = selectors.DefaultSelector()
        self.waking, self.waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.selector.register(self.waking, selectors.EVENT_READ)
        self.tunnels = {}
        self.loss, self.delay, self.jitter = 0.0, 0.0, 0.0
        self.cut = set()
        # Tunnels whose packets go nowhere, and tunnels that get none.
        self.mute, self.deaf = set(), set()
        self.counts = collections.Counter()
        self.waiting, self.order = [], itertools.count()
        self.is_open = True

    def plug(self, address, tunnel):
        with self.lock:
            self.tunnels[socket.inet_aton(address)] = tunnel
            if tunnel not in self.selector.get_map():
                self.selector.register(tunnel, selectors.EVENT_READ)
        os.write(self.waker, b".")

    def unplug(self, address):
        with self.lock:
            self.tunnels.pop(socket.inet_aton(address))

    def behaves(self, loss=0.0, delay=0.0, jitter=0.0):
        """From now on: `loss` of the packets (0..1) vanish each way; the others take `delay` to `delay + jitter` seconds, each for itself."""
        with self.lock:
            self.loss, self.delay, self.jitter = loss, delay, jitter

    def cuts(self, *machines):
        """From now on nothing comes from these machines or gets to them."""
        with self.lock:
            self.cut = {machine.tunnel for machine in machines}

    def bars(self, machine, hears, speaks):
        """From now on this machine hears the others or does not, and is heard by them or is not."""
        with self.lock:
            for barred, is_barred in ((self.deaf, not hears), (self.mute, not speaks)):
                barred.add(machine.tunnel) if is_barred else barred.discard(machine.tunnel)

    def run(self):
        while self.is_open:
            wait = min(0.5, max(0.0, self.waiting[0][0] - time.monotonic())) if self.waiting else 0.5
            for key, _ in self.selector.select(wait):
                self.take(key.fd)
            now = time.monotonic()
            while self.waiting and self.waiting[0][0] <= now:
                _, _, tunnel, packet = heapq.heappop(self.waiting)
                self.deliver(tunnel, packet)

    def take(self, source):
        while True:
            try:
                packet = os.read(source, 65_536)
            except BlockingIOError:
                return
            if source != self.waking:
                self.on_packet(source, packet)

    def on_packet(self, source, packet):
        with self.lock:
            # IPv6 is nobody's here; what is left is the kernel's search for routers.
            target = self.tunnels.get(packet[16:20]) if packet[0] >> 4 == 4 else None
            if target is None:
                return
            if {source, target} & self.cut or source in self.mute or target in self.deaf:
                self.counts["cut"] += 1
            elif self.random.random() < self.loss:
                self.counts["lost"] += 1
            else:
                due = time.monotonic() + self.delay + self.random.random() * self.jitter
                heapq.heappush(self.waiting, (due, next(self.order), target, packet))

    def deliver(self, tunnel, packet):
        with self.lock:
            if tunnel in self.cut or tunnel in self.deaf:
                self.counts["cut"] += 1
                return
            self.counts["carried"] += 1
        try:
            os.write(tunnel, packet)
        except OSError:
            self.counts["refused"] += 1

    def close(self):
        self.is_open = False
        os.write(self.waker, b".")
        self.join(5)
        self.selector.close()


class Network:
    """Machines by name. A context manager; processes on the machines are ended by whoever started them."""

    def __init__(self, *names, seed=1):
        if os.geteuid() != 0 or not shutil.which("ip") or not shutil.which("unshare"):
            raise SystemExit("a network of machines needs root, `ip` (`apt-get install iproute2`) and `unshare`")
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="lunamoth-network-"))
        self.wire = Wire(seed)
        self.machines = {}
        try:
            for number, name in enumerate(names, 1):
                machine = self.machines[name] = Machine(self, number, name)
                self.wire.plug(machine.wire_address, machine.tunnel)
            self.build_street(list(self.machines.values()))
        except BaseException:
            self.close()
            raise
        self.wire.start()

    def build_street(self, machines):
        first = machines[0]
        first.ip("link add street type bridge")
        for machine in machines[1:]:
            machine.ip(f"link add street type veth peer name door{machine.number} netns {first.path}")
            first.ip(f"link set door{machine.number} master street up")
        for machine in machines:
            machine.ip(f"address add {machine.street_address}/24 dev street")
            machine.ip("link set street up")

    def __getitem__(self, name):
        return self.machines[name]

    def close(self):
        if self.wire.ident:
            self.wire.close()
        for machine in self.machines.values():
            os.close(machine.tunnel)
            os.close(machine.namespace)
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def in_thread(function):
    """A namespace is a thread's: whoever enters one does so in a thread that ends behind it."""
    result = []

    def body():
        try:
            result.append((function(), None))
        except BaseException as error:
            result.append((None, error))

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    value, error = result[0]
    if error is not None:
        raise error
    return value


def system(name, *arguments):
    if getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{name}: {os.strerror(error)}")


def new_namespace():
    system("unshare", CLONE_NEWNET)
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def enter(namespace):
    system("setns", namespace, CLONE_NEWNET)


def open_tunnel():
    """The machine's end of the wire: a device whose packets are read and written here."""
    tunnel = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl.ioctl(tunnel, TUNSETIFF, struct.pack("16sH22x", b"wire", IFF_TUN | IFF_NO_PI))
    return tunnel


CLONE_NEWNET = 0x4000_0000
TUNSETIFF = 0x4004_54CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
