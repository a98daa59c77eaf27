"""The manifests, every overlay and the chart: valid to the last field, and true to each other.

kubernetes-validate holds types and unknown fields; what no schema holds is held here: selectors, ports with their protocol, keys of
ConfigMaps and Secrets, backends of ingresses, and what every pod must have.
Needs PyYAML and kubernetes-validate (PyPI), kubectl and helm (variables KUBECTL and HELM, or on the PATH).
"""

import base64
import collections
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import kubernetes_validate
import yaml

import support

DEPLOY = pathlib.Path(__file__).resolve().parents[2] / "deploy"
OVERLAYS = ["base", *sorted(f"overlays/{folder.name}" for folder in (DEPLOY / "overlays").iterdir())]
PLAIN = ["config-cm", "scripts-cm", "secret", "target", "master-deployment", "service", "worker-deployment", "ingress"]
CHART = DEPLOY / "helm/lunamoth"
# What the chart makes itself only where it can ask a cluster.
GIVEN = "secret.value=lunamoth-secret-" + 32 * "7e"
EVERYTHING = "ssh.enabled=true,ssh.authorizedKeys=ssh-ed25519 AAAA me,ingress.enabled=true,networkPolicy.enabled=true,master.state.persistent=true,master.autostartWorkers=2,monitoring.serviceMonitor.enabled=true,monitoring.podMonitor.enabled=true,monitoring.dashboard.enabled=true"
VARIANTS = [
    "master.pathPrefix=,ingress.enabled=true,ingress.host=load.example",
    "job.enabled=true,job.linger=60s,settings.LUNAMOTH_USERS=20",
    "master.onTerm=stop,workers.spread=false,workers.disruptionBudget=false,service.type=NodePort",
    "ingress.enabled=true,ingress.className=,service.annotations.a=b,imagePullSecrets[0].name=mine,scripts.env.SHOP=seven",
]
VERSION = "1.36"


def tool(name):
    path = os.environ.get(name.upper()) or shutil.which(name)
    if not path:
        raise AssertionError(f"`{name}` is needed: name it by the variable {name.upper()}, or put it on the PATH")
    return path


def output(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, **options)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))} ended with {done.returncode}\n{done.stderr[-3000:]}")
    return done.stdout


def objects(text):
    return [thing for thing in yaml.safe_load_all(text) if thing]


def named(thing):
    """As the API server makes it of `generateName`."""
    thing["metadata"]["name"] = thing["metadata"].pop("generateName") + "x7"
    return thing


def plain():
    return objects("\n---\n".join((DEPLOY / f"{name}.yaml").read_text() for name in PLAIN))


def chart(*more):
    return output(tool("helm"), "template", "shop", CHART, "--set", GIVEN, *more)


def bundles():
    """Each set of objects that is applied together, by name."""
    yield "plain", plain()
    yield "plain and a run", plain() + [named(thing) for thing in objects((DEPLOY / "job.yaml").read_text())]
    yield "plain and the nightly run", plain() + objects((DEPLOY / "examples/cronjob.yaml").read_text())
    for overlay in OVERLAYS:
        yield overlay, objects(output(tool("kubectl"), "kustomize", DEPLOY / overlay))
    yield "chart", objects(chart())
    for values in VARIANTS:
        yield f"chart, {values}", objects(chart("--set", values))
    yield "chart, everything", objects(chart("--set", EVERYTHING))


