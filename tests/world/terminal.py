"""A terminal for tests: tmux sessions whose keys are typed and whose screens are read.

Every wait has a deadline; the server of a test's own sessions is ended with it.
"""

import os
import shlex
import shutil
import subprocess
import time

from support import foreign_environment


class Terminals:
    """A tmux server of its own, with one session a name."""

    def __init__(self, name):
        if not shutil.which("tmux"):
            raise SystemExit("no tmux: apt-get install tmux")
        self.socket = f"lunamoth-{name}-{os.getpid()}"

    def tmux(self, *arguments):
        command = ["tmux", "-L", self.socket, "-f", "/dev/null", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=20, env=foreign_environment())

    def open(self, name, command, columns=100, rows=30, env=None):
        """Runs a command in a session; its exit code is written behind it, and the session stays."""
        env = {"LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", **(env or {})}
        words = ["env", *(f"{key}={value}" for key, value in env.items()), *map(str, command)]
        line = f"{shlex.join(words)}; echo EXIT $?; exec cat"
        done = self.tmux("new-session", "-d", "-s", name, "-x", columns, "-y", rows, line)
        assert done.returncode == 0, done.stderr

    def type(self, name, *keys):
        for key in keys:
            self.tmux("send-keys", "-t", f"{name}:", key)

    def resize(self, name, columns, rows):
        self.tmux("resize-window", "-t", f"{name}:", "-x", columns, "-y", rows)

    def screen(self, name, history=0):
        return self.tmux("capture-pane", "-p", "-t", f"{name}:", "-S", -history).stdout

    def process(self, name):
        return int(self.tmux("list-panes", "-t", f"{name}:", "-F", "#{pane_pid}").stdout)

    def wait_for(self, name, *texts, seconds=20, history=0):
        """The first screen that shows all of the texts."""
        deadline = time.monotonic() + seconds
        while True:
            screen = self.screen(name, history)
            if all(text in screen for text in texts):
                return screen
            if time.monotonic() > deadline:
                raise AssertionError(f"{texts} did not come to the screen:\n{screen}")
            time.sleep(0.1)

    def end(self, name):
        """Hangs up."""
        self.tmux("kill-session", "-t", f"{name}:")

    def close(self):
        self.tmux("kill-server")
