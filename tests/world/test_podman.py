"""The walk-through of deploy/README.md by podman: the scratch image and the manifests as they are, in a network namespace of their own.

What podman 4.3 cannot do is taken out here and nowhere else: probes (it never runs them), Services (names are given as aliases of the
network), Secrets of envFrom (it wants them in a form of its own), optional Secrets as volumes.
Needs root, podman with runc, netavark and aardvark-dns, iproute2, nsenter; PyYAML; and a static binary: LUNAMOTH_STATIC, or the one that
`deploy/build-image` would build.
"""

import base64
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time
import unittest

import yaml

import support
from terminal import Terminals
from test_reload import Mounted

DEPLOY = support.ROOT / "deploy"
IMAGE = "docker.io/library/lunamoth:0.1.0"

CONTAINERS_CONF = """
[containers]
default_ulimits = ["nofile=20000:20000", "nproc=32768:32768"]
[network]
network_backend = "netavark"
network_config_dir = "{folder}/networks"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
tmp_dir = "{folder}/tmp"
"""

STORAGE_CONF = """
[storage]
driver = "vfs"
graphroot = "{folder}/root"
runroot = "{folder}/run"
"""


class Podman:
    """podman with images, containers and a network that are gone when it closes."""

    def __init__(self):
        for tool in ("podman", "runc", "nsenter", "ip"):
            if not shutil.which(tool):
                raise SystemExit(f"`{tool}` is needed: apt-get install podman runc netavark aardvark-dns catatonit conmon iptables iproute2")
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="lunamoth-podman-"))
        (self.folder / "containers.conf").write_text(CONTAINERS_CONF.format(folder=self.folder))
        (self.folder / "storage.conf").write_text(STORAGE_CONF.format(folder=self.folder))
        self.confs = {"CONTAINERS_CONF": f"{self.folder}/containers.conf", "CONTAINERS_STORAGE_CONF": f"{self.folder}/storage.conf"}
        self.environment = {**support.foreign_environment(), **self.confs}
        self.space = f"lunamoth-{os.getpid()}"
        self.run("ip", "netns", "add", self.space, inside=False)
        self.run("ip", "link", "set", "lo", "up")
        self.podman("network", "create", "pods")

    def run(self, *command, inside=True, check=True, stdin=None, seconds=120):
        words = [*(["nsenter", f"--net=/run/netns/{self.space}"] if inside else []), *map(str, command)]
        done = subprocess.run(words, capture_output=True, text=True, input=stdin, env=self.environment, timeout=seconds)
        if check and done.returncode != 0:
            raise AssertionError(f"`{' '.join(words)}` ended with {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
        return done.stdout

    def podman(self, *words, **options):
        return self.run("podman", *words, **options)

    def play(self, alias, things):
        path = self.folder / f"{alias}.yaml"
        path.write_text(yaml.safe_dump_all(things))
        # The services of the master are two names of one pod.
        names = [alias, "lunamoth-cluster"] if alias == "lunamoth-master" else [alias]
        self.podman("kube", "play", "--network", "pods:" + ",".join(f"alias={name}" for name in names), path)

    def logs(self, container):
        done = subprocess.run(
            ["nsenter", f"--net=/run/netns/{self.space}", "podman", "logs", container],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=self.environment, timeout=60,
        )
        return done.stdout

    def close(self):
        self.podman("pod", "rm", "--all", "--force", "--time", "0", check=False)
        self.podman("rm", "--all", "--force", "--time", "0", check=False)
        self.podman("network", "rm", "--force", "pods", check=False)
        self.run("ip", "netns", "delete", self.space, inside=False, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)


def manifest(*names):
    return [thing for name in names for thing in yaml.safe_load_all((DEPLOY / f"{name}.yaml").read_text()) if thing]


def as_podman_takes_it(things):
    for thing in things:
        if thing["kind"] in ("Deployment", "Job"):
            pod = thing["spec"]["template"]["spec"]
            secret = {volume["name"] for volume in pod.get("volumes", []) if "secret" in volume}
            pod["volumes"] = [volume for volume in pod.get("volumes", []) if volume["name"] not in secret]
            for container in pod["containers"]:
                container["volumeMounts"] = [mount for mount in container.get("volumeMounts", []) if mount["name"] not in secret]
                container.pop("readinessProbe", None)
                container.pop("livenessProbe", None)
    return [thing for thing in things if thing["kind"] not in ("Service", "Ingress", "Secret")]


class WalkThrough(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.pods = Podman()
        cls.addClassCleanup(cls.pods.close)
        binary = os.environ.get("LUNAMOTH_STATIC")
        cls.pods.run(DEPLOY / "build-image", *([binary] if binary else []), seconds=1800)
        cls.image = json.loads(cls.pods.podman("image", "inspect", IMAGE))[0]

    def secret(self):
        (thing,) = manifest("secret")
        self.addCleanup(self.pods.podman, "secret", "rm", thing["metadata"]["name"], check=False)
        data = {key: base64.b64encode(text.encode()).decode() for key, text in thing["stringData"].items()}
        self.pods.podman("secret", "create", thing["metadata"]["name"], "-", stdin=json.dumps(data))

    def curl(self, path, *arguments, port=8089):
        return self.pods.run("curl", "-s", "--max-time", "30", *arguments, f"http://127.0.0.1:{port}{path}")

    def stats(self):
        return json.loads(self.curl("/locust/stats/requests"))

    def await_that(self, holds, seconds=30):
        """Statistics of which `holds` is true; a master that is not there has none."""
        deadline, stats = time.monotonic() + seconds, None
        while time.monotonic() < deadline:
            try:
                stats = self.stats()
                if holds(stats):
                    return stats
            except (AssertionError, json.JSONDecodeError):
                pass
            time.sleep(0.2)
        raise AssertionError(f"it did not come to hold: {json.dumps(stats)[:2000]}\n{self.pods.logs(self.master)[-3000:]}")

    def await_log(self, wanted, seconds=30):
        deadline = time.monotonic() + seconds
        while not re.search(wanted, self.pods.logs(self.master)):
            self.assertLess(time.monotonic(), deadline, f"`{wanted}` is not in the log\n{self.pods.logs(self.master)[-3000:]}")
            time.sleep(0.2)

    def setUp(self):
        self.addCleanup(self.pods.podman, "pod", "rm", "--all", "--force", "--time", "0", check=False)

    def workers(self, count, change=lambda things: things):
        """`kubectl scale`: podman has no controller, so that each worker is a pod of its own file."""
        things = change(as_podman_takes_it(manifest("config-cm", "scripts-cm", "worker-deployment")))
        name = f"lunamoth-worker-{count}"
        things[-1]["metadata"]["name"] = name
        things[-1]["spec"]["replicas"] = 1
        # It would publish the same port for every pod on the one address that there is.
        things[-1]["spec"]["template"]["spec"]["containers"][0].pop("ports")
        self.pods.play(name, things)
        return f"{name}-pod-0"

    def start_again(self, container):
        """What a kubelet does: the container starts anew, with the same volume."""
        self.pods.podman("wait", "--condition", "stopped", container, seconds=20)
        # podman ends the pod with its last container; until it has, a start is refused. A kubelet tries again, too.
        for attempt in range(8):
            try:
                return self.pods.podman("start", container)
            except AssertionError:
                if attempt == 7:
                    raise
                time.sleep(1)

    def served(self):
        return json.loads(self.curl("/count", port=8080))["total"]

    def users_of(self, stats):
        return sorted(worker["user_count"] for worker in stats["workers"] if worker["state"] == "running")

    def look_by_terminal(self):
        """`kubectl exec -it`: the image has no terminfo, and the terminal UI needs none."""
        terminals = Terminals("podman")
        self.addCleanup(terminals.close)
        tui = ["podman", "exec", "-it", self.master, "/lunamoth", "tui", "--url", "http://127.0.0.1:8089/locust"]
        terminals.open("tui", ["nsenter", f"--net=/run/netns/{self.pods.space}", *tui], env=self.pods.confs)
        terminals.wait_for("tui", "unning", "4 users", "Requests/s")
        terminals.type("tui", "q")
        terminals.wait_for("tui", "EXIT 0", seconds=10)

    def test_the_walk_through_and_all_that_can_happen_to_pods(self):
        self.secret()
        self.pods.play("lunamoth-target", as_podman_takes_it(manifest("target")))
        self.pods.play("lunamoth-master", as_podman_takes_it(manifest("config-cm", "scripts-cm", "master-deployment")))
        self.master = "lunamoth-master-pod-0-master"
        pods = {number: self.workers(number) for number in (1, 2)}
        self.await_log(r"INFO/lunamoth.main: Starting web monitor at \*:8089\n")
        self.await_log(r"INFO/lunamoth.main: Starting Lunamoth \d")
        self.await_log(r"INFO/lunamoth.master: Client '\S+_[0-9a-f]{32}' reported as ready. Currently 2 clients ready to swarm.\n")

        answer = self.curl("/swarm", "-X", "POST", "-F", "locust_count=4", "-F", "hatch_rate=4")
        self.assertEqual(answer, '{"success": true, "message": "Swarming started"}')
        self.await_log(r"INFO/lunamoth.master: Sending hatch jobs to 2 ready clients\n")
        self.await_that(lambda stats: self.users_of(stats) == [2, 2])
        self.await_log(r" POST /login +4 +0\(0.00%\)")
        # The image has no roots, no shell and nobody's home: each command of it asks all the same.
        for words in (["status"], ["status", "--json"], ["report"], ["report", "--html"], ["swarm", "-u", "4"]):
            self.pods.podman("exec", self.master, "/lunamoth", *words, "--url", "http://127.0.0.1:8089/locust")
        self.look_by_terminal()
        self.assertEqual(self.curl("/locust/stop"), '{"success": true, "message": "Test stopped"}')
        stats = self.await_that(lambda stats: stats["state"] == "stopped")
        self.assertEqual(stats["stats"][-1]["num_requests"], self.served())
        self.assertIn("<html", self.curl("/locust/"))

        before = self.served()
        self.curl("/locust/swarm", "-X", "POST", "-F", "user_count=6", "-F", "spawn_rate=6")
        self.await_that(lambda stats: self.users_of(stats) == [3, 3])
        pods[3] = self.workers(3)
        self.await_that(lambda stats: self.users_of(stats) == [2, 2, 2])
        self.pods.podman("pod", "stop", "--time", "60", pods.pop(2))
        self.await_that(lambda stats: self.users_of(stats) == [3, 3])

        self.pods.podman("kill", "--signal", "KILL", self.master)
        self.start_again(self.master)
        stats = self.await_that(lambda stats: self.users_of(stats) == [3, 3] and stats["state"] == "running", 40)
        self.await_log("adopted run ")
        time.sleep(2)
        self.curl("/locust/stop")
        stats = self.await_that(lambda stats: stats["state"] == "stopped")
        self.assertEqual((stats["stats"][-1]["num_requests"], stats["holes"]), (self.served() - before, []))

        before = self.served()
        self.curl("/locust/swarm", "-X", "POST", "-F", "user_count=6", "-F", "spawn_rate=6")
        self.await_that(lambda stats: self.users_of(stats) == [3, 3])
        # SIGTERM, as of a drained node. Another pod in its place has another address, which the names of podman's network do not follow.
        self.pods.podman("stop", "--time", "60", self.master)
        self.assertIn("the run is left to the next master", self.pods.logs(self.master))
        self.start_again(self.master)
        stats = self.await_that(lambda stats: self.users_of(stats) == [3, 3] and stats["state"] == "running", 40)
        self.await_log("adopted run ")
        self.curl("/locust/stop")
        stats = self.await_that(lambda stats: stats["state"] == "stopped")
        self.assertEqual((stats["stats"][-1]["num_requests"], stats["holes"]), (self.served() - before, []))

        before = self.served()
        self.curl("/locust/swarm", "-X", "POST", "-F", "user_count=6", "-F", "spawn_rate=6")
        self.await_that(lambda stats: self.users_of(stats) == [3, 3])
        self.pods.podman("pod", "kill", "--signal", "KILL", pods[3])
        self.await_that(lambda stats: self.users_of(stats) == [6] and len(stats["holes"]) == 1)
        self.curl("/locust/stop")
        stats = self.await_that(lambda stats: stats["state"] == "stopped")
        missing = self.served() - before - stats["stats"][-1]["num_requests"]
        # Three users with a second of thinking time: what they asked for in one interval.
        self.assertTrue(0 <= missing <= 20, missing)
        for words in (["stop"], ["reset"], ["status"]):
            self.pods.podman("exec", self.master, "/lunamoth", *words, "--url", "http://127.0.0.1:8089/locust")

    def test_a_running_test_takes_over_what_a_kubelet_swaps(self):
        """podman lays a ConfigMap out as plain files: here the folder is the test's own, laid out and swapped as a kubelet does."""
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        folder.chmod(0o755)
        text = 'local http, time = require "http", require "time"\nreturn function() http.get("/products", {{ name = "{}" }}) time.sleep("50ms") end\n'
        mounted = Mounted(folder / "scripts", main=text.format("one"))

        def change(things):
            for thing in things:
                if thing["metadata"]["name"] == "lunamoth-config":
                    thing["data"]["LUNAMOTH_RELOAD"] = "live"
                elif thing["kind"] == "Deployment":
                    for volume in thing["spec"]["template"]["spec"]["volumes"]:
                        if volume["name"] == "scripts":
                            volume.pop("configMap")
                            volume["hostPath"] = {"path": str(folder / "scripts"), "type": "Directory"}
            return things

        self.secret()
        self.pods.play("lunamoth-target", as_podman_takes_it(manifest("target")))
        self.pods.play("lunamoth-master", change(as_podman_takes_it(manifest("config-cm", "master-deployment"))))
        self.master = "lunamoth-master-pod-0-master"
        for number in (1, 2):
            self.workers(number, change)
        self.await_log("Currently 2 clients ready to swarm")
        self.curl("/swarm", "-X", "POST", "-F", "locust_count=4", "-F", "hatch_rate=4")

        def requests(stats, name):
            return sum(row["num_requests"] for row in stats["stats"] if row["name"] == name)

        self.await_that(lambda stats: requests(stats, "one") > 40 and self.users_of(stats) == [2, 2])
        mounted.swap(main=text.format("two"))
        stats = self.await_that(lambda stats: requests(stats, "two") > 100 and self.users_of(stats) == [2, 2])
        self.assertEqual(stats["state"], "running")
        before = requests(stats, "one")
        stats = self.await_that(lambda stats: requests(stats, "two") > 200)
        self.assertEqual(requests(stats, "one"), before)
        self.assertEqual(len({worker["fingerprint"] for worker in stats["workers"]}), 1)
        self.curl("/stop")
        stats = self.await_that(lambda stats: stats["state"] == "stopped")
        self.assertEqual((stats["stats"][-1]["num_requests"], stats["stats"][-1]["num_failures"]), (self.served(), 0))

    def test_config_maps_projected_into_one_folder_are_one_tree(self):
        """podman knows no projected volumes: the folder is laid out as a kubelet does, of what `scripts-configmap` made for the API server."""
        with tempfile.TemporaryDirectory() as temporary:
            folder = pathlib.Path(temporary)
            whole = 'local cart = require "cart"; assert(require("lib.pay").two == 2)\nreturn function() cart.look() end\n'
            cart = 'return { look = function() require("http").get("/products") end }'
            sources = {
                # As much as one ConfigMap takes, to the byte.
                "shop": {"main.lua": whole.ljust((1 << 20) - len("main.lua"), "-").encode()},
                "shop-more": {"cart.lua": cart.encode(), "lib.pay.lua": b"return { two = 2 }", "picture.bin": bytes(range(256))},
            }
            mounted = {}
            for name, files in sources.items():
                (folder / name).mkdir()
                for file, content in files.items():
                    (folder / name / file).write_bytes(content)
                thing = yaml.safe_load(self.pods.run(DEPLOY / "scripts-configmap", "--name", name, folder / name))
                mounted.update((key, text.encode()) for key, text in thing.get("data", {}).items())
                mounted.update((key, base64.b64decode(text)) for key, text in thing.get("binaryData", {}).items())
            self.assertEqual(mounted, sources["shop"] | sources["shop-more"])
            Mounted(folder / "scripts").bring(mounted)
            folder.chmod(0o755)
            said = self.pods.podman(
                "run", "--rm", "--network=none", "--read-only", "--volume", f"{folder}/scripts:/scripts:ro", IMAGE,
                *("run", "/scripts/main.lua", "-H", "builtin:shop", "--headless", "-u", "1", "-t", "1s"),
            )
            self.assertRegex(said, r"GET /products +\d+ +0\(0.00%\)")

    def test_a_worker_of_64_mib_lives(self):
        """With a secret that has to be stretched, and a thousand users."""
        self.secret()
        self.pods.play("lunamoth-target", as_podman_takes_it(manifest("target")))
        self.pods.play("lunamoth-master", as_podman_takes_it(manifest("config-cm", "scripts-cm", "master-deployment")))
        self.master = "lunamoth-master-pod-0-master"

        def small(things):
            things[-1]["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"] = "64Mi"
            return things

        self.workers(1, small)
        self.await_log("Currently 1 clients ready to swarm")
        self.curl("/locust/swarm", "-X", "POST", "-F", "user_count=1000", "-F", "spawn_rate=500")
        self.await_that(lambda stats: self.users_of(stats) == [1000])
        time.sleep(5)
        stats = self.await_that(lambda stats: self.users_of(stats) == [1000])
        self.assertEqual((stats["stats"][-1]["num_failures"], stats["holes"]), (0, []))

    def test_the_image_is_one_binary_that_is_a_number(self):
        config = self.image["Config"]
        self.assertEqual((config["User"], config["Entrypoint"]), ("65532:65532", ["/lunamoth"]))
        self.assertEqual(config["Labels"]["org.opencontainers.image.title"], "lunamoth")
        self.assertLess(self.image["Size"], 30 << 20)
        self.assertIn("lunamoth", self.pods.podman("run", "--rm", "--network=none", "--read-only", IMAGE, "--version"))


if __name__ == "__main__":
    unittest.main()