class Bundle:
    """Objects that are applied together, and how they hang together."""

    def __init__(self, things):
        self.things = things
        self.by_name = {(thing["kind"], thing["metadata"]["name"]): thing for thing in things}
        self.pods = {}
        for thing in things:
            if thing["kind"] in ("Deployment", "Job"):
                self.pods[f"{thing['kind']} {thing['metadata']['name']}"] = thing["spec"]["template"]
            elif thing["kind"] == "CronJob":
                self.pods[f"CronJob {thing['metadata']['name']}"] = thing["spec"]["jobTemplate"]["spec"]["template"]

    def of(self, kind):
        return [thing for thing in self.things if thing["kind"] == kind]

    def matching(self, selector):
        return [pod for pod in self.pods.values() if selector.items() <= pod["metadata"]["labels"].items()]

    def faults(self):
        for thing in self.things:
            name = thing["metadata"]["name"]
            if not re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", name) or len(name) > 63:
                yield f"{name} is no name"
        names = collections.Counter((thing["kind"], thing["metadata"]["name"]) for thing in self.things)
        yield from (f"{name} stands twice" for name, count in names.items() if count > 1)
        for deployment in self.of("Deployment"):
            selector = deployment["spec"]["selector"]["matchLabels"]
            if not selector.items() <= deployment["spec"]["template"]["metadata"]["labels"].items():
                yield f"{deployment['metadata']['name']} does not select its own pods"
        for service in self.of("Service"):
            yield from self.faults_of_service(service)
        for ingress in self.of("Ingress"):
            yield from self.faults_of_ingress(ingress)
        for kind in ("PodDisruptionBudget", "NetworkPolicy"):
            for thing in self.of(kind):
                yield from self.faults_of_selecting(thing)
        for monitor in self.of("ServiceMonitor"):
            for service in self.of("Service"):
                if monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items():
                    break
            else:
                yield f"the monitor {monitor['metadata']['name']} finds no service"
        for monitor in self.of("PodMonitor"):
            ports = {port["name"] for pod in self.matching(monitor["spec"]["selector"]["matchLabels"]) for container in pod["spec"]["containers"] for port in container["ports"]}
            if not {endpoint["port"] for endpoint in monitor["spec"]["podMetricsEndpoints"]} <= ports:
                yield f"the monitor {monitor['metadata']['name']} finds no port"
        for scaler in self.of("HorizontalPodAutoscaler"):
            target = scaler["spec"]["scaleTargetRef"]
            if (target["kind"], target["name"]) not in self.by_name:
                yield f"the autoscaler scales {target['name']}, which is not there"
            elif "replicas" in self.by_name[target["kind"], target["name"]]["spec"]:
                yield "both the autoscaler and the manifest say how many workers"
        for name, pod in self.pods.items():
            yield from (f"{name}: {fault}" for fault in self.faults_of_pod(pod["spec"]))

    def faults_of_service(self, service):
        name = service["metadata"]["name"]
        pods = self.matching(service["spec"]["selector"])
        if len(pods) != 1:
            yield f"service {name} selects {len(pods)} kinds of pods"
        for pod in pods:
            ports = {(port["name"], port["protocol"]) for container in pod["spec"]["containers"] for port in container["ports"]}
            for port in service["spec"]["ports"]:
                if (port["targetPort"], port["protocol"]) not in ports:
                    yield f"service {name}: no container has the port {port['targetPort']}/{port['protocol']}"

    def faults_of_ingress(self, ingress):
        for rule in ingress["spec"]["rules"]:
            for path in rule["http"]["paths"]:
                backend = path["backend"]["service"]
                service = self.by_name.get(("Service", backend["name"]))
                if not service:
                    yield f"the ingress leads to {backend['name']}, which is not there"
                elif backend["port"]["name"] not in {port["name"] for port in service["spec"]["ports"] if port["protocol"] == "TCP"}:
                    yield f"the ingress leads to the port {backend['port']['name']} of {backend['name']}, which it does not have"

    def faults_of_selecting(self, thing):
        selectors = [thing["spec"].get("selector") or thing["spec"]["podSelector"]]
        for rule in thing["spec"].get("ingress", []):
            selectors += [peer["podSelector"] for peer in rule["from"] if "podSelector" in peer]
        for selector in selectors:
            if not self.matching(selector["matchLabels"]):
                yield f"{thing['kind']} {thing['metadata']['name']} selects no pod"

    def faults_of_pod(self, pod):
        security = pod["securityContext"]
        if not (security["runAsNonRoot"] and security["runAsUser"] > 0 and security["seccompProfile"]["type"] == "RuntimeDefault"):
            yield "it may be root, or has no seccomp profile"
        if pod["enableServiceLinks"] is not False or pod["automountServiceAccountToken"] is not False:
            yield "service links or the account's token are mounted"
        yield from self.faults_of_admission(pod)
        volumes = {volume["name"] for volume in pod.get("volumes", [])}
        for volume in pod.get("volumes", []):
            wanted = volume.get("configMap", {}).get("name")
            if wanted and ("ConfigMap", wanted) not in self.by_name:
                yield f"the ConfigMap {wanted} is not there"
            secret = volume.get("secret", {})
            if secret and not secret.get("optional") and ("Secret", secret["secretName"]) not in self.by_name:
                yield f"the Secret {secret['secretName']} is not there"
            claim = volume.get("persistentVolumeClaim", {}).get("claimName")
            if claim and ("PersistentVolumeClaim", claim) not in self.by_name:
                yield f"the claim {claim} is not there"
        for container in [*pod.get("initContainers", []), *pod["containers"]]:
            yield from self.faults_of_container(container, volumes, pod)

    def faults_of_admission(self, pod):
        """What the PodSecurity profile `restricted` refuses, and the API server in names; and a volume that a plain number cannot write to."""
        if {"hostNetwork", "hostPID", "hostIPC", "ephemeralContainers"} & pod.keys():
            yield "it shares its node, or has containers that are not looked at here"
        for volume in pod.get("volumes", []):
            if not volume.keys() - {"name"} <= {"configMap", "secret", "emptyDir", "persistentVolumeClaim", "projected"}:
                yield f"the volume {volume['name']} is of a kind that is not allowed"
            if volume.keys() & {"emptyDir", "persistentVolumeClaim"} and "fsGroup" not in pod["securityContext"]:
                yield f"the volume {volume['name']} belongs to root alone"
        for port in (port for container in [*pod.get("initContainers", []), *pod["containers"]] for port in container["ports"]):
            if "hostPort" in port or not re.fullmatch(r"(?=.*[a-z])[a-z0-9]+(-[a-z0-9]+)*", port["name"]) or len(port["name"]) > 15:
                yield f"the port {port['name']} is the node's, or has a name that is none"

    def faults_of_container(self, container, volumes, pod):
        security = container["securityContext"]
        if security["allowPrivilegeEscalation"] or not security["readOnlyRootFilesystem"] or security["capabilities"]["drop"] != ["ALL"]:
            yield "it has rights that it does not need"
        if not {"cpu", "memory"} <= container["resources"]["limits"].keys():
            yield "it has no limits"
        for mount in container.get("volumeMounts", []):
            if mount["name"] not in volumes or "subPath" in mount:
                yield f"the mount {mount['name']} has no volume, or would never be updated"
        ports = {port["name"] for port in container["ports"]}
        for probe in ("readinessProbe", "livenessProbe"):
            if probe in container and container[probe]["httpGet"]["port"] not in ports:
                yield f"{probe} asks at a port that is not there"
        settings = {}
        for source in container.get("envFrom", []):
            kind, name = ("ConfigMap", source["configMapRef"]["name"]) if "configMapRef" in source else ("Secret", source["secretRef"]["name"])
            thing = self.by_name.get((kind, name))
            if not thing:
                yield f"the {kind} {name} is not there"
            else:
                settings.update(thing.get("data") or {}, **(thing.get("stringData") or {}))
        yield from self.faults_of_arguments(container["args"])
        if container["args"][0] in ("master", "worker"):
            if "LUNAMOTH_SECRET" not in settings:
                yield "it has no secret"
            if pod["terminationGracePeriodSeconds"] <= int(settings.get("LUNAMOTH_STOP_TIMEOUT", "10s").rstrip("s")) + 15:
                yield "it is killed before its stop and its last report"
            unknown = self.unknown(settings)
            if unknown:
                yield f"the program does not know {unknown}"

    def faults_of_arguments(self, words):
        command, text = words[0], support.run([support.program(), words[0], "--help"], deadline=20).stdout
        for word in words[1:]:
            if word.startswith("-") and not re.search(rf"(^|[ ,]){re.escape(word.split('=')[0])}\b", text, re.MULTILINE):
                yield f"`lunamoth {command}` has no flag {word}"
        for flag in ("--master", "--sole"):
            for place, word in enumerate(words):
                name = word.removeprefix(f"{flag}=") if word.startswith(f"{flag}=") else words[place + 1] if word == flag else None
                if name and not any(port["protocol"] == "UDP" and f"{service['metadata']['name']}:{port['port']}" == name
                                    for service in self.of("Service") for port in service["spec"]["ports"]):
                    yield f"{flag} {name}: there is no such service"

    @staticmethod
    def unknown(settings):
        known = (DEPLOY.parent / "config/default.toml").read_text()
        secrets = {"LUNAMOTH_SECRET", "LUNAMOTH_SECRET_PREVIOUS", "LUNAMOTH_WEB_TOKEN"}
        named = [key for key in settings if key.startswith("LUNAMOTH_") and key not in secrets]
        return [key for key in named if f"{key.removeprefix('LUNAMOTH_').lower()} = " not in known]


