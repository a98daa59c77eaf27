"""What the tests of the page share: a real browser, and the whole way of a person from the address to the files.

Headless Chromium opens the page, starts a run on a master with a worker against the demo target, watches numbers and charts grow,
re-targets, stops, and takes a CSV file and the report, which is then opened as a file. Nothing may end up in the browser's console, and no
request may leave the prefix.
"""

import json
import pathlib
import re
import shutil
import tempfile
import unittest

import cluster
import support

try:
    from playwright.sync_api import expect, sync_playwright
except ImportError:
    raise SystemExit("playwright is missing: `pip install playwright`; its browsers are not needed, Chromium comes from the system") from None

OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

# Two entries, one of which fails, under a name that a careless page would take for HTML.
SHOP = """
local http, scenario, wait = require "http", require "scenario", require "wait"
local Shopper = scenario.user { name = "Shopper", wait = wait.constant(0.1) }
Shopper:task("look", function()
  http.get("/products", { name = "products" })
  http.get("/absent", { name = "<img src=x onerror=document.title='taken'>" })
end)
return scenario { users = { Shopper }, thresholds = { http_req_duration = { "p(95) < 10s" } } }
"""

# Longer than any step of the slowest machine; a step that works takes a second or two.
PATIENCE_MS = 30_000


def chromium():
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not found:
        raise SystemExit("chromium is missing: `apt-get install chromium`")
    return found


class Browser:
    """Chromium with an empty profile, and what went wrong in it."""

    def __init__(self, test, origin, prefix, **options):
        self.allowed = f"{origin}{prefix}"
        self.wrong = []
        playwright = test.enterContext(sync_playwright())
        browser = playwright.chromium.launch(executable_path=chromium(), args=OPTIONS)
        test.addCleanup(browser.close)
        context = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True, **options)
        self.page = context.new_page()
        self.page.set_default_timeout(PATIENCE_MS)
        self.page.on("console", self.on_console)
        self.page.on("pageerror", lambda error: self.wrong.append(f"raised: {error}"))
        self.page.on("request", self.on_request)

    def on_console(self, said):
        if said.type in ("error", "warning"):
            self.wrong.append(f"console: {said.text} {said.location}")

    def on_request(self, request):
        url = request.url
        is_own = url == self.allowed or url.startswith(f"{self.allowed}/")
        if not is_own and not url.startswith(("data:", "file:", "blob:")):
            self.wrong.append(f"a request outside the prefix: {url}")


def number(text):
    return float(re.sub(r"[^0-9.]", "", text) or 0)


