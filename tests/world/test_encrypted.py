"""TLS, HTTP/2, gzip and IPv6 against nginx: served = reported on each of them, and what is wrong with a certificate is a failure that says so."""

import pathlib
import signal
import tempfile
import time
import unittest

import certificates
import support

SCRIPT = """
local http, check = require "http", require "check"
return function()
  local res = http.get("/small.json", { name = "small" })
  check.that("%s", res.proto == "%s")
  check.that("the body is whole", #res.body == %d)
end
"""

# Two clients with certificates of their own, and one without, which trusts the authority as they do.
OWN_CERTIFICATES = """
local check, http = require "check", require "http"
local good = http.client { cert = "good.pem", key = "good.key", ca = "authority.pem" }
local foreign = http.client { cert = "foreign.pem", key = "foreign.key", ca = "authority.pem" }
local none = http.client { ca = "authority.pem" }
return function()
  check.that("the one", good.get("/small.json").headers["x-client"] == "CN=good")
  check.that("the other", foreign.get("/small.json").headers["x-client"] == "CN=foreign")
  check.that("without", none.get("/small.json", { expect = 400 }).status == 400)
end
"""

TEXT = b"a line that repeats itself\n" * 4000


def server(port, kind, options=""):
    return f"""
        server {{
            listen 127.0.0.1:{port} ssl {options} backlog=4096;
            root html;
            ssl_certificate {kind}.pem;
            ssl_certificate_key {kind}.key;
            http2_max_concurrent_streams 256;
        }}
    """


class Encrypted(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.certificates = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        certificates.make(cls.certificates)

    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.report = self.folder / "report.json"
        self.ports = {name: support.free_port() for name in ("good", "two", "expired", "foreign", "six", "closed", "closed_two")}
        more = "".join(server(self.ports[kind], kind) for kind in certificates.KINDS) + server(self.ports["two"], "good", "http2")
        more += f"server {{ listen [::1]:{self.ports['six']}; root html; gzip on; gzip_types *; gzip_min_length 0; }}"
        asks = "ssl_client_certificate ca.pem; ssl_verify_client on; add_header x-client $ssl_client_s_dn always;"
        more += "".join(server(self.ports[name], "good", version).replace("root html;", f"root html; {asks}") for name, version in (("closed", ""), ("closed_two", "http2")))
        files = {path.name: path.read_bytes() for path in self.certificates.iterdir()}
        files["html/text.txt"] = TEXT
        self.nginx = self.enterContext(support.Nginx(access_log=True, more=more, files=files))

    def url(self, name, host="localhost"):
        return f"https://{host}:{self.ports[name]}"

    def start(self, text, url, *options):
        path = support.script(self.folder, "asked.lua", text)
        command = [support.program(), "run", path, "-H", url, "--headless", "--json", self.report, *options]
        return support.Running(command, deadline=60)

    def lines(self):
        return [line for line in self.nginx.logged() if not line.endswith(" /status")]

    def agree(self, done, protocol):
        self.assertEqual(done.code, 0, done.said())
        report, lines = support.Report(self.report), self.lines()
        self.assertGreater(len(lines), 100)
        self.assertEqual((report.total.requests, report.total.failures), (len(lines), 0), done.said())
        self.assertEqual({line.split()[0] for line in lines}, {protocol})
        for row in report.whole["checks"]:
            self.assertEqual(row["fails"], 0, row)
        return report

    def small(self, protocol):
        return SCRIPT % (protocol, protocol, len(support.SMALL))

    def test_http_2_and_http_1_over_tls_are_served_as_reported(self):
        for name, protocol in (("two", "HTTP/2.0"), ("good", "HTTP/1.1")):
            with self.subTest(protocol):
                reported = protocol.removesuffix(".0")
                done = self.start(self.small(reported), self.url(name), "--ca-file", self.certificates / "ca.pem", "-u", 20, "-r", 20, "-t", "2s").wait()
                report = self.agree(done, protocol)
                names = {row["name"]: row["count"] for row in report.whole["phases"]}
                self.assertEqual(names["http_req_tls_handshaking"], 20)
            self.nginx.close()
            self.setUp()

    def test_ctrl_c_loses_nothing_on_http_2(self):
        running = self.start(self.small("HTTP/2"), self.url("two"), "--ca-file", self.certificates / "ca.pem", "-u", 20, "-r", 20, "-t", "50s")
        time.sleep(2)
        running.signal(signal.SIGINT)
        self.agree(running.wait(), "HTTP/2.0")

    def test_a_certificate_that_cannot_be_trusted_is_a_tls_failure_that_says_why(self):
        trusted = ("--ca-file", self.certificates / "ca.pem")
        for name, options, word in (
            ("good", (), "UnknownIssuer|unknown issuer|not trusted"),
            ("expired", trusted, "expired"),
            ("foreign", trusted, "elsewhere.example|not valid for|name"),
        ):
            with self.subTest(name):
                done = self.start(self.small("HTTP/1.1"), self.url(name), "-u", 2, "-r", 2, "-t", "1s", *options).wait()
                self.assertEqual(done.code, 1, done.said())
                report = support.Report(self.report)
                self.assertEqual((report.total.kinds, report.total.not_sent), ({"tls": report.total.requests}, report.total.requests))
                for error in report.whole["errors"]:
                    self.assertRegex(error["message"], word)
        self.assertEqual(self.lines(), [])

    def test_insecure_tls_takes_any_certificate(self):
        for name in certificates.KINDS:
            with self.subTest(name):
                done = self.start(self.small("HTTP/1.1"), self.url(name, "127.0.0.1"), "-u", 2, "-r", 2, "-t", "1s", "--insecure-tls").wait()
                self.assertEqual(done.code, 0, done.said())
                self.assertGreater(support.Report(self.report).total.answered, 10)

    def test_each_client_shows_its_own_certificate_and_one_without_is_turned_away(self):
        for kind in ("good", "foreign"):
            for end in ("pem", "key"):
                (self.folder / f"{kind}.{end}").write_bytes((self.certificates / f"{kind}.{end}").read_bytes())
        (self.folder / "authority.pem").write_bytes((self.certificates / "ca.pem").read_bytes())
        for name in ("closed", "closed_two"):
            with self.subTest(name):
                done = self.start(OWN_CERTIFICATES, self.url(name), "-u", 3, "-r", 3, "-t", "2s").wait()
                self.assertEqual(done.code, 0, done.said())
                for row in support.Report(self.report).whole["checks"]:
                    self.assertEqual(row["fails"], 0, row)
                    self.assertGreater(row["passes"], 3, row)

    def test_a_server_that_does_not_speak_tls_is_a_tls_failure(self):
        done = self.start(self.small("HTTP/1.1"), self.nginx.url.replace("http:", "https:"), "-u", 1, "-t", "1s").wait()
        self.assertEqual(done.code, 1, done.said())
        self.assertEqual(set(support.Report(self.report).total.kinds), {"tls"})

    def test_gzip_over_ipv6_is_served_as_reported_and_counted_as_it_is_on_the_wire(self):
        text = SCRIPT.replace("/small.json", "/text.txt") % ("HTTP/1.1", "HTTP/1.1", len(TEXT))
        done = self.start(text, f"http://[::1]:{self.ports['six']}", "-u", 10, "-r", 10, "-t", "2s").wait()
        total = self.agree(done, "HTTP/1.1").total
        self.assertEqual(total.row["body_bytes"], total.requests * len(TEXT))
        self.assertLess(total.row["bytes_in"], total.row["body_bytes"] / 20)


if __name__ == "__main__":
    unittest.main()