class Manifests(unittest.TestCase):
    def test_every_object_is_valid_to_the_last_field(self):
        for name, things in bundles():
            for thing in things:
                # No schema of these comes with Kubernetes; what they select is looked at with the rest.
                if thing["apiVersion"].startswith("monitoring.coreos.com/"):
                    continue
                with self.subTest(bundle=name, kind=thing["kind"], name=thing["metadata"]["name"]):
                    kubernetes_validate.validate(thing, VERSION, strict=True)

    def test_what_one_object_says_of_another_is_so(self):
        for name, things in bundles():
            with self.subTest(bundle=name):
                self.assertEqual(list(Bundle(things).faults()), [])

    def test_the_check_bites(self):
        def spoiled(spoil):
            things = plain()
            spoil({(thing["kind"], thing["metadata"]["name"]): thing for thing in things})
            return list(Bundle(things).faults())

        def pod(things, of):
            return things["Deployment", f"lunamoth-{of}"]["spec"]["template"]["spec"]

        def container(things, of):
            return pod(things, of)["containers"][0]

        for spoil in (
            lambda things: things["Service", "lunamoth-cluster"]["spec"]["ports"][0].update(protocol="TCP"),
            lambda things: container(things, "worker")["args"].append("--onec"),
            lambda things: container(things, "worker")["args"].__setitem__(2, "lunamoth-worker:5557"),
            lambda things: things["Service", "lunamoth-master"]["spec"]["selector"].update({"app.kubernetes.io/component": "moth"}),
            lambda things: things["Ingress", "lunamoth"]["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]["port"].update(name="cluster"),
            lambda things: things["Secret", "lunamoth-secret"]["stringData"].clear(),
            lambda things: things["ConfigMap", "lunamoth-config"]["data"].update(LUNAMOTH_HOTS="x"),
            lambda things: things["ConfigMap", "lunamoth-config"]["data"].update(LUNAMOTH_STOP_TIMEOUT="50s"),
            lambda things: container(things, "worker")["readinessProbe"]["httpGet"].update(port="web"),
            lambda things: container(things, "master")["securityContext"].update(readOnlyRootFilesystem=False),
            lambda things: container(things, "master")["ports"][0].update(hostPort=8089),
            lambda things: pod(things, "master").update(hostNetwork=True),
            lambda things: pod(things, "master")["securityContext"].pop("fsGroup"),
            lambda things: pod(things, "worker")["volumes"].append({"name": "node", "hostPath": {"path": "/"}}),
            lambda things: pod(things, "master")["volumes"][2]["secret"].update(optional=False),
            lambda things: things["Service", "lunamoth-target"]["metadata"].update(name="lunamoth_target"),
            lambda things: container(things, "master")["volumeMounts"][0].update(subPath="main.lua"),
        ):
            self.assertTrue(spoiled(spoil))

    def test_the_scripts_of_every_bundle_pass_their_check(self):
        for name, things in bundles():
            maps = [thing for thing in things if thing["kind"] == "ConfigMap" and any(key.endswith(".lua") for key in thing["data"])]
            self.assertEqual(len(maps), 1, name)
            settings = next(thing for thing in things if thing["kind"] == "ConfigMap" and "LUNAMOTH_HOST" in thing["data"])["data"]
            with tempfile.TemporaryDirectory() as temporary, self.subTest(bundle=name):
                folder = pathlib.Path(temporary)
                for key, text in maps[0]["data"].items():
                    (folder / key).write_text(text)
                script = folder / f"{settings.get('LUNAMOTH_SCRIPT', 'main')}.lua"
                done = support.run([support.program(), "check", script, "-H", "builtin:shop"], deadline=60)
                self.assertEqual(done.code, 0, done.said())

    def test_every_script_is_in_the_generated_config_map(self):
        scripts = DEPLOY.parent / "scripts"
        named = yaml.safe_load((scripts / "kustomization.yaml").read_text())["configMapGenerator"][0]["files"]
        self.assertEqual(named, sorted(path.name for path in scripts.iterdir() if path.suffix in (".lua", ".csv")))

    def test_the_chart_passes_its_strict_check(self):
        for values in ("workers.replicas=2", GIVEN, f"{GIVEN},{EVERYTHING}", f"{GIVEN},job.enabled=true"):
            output(tool("helm"), "lint", "--strict", CHART, "--set", values)

    def test_the_chart_renders_the_same_each_time_and_never_a_secret_of_its_own(self):
        """As Argo CD does: without a cluster to look at."""
        self.assertEqual(chart("--set", EVERYTHING), chart("--set", EVERYTHING))
        done = subprocess.run([tool("helm"), "template", "shop", CHART], capture_output=True, text=True, timeout=60)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("secret.existing", done.stderr)
        theirs = output(tool("helm"), "template", "shop", CHART, "--set", "secret.existing=theirs")
        self.assertNotIn("Secret", {thing["kind"] for thing in objects(theirs)})
        self.assertEqual(theirs.count("name: theirs\n"), 3)

    def test_other_settings_replace_the_pods_and_other_scripts_do_not(self):
        def pods(*more):
            return {name: pod for name, pod in Bundle(objects(chart(*more))).pods.items() if not name.endswith("target")}

        before = pods()
        self.assertEqual(before, pods("--set", "scripts.files.more\\.lua=return {}"))
        for change in ("settings.LUNAMOTH_NAMES=9", "host=http://other", "secret.value=another secret"):
            for name, pod in pods("--set", change).items():
                self.assertNotEqual(pod, before[name], change)

    def test_the_values_of_the_chart_reach_the_pods(self):
        values = {
            "image": {"digest": f"sha256:{64 * '0'}"}, "imagePullSecrets": [{"name": "mine"}], "labels": {"team": "load"},
            "annotations": {"note": "all"}, "service": {"ipFamilyPolicy": "PreferDualStack"},
        }
        for role in ("master", "workers"):
            values[role] = {
                "extraArgs": ["--log=json"], "extraEnv": [{"name": "A", "value": "b"}], "extraEnvFrom": [{"configMapRef": {"name": "more"}}],
                "extraVolumes": [{"name": "ca", "secret": {"secretName": "ca"}}], "extraVolumeMounts": [{"name": "ca", "mountPath": "/ca"}],
                "initContainers": [{"name": "wait", "image": "busybox"}], "podLabels": {"a": "b"}, "podAnnotations": {"c": "d"},
                "serviceAccountName": "load", "priorityClassName": "high", "nodeSelector": {"role": "load"}, "affinity": {"podAntiAffinity": {}},
                "tolerations": [{"key": "load", "operator": "Exists"}],
                "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}],
            }
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            yaml.safe_dump(values, file)
            file.flush()
            things = objects(chart("--values", file.name))
        for thing in things:
            kubernetes_validate.validate(thing, VERSION, strict=True)
            if thing["kind"] != "Pod":
                self.assertEqual((thing["metadata"]["labels"]["team"], thing["metadata"]["annotations"]["note"]), ("load", "all"), thing)
        for name in ("master", "worker"):
            template = Bundle(things).pods[f"Deployment shop-lunamoth-{name}"]
            pod, role = template["spec"], values["master"]
            for key in ("initContainers", "serviceAccountName", "priorityClassName", "nodeSelector", "affinity", "tolerations", "topologySpreadConstraints"):
                self.assertEqual(pod[key], role[key], key)
            container = pod["containers"][0]
            self.assertEqual(container["image"], f"docker.io/library/lunamoth@sha256:{64 * '0'}")
            self.assertEqual((container["args"][-1], container["env"], container["envFrom"][-1]), ("--log=json", role["extraEnv"], role["extraEnvFrom"][0]))
            self.assertEqual((pod["volumes"][-1], container["volumeMounts"][-1]), (role["extraVolumes"][0], role["extraVolumeMounts"][0]))
            self.assertEqual((pod["imagePullSecrets"], template["metadata"]["labels"]["a"], template["metadata"]["annotations"]["c"]), ([{"name": "mine"}], "b", "d"))

    def test_images_bear_their_full_names(self):
        for name, things in bundles():
            for pod in Bundle(things).pods.values():
                self.assertEqual({container["image"] for container in pod["spec"]["containers"]}, {"docker.io/library/lunamoth:0.1.0"}, name)

    def test_wrong_values_of_the_chart_are_refused(self):
        for wrong in ("wrokers.replicas=1", "workers.replicas=-1", "host=shop", "settings.LUNAMOTH_SECRET=abc", "scripts.env.LUNAMOTH_HOST=x", "secret.value=short", "image.digest=latest", "job.linger=long"):
            done = subprocess.run([tool("helm"), "template", CHART, "--set", GIVEN, "--set", wrong], capture_output=True, text=True, timeout=60)
            self.assertNotEqual(done.returncode, 0, wrong)
            self.assertIn("schema", done.stderr, wrong)


class ScriptsConfigMap(unittest.TestCase):
    """deploy/scripts-configmap: a folder as a ConfigMap, byte for byte, or a clear word where it does not fit."""

    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def generate(self, *more):
        return subprocess.run([DEPLOY / "scripts-configmap", self.folder, *more], capture_output=True, text=True, timeout=60)

    def test_every_byte_arrives(self):
        files = {
            "main.lua": b'return { "a\\b", "\t\r\n" } -- \xc3\xa4 \n\n',
            "empty.csv": b"",
            "no-line-end": b"x",
            "escape.txt": b"\x1b[2J",
            "picture.bin": bytes(range(256)),
        }
        for name, content in files.items():
            (self.folder / name).write_bytes(content)
        done = self.generate("--name", "mine")
        self.assertEqual(done.returncode, 0, done.stderr)
        (thing,) = objects(done.stdout)
        kubernetes_validate.validate(thing, VERSION, strict=True)
        self.assertEqual(thing["metadata"]["name"], "mine")
        got = {name: text.encode() for name, text in thing["data"].items()}
        got.update((name, base64.b64decode(text)) for name, text in thing["binaryData"].items())
        self.assertEqual(got, files)
        self.assertEqual((set(thing["binaryData"]), done.stderr), ({"escape.txt", "picture.bin"}, ""))

    def test_a_program_that_is_there_tells_the_fingerprint(self):
        (self.folder / "main.lua").write_text("return function() end\n")
        env = {**os.environ, "LUNAMOTH": support.program()}
        wanted = support.run([support.program(), "check", "--fingerprint", self.folder / "main.lua"], deadline=20).stdout.strip()
        done = subprocess.run([DEPLOY / "scripts-configmap", self.folder], capture_output=True, text=True, timeout=60, env=env)
        self.assertEqual(done.returncode, 0)
        self.assertIn(f"--scripts-fingerprint {wanted}\n", done.stderr)
        (self.folder / "main.lua").write_text("return function(\n")
        done = subprocess.run([DEPLOY / "scripts-configmap", self.folder], capture_output=True, text=True, timeout=60, env=env)
        self.assertEqual((done.returncode, list(objects(done.stdout)[0]["data"])), (0, ["main.lua"]))
        self.assertIn("would not run", done.stderr)

    def test_what_does_not_fit_is_told_with_the_way_out(self):
        (self.folder / "main.lua").write_bytes(b"x" * 1000)
        (self.folder / "rows.csv").write_bytes(b"x" * (1024 * 1024))
        done = self.generate()
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        for word in ("1048576", "rows.csv", "projected", "PersistentVolumeClaim", "layer of the image"):
            self.assertIn(word, done.stderr)

    def test_a_full_config_map_passes_and_a_byte_more_does_not(self):
        most = (1 << 20) - len("main.lua")
        (self.folder / "main.lua").write_bytes(b"-" * most)
        done = self.generate()
        self.assertEqual(done.returncode, 0)
        self.assertIn("kubectl apply --server-side --force-conflicts -f -", done.stderr)
        (self.folder / "main.lua").write_bytes(b"-" * (most + 1))
        self.assertEqual(self.generate().returncode, 2)

    def test_a_folder_is_left_out_with_a_word(self):
        (self.folder / "main.lua").touch()
        (self.folder / "pages").mkdir()
        (self.folder / "pages" / "cart.lua").touch()
        done = self.generate()
        self.assertEqual((done.returncode, list(objects(done.stdout)[0]["data"])), (0, ["main.lua"]))
        self.assertIn("left out: the folders pages", done.stderr)

    def test_a_name_that_no_key_can_have_is_refused(self):
        (self.folder / "two words.lua").touch()
        done = self.generate()
        self.assertEqual(done.returncode, 2)
        self.assertIn("two words.lua", done.stderr)


if __name__ == "__main__":
    sys.exit(unittest.main())
