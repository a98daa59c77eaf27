"""`deploy/run-job` against a cluster that is played, and the examples for pipelines against the schemas of those who read them.

Needs PyYAML, kubernetes-validate, check-jsonschema and hera (PyPI).
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import textwrap
import unittest

import hera.workflows.models
import kubernetes_validate
import yaml

import support
from test_manifests import DEPLOY, VERSION, Bundle, objects

EXAMPLES = DEPLOY / "examples"

# Plays kubectl: keeps what is created, answers of the master's pod what the test has laid down, one line after the other.
PLAYED = """
import json, pathlib, sys
folder, words = pathlib.Path({folder!r}), sys.argv[1:]
with (folder / "calls").open("a") as calls:
    calls.write(json.dumps(words) + "\\n")
if words[0] == "create":
    (folder / "created.yaml").write_text(sys.stdin.read())
elif words[0] == "get" and words[1] == "pods":
    states = (folder / "states").read_text().splitlines()
    print(states[0])
    if len(states) > 1:
        (folder / "states").write_text("\\n".join(states[1:]))
elif words[0] == "get":
    print((folder / "reason").read_text() if (folder / "reason").exists() else "", end="")
elif words[0] == "logs":
    print((folder / "log").read_text())
elif words[0] == "exec":
    print("<html>" if "--html" in words else "{{}}")