class PageBehind(unittest.TestCase):
    """A master, a worker, the demo target, and an nginx before them."""

    def stage(self, proxy):
        """nginx with `proxy` as what stands inside its server."""
        self.stage_server(lambda port, web: f"server {{ listen 127.0.0.1:{port}; proxy_http_version 1.1; {proxy.format(web=web)} }}")

    def stage_server(self, server, settings=None):
        """nginx with the server that `server` writes for its port and the master's; `settings` are the master's, by variable."""
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        scripts = cluster.config_map(self.folder, text=SHOP)
        self.web, bind, shop = support.free_port(), support.free_port(), support.free_port()
        self.host = f"http://127.0.0.1:{shop}"
        self.start("target", "target", "--bind", f"127.0.0.1:{shop}")
        addresses = ["--bind", f"127.0.0.1:{bind}", "--web", f"127.0.0.1:{self.web}"]
        self.start("master", "master", "--scripts", scripts, *addresses, "--allow-host", self.host, env=settings)
        support.await_url(f"http://127.0.0.1:{self.web}/healthz")
        health = ["--health", f"127.0.0.1:{support.free_port()}"]
        self.start("worker", "worker", "--master", f"127.0.0.1:{bind}", "--scripts", scripts, "--lanes", "1", *health)
        port = support.free_port()
        self.enterContext(support.Nginx(access_log=False, more=server(port, self.web)))
        self.origin = f"http://127.0.0.1:{port}"

    def start(self, name, *arguments, env=None):
        process = cluster.Process(self.folder, name, *arguments, env=env)
        self.addCleanup(process.kill)
        return process

    def tile(self, page, name):
        return page.locator(".tile", has=page.get_by_text(name, exact=True)).locator("dd").first

    def await_number(self, page, locator, holds):
        """The first number of an element for which `holds`."""
        for _ in range(PATIENCE_MS // 200):
            value = number(locator.inner_text())
            if holds(value):
                return value
            page.wait_for_timeout(200)
        raise AssertionError(f"it stayed at `{locator.inner_text()}`")

    def walk(self, browser, path):
        """The whole way of a person, from the address to the files."""
        page = browser.page
        page.goto(f"{self.origin}{path}")
        expect(page.get_by_text("1 worker ready")).to_be_visible(timeout=PATIENCE_MS)
        page.get_by_role("textbox", name="Host").fill(self.host)
        page.get_by_role("textbox", name="Users", exact=True).fill("4")
        page.get_by_role("textbox", name="Spawn rate").fill("4")
        page.get_by_role("button", name="Start the run").click()
        expect(page.locator(".badge", has_text="Running")).to_be_visible(timeout=PATIENCE_MS)
        expect(page.locator(".host")).to_have_text(self.host)
        self.grow(page)
        page.get_by_role("button", name="Re-target").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_role("textbox", name="Users", exact=True).fill("9")
        dialog.get_by_role("button", name="Re-target").click()
        self.await_number(page, self.tile(page, "Users"), lambda users: users == 9)
        self.look_around(page)
        self.download(page)
        page.get_by_role("button", name="Stop").click()
        page.get_by_role("button", name="Stop the run").click()
        expect(page.locator(".badge", has_text="Stopped")).to_be_visible(timeout=PATIENCE_MS)
        self.assertNotEqual(page.title(), "taken")

    def grow(self, page):
        """Numbers and charts grow: more requests in the table, and a longer axis under drawn lines."""
        row = page.get_by_role("row", name="products GET")
        first = self.await_number(page, row.locator("td").nth(2), lambda requests: requests > 0)
        self.await_number(page, row.locator("td").nth(2), lambda requests: requests > first + 20)
        last_second = page.locator(".uplot .u-legend .u-series:first-child .u-value").first
        expect(last_second).to_contain_text(":")
        begin = last_second.inner_text()
        expect(last_second).not_to_have_text(begin, timeout=PATIENCE_MS)
        inked = "canvas => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some(byte => byte > 0)"
        for chart in range(3):
            self.assertTrue(page.locator(".uplot canvas").nth(chart).evaluate(inked))

    def look_around(self, page):
        """Each tab shows its own, by keyboard; names of targets are text; a row opens its entry."""
        page.get_by_role("columnheader", name="Requests").get_by_role("button").click()
        expect(page.get_by_role("columnheader", name="Requests")).to_have_attribute("aria-sort", "descending")
        page.get_by_role("button", name="products").click()
        expect(page.get_by_role("dialog", name="Entry").get_by_text("HTTP 200")).to_be_visible()
        page.keyboard.press("Escape")
        page.get_by_role("tab", name="Statistics").focus()
        page.keyboard.press("ArrowRight")
        expect(page.get_by_role("tab", name="Failures")).to_be_focused()
        expect(page.get_by_role("tabpanel").get_by_role("cell", name="<img src=x onerror")).to_be_visible()
        page.get_by_role("tab", name="Checks").click()
        expect(page.get_by_role("cell", name="✓ holds")).to_be_visible()
        expect(page.locator(".tile.good", has_text="Thresholds")).to_contain_text("holds")
        toggle = page.get_by_role("button", name="Log scale")
        toggle.click()
        expect(toggle).to_have_attribute("aria-pressed", "true")
        page.get_by_role("tab", name="Workers").click()
        expect(page.get_by_role("cell", name="running", exact=True)).to_be_visible()
        (worker,) = json.loads(support.fetch(f"http://127.0.0.1:{self.web}/stats/requests"))["workers"]
        expect(page.get_by_role("cell", name=f"main.lua · {worker['fingerprint'][:8]}")).to_be_visible()

    def download(self, page):
        page.get_by_role("tab", name="Downloads").click()
        with page.expect_download() as csv:
            page.get_by_role("link", name="Statistics").click()
        self.assertIn("products", pathlib.Path(csv.value.path()).read_text())
        with page.expect_download() as report:
            page.get_by_role("link", name="HTML report").click()
        self.report = self.folder / "report.html"
        report.value.save_as(self.report)

    def read_report(self, browser):
        page = browser.page
        page.goto(self.report.as_uri())
        expect(page.get_by_role("row", name="products GET")).to_be_visible(timeout=PATIENCE_MS)
        expect(page.locator(".uplot canvas")).to_have_count(3)
        self.assertGreater(number(self.tile(page, "Requests/s").inner_text()), 0)
        self.assertNotEqual(page.title(), "taken")

    def agree(self, path, prefix):
        browser = Browser(self, self.origin, prefix)
        self.walk(browser, path)
        self.read_report(browser)
        self.assertEqual(browser.wrong, [])
        return browser