"""

OVER = "the run is over, and its report can be fetched for 60 s; the exit code will be"


class RunJob(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.scripts = self.folder / "scripts"
        self.scripts.mkdir()
        (self.scripts / "main.lua").write_text('return function() require("http").get("/") end\n')
        kubectl = self.folder / "kubectl"
        kubectl.write_text(f"#!{sys.executable}\n{PLAYED.format(folder=str(self.folder))}")
        kubectl.chmod(0o755)

    def run_job(self, states, *options, log="", patience="0"):
        (self.folder / "states").write_text("\n".join(states))
        (self.folder / "log").write_text(log)
        env = {**support.foreign_environment(), "KUBECTL": str(self.folder / "kubectl"), "RUN_JOB_PATIENCE": patience}
        return subprocess.run(
            [DEPLOY / "run-job", "--scripts", self.scripts, *options], capture_output=True, text=True, timeout=60, env=env,
        )

    def calls(self):
        return [json.loads(line) for line in (self.folder / "calls").read_text().splitlines()]

    def assert_clean(self):
        """Whatever was created is deleted again."""
        deleted = {word for call in self.calls() if call[0] == "delete" for word in call}
        for thing in objects((self.folder / "created.yaml").read_text()):
            self.assertIn(f"{thing['kind'].lower()}/{thing['metadata']['name']}", deleted)

    def test_a_run_that_passes_gives_its_report_and_leaves_nothing_behind(self):
        results = self.folder / "results"
        done = self.run_job(
            ["|||", "pod-1|Pending|ContainerCreating|", "pod-1|Running||"],
            *("--host", "http://shop:8080", "--workers", "3", "-u", "20", "-r", "5", "-t", "1m", "--set", 'shop="a b"', "--report", results, "--pull-secret", "mine"),
            log=f"lines\n{OVER} 0",
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("lines", done.stdout)
        self.assertEqual([(results / name).read_text().strip() for name in ("report.html", "report.json")], ["<html>", "{}"])
        self.assertIn("lines", (results / "log.txt").read_text())
        things = objects((self.folder / "created.yaml").read_text())
        for thing in things:
            kubernetes_validate.validate(thing, VERSION, strict=True)
        self.assertEqual(list(Bundle(things).faults()), [])
        jobs = {thing["metadata"]["labels"]["app.kubernetes.io/component"]: thing for thing in things if thing["kind"] == "Job"}
        args = jobs["master"]["spec"]["template"]["spec"]["containers"][0]["args"]
        self.assertEqual(args[-10:], ["-u", "20", "-r", "5", "-t", "1m", "--set", 'shop="a b"', "--host", "http://shop:8080"])
        self.assertEqual((jobs["worker"]["spec"]["completions"], args[args.index("--expect-workers") + 1]), (3, "3"))
        self.assertEqual(jobs["worker"]["spec"]["template"]["spec"]["imagePullSecrets"], [{"name": "mine"}])
        self.assert_clean()

    def test_the_verdict_is_the_exit_code(self):
        for states, log, code in (
            (["pod-1|Running||"], f"{OVER} 99", 99),
            (["pod-1|Running||"], f"{OVER} 1", 1),
            (["pod-1|Running||", "pod-1|Failed||2"], "lunamoth: the run cannot start: main.lua:1: no", 2),
            (["pod-1|Failed||3"], "lunamoth: 0 of 2 expected workers", 3),
            (["pod-1|Failed||137"], "", 3),
            (["pod-1|Pending|ImagePullBackOff|"], "", 3),
        ):
            with self.subTest(states=states, code=code):
                done = self.run_job(states, log=log)
                self.assertEqual(done.returncode, code, done.stderr)
                self.assert_clean()

    def test_a_job_whose_pod_is_gone_says_why(self):
        (self.folder / "reason").write_text("DeadlineExceeded")
        done = self.run_job(["|||"])
        self.assertEqual(done.returncode, 3)
        self.assertIn("DeadlineExceeded", done.stderr)

    def test_two_runs_at_once_have_nothing_in_common(self):
        names = []
        for _ in range(2):
            self.run_job(["pod-1|Running||"], log=f"{OVER} 0")
            names.append({(thing["kind"], thing["metadata"]["name"]) for thing in objects((self.folder / "created.yaml").read_text())})
        self.assertFalse(names[0] & names[1])

    def test_bad_use_creates_nothing(self):
        for options in (["--scripts", "/nowhere"], ["--workers", "0"], ["--name", "A"], ["--fly"]):
            done = self.run_job(["|||"], *options)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertFalse((self.folder / "calls").exists(), done.stderr)


class Examples(unittest.TestCase):
    def check(self, *words):
        done = subprocess.run([pathlib.Path(sys.executable).with_name("check-jsonschema"), *words], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_every_example_is_what_its_reader_takes(self):
        self.check("--builtin-schema", "vendor.github-workflows", EXAMPLES / "github-actions.yaml")
        self.check("--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci", EXAMPLES / "gitlab-ci.yaml")
        for thing in objects((EXAMPLES / "cronjob.yaml").read_text()):
            kubernetes_validate.validate(thing, VERSION, strict=True)
        flow = yaml.safe_load((EXAMPLES / "argo-workflow.yaml").read_text())
        # Its models let unknown fields pass and drop them.
        read = hera.workflows.models.Workflow.model_validate(flow)
        self.assertEqual(json.loads(read.model_dump_json(by_alias=True, exclude_unset=True)), flow)
        # No package carries Tekton's schema; the definitions of its own repository were held against it once.
        task = yaml.safe_load((EXAMPLES / "tekton-task.yaml").read_text())
        self.assertEqual((task["apiVersion"], task["kind"]), ("tekton.dev/v1", "Task"))
        given = {f"params.{param['name']}" for param in task["spec"]["params"]} | {f"workspaces.{space['name']}.path" for space in task["spec"]["workspaces"]}
        used = set(part.split(")")[0] for word in task["spec"]["steps"][0]["args"] for part in word.split("$(")[1:])
        self.assertEqual(used, given)

    def test_the_commands_in_the_examples_are_commands(self):
        commands = [yaml.safe_load((EXAMPLES / "argo-workflow.yaml").read_text())["spec"]["templates"][0]["container"]["args"]]
        commands.append(yaml.safe_load((EXAMPLES / "tekton-task.yaml").read_text())["spec"]["steps"][0]["args"])
        for words in commands:
            self.assertEqual(list(Bundle([]).faults_of_arguments(words)), [])
        known = subprocess.run([DEPLOY / "run-job", "--help"], capture_output=True, text=True, timeout=20).stdout
        for name in ("github-actions.yaml", "gitlab-ci.yaml"):
            line = next(line for line in textwrap.dedent((EXAMPLES / name).read_text()).replace("\n          --", " --").replace("\n      --", " --").splitlines() if "deploy/run-job --" in line)
            for word in line.split():
                if word.startswith("-"):
                    self.assertRegex(known, rf"(^| |,){word}\b", name)


if __name__ == "__main__":
    unittest.main()
