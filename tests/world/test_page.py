"""The page in a real browser, as people have it: behind the ingresses of `deploy/` as ingress-nginx renders them, and behind an nginx that
takes a prefix away clumsily.

Needs what test_manifests.py needs, nginx, Chromium, playwright, and axe-core from the npm registry.
"""

import json
import os
import pathlib
import re
import tempfile
import time
import unittest
import urllib.error

import ingress
import support
from page import PATIENCE_MS, Browser, PageBehind, expect
from test_manifests import DEPLOY, objects, output, tool

# A request each iteration, a tenth of a second apart where users make them.
STEERED = """
local http, scenario, wait = require "http", require "scenario", require "wait"
local Asker = scenario.user { name = "Asker", wait = wait.constant(0.1) }
Asker:task("ask", function() http.get("/products", { name = "products" }) end)
return scenario { users = { Asker }, load = LOAD }
"""


class PageBehindIngress(PageBehind):
    def stage_overlay(self, overlay):
        things = objects(output(tool("kubectl"), "kustomize", DEPLOY / "overlays" / overlay))
        (config,) = [thing for thing in things if thing["kind"] == "ConfigMap" and "LUNAMOTH_HOST" in thing["data"]]
        settings = {"LUNAMOTH_PATH_PREFIX": config["data"]["LUNAMOTH_PATH_PREFIX"]}
        self.stage_server(lambda port, web: ingress.server(things, port, {8089: web}), settings)

    def walk_overlay(self, overlay):
        self.stage_overlay(overlay)
        # Without the slash at the end the whole way; with it the page opens and has its numbers.
        browser = self.agree("/locust", "/locust")
        browser.page.goto(f"{self.origin}/locust/")
        expect(browser.page.locator(".badge", has_text="Stopped")).to_be_visible(timeout=PATIENCE_MS)
        expect(browser.page.get_by_role("row", name="products GET")).to_be_visible(timeout=PATIENCE_MS)
        self.assertEqual(browser.wrong, [])
        # The API is under the prefix and nowhere else.
        self.assertEqual(json.loads(support.fetch(f"{self.origin}/locust/stats/requests"))["state"], "stopped")
        for outside in ("/", "/stats/requests", "/locusts", "/locustswarm"):
            with self.assertRaises(urllib.error.HTTPError, msg=outside):
                support.fetch(f"{self.origin}{outside}")

    def test_the_ingress_that_keeps_the_prefix(self):
        self.walk_overlay("ingress-keep")

    def test_the_ingress_that_takes_the_prefix_away(self):
        self.walk_overlay("ingress-strip")

    def test_a_prefix_that_the_proxy_takes_away_without_the_slash_at_the_end(self):
        # The master sees `//` and cannot know where it stands; the page finds out by itself.
        self.stage("location /locust {{ proxy_pass http://127.0.0.1:{web}/; }}")
        self.agree("/locust", "/locust")

    def test_the_form_of_the_login_and_the_way_out(self):
        token = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory())) / "token"
        token.write_text("open sesame 1234\n")
        proxy = "server {{ listen 127.0.0.1:{port}; location /locust/ {{ proxy_pass http://127.0.0.1:{web}/; proxy_set_header Host $http_host; }} }}"
        self.stage_server(lambda port, web: proxy.format(port=port, web=web), {"LUNAMOTH_WEB_TOKEN_FILE": str(token)})
        browser = Browser(self, self.origin, "/locust")
        page = browser.page
        page.goto(f"{self.origin}/locust/")
        field = page.get_by_label("Token")
        expect(field).to_be_focused()
        self.assertEqual(browser.wrong, [])
        field.fill("open sesame 1235")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_have_text("the token is wrong")
        # The browser itself tells of the status 401, and of nothing else.
        self.assertEqual(["401" in wrong for wrong in browser.wrong], [True], browser.wrong)
        field.fill("open sesame 1234")
        page.keyboard.press("Enter")
        expect(page.get_by_text("1 worker ready")).to_be_visible(timeout=PATIENCE_MS)
        page.get_by_role("button", name="Log out").click()
        expect(page).to_have_url(f"{self.origin}/locust/login")
        page.goto(f"{self.origin}/locust/")
        expect(page).to_have_url(f"{self.origin}/locust/login")

    def test_nobody_is_shut_out_by_how_the_page_is_made(self):
        """Checked by axe-core, in both looks, of each tab, the dialogs and the report. AXE names its script."""
        axe = pathlib.Path(os.environ.get("AXE", "axe-core is missing: set AXE to its axe.min.js")).read_text()
        self.stage("location /locust/ {{ proxy_pass http://127.0.0.1:{web}/; }}")

        def judge(place):
            violations = page.evaluate("source => { (0, eval)(source); return axe.run(document, { resultTypes: ['violations'] }); }", axe)["violations"]
            told = [(violation["impact"], violation["id"], violation["nodes"][0]["html"][:200]) for violation in violations]
            self.assertEqual(told, [], f"{place}, {look}")

        # Without the page's own rules, which let no script in but its own.
        page = Browser(self, self.origin, "/locust", bypass_csp=True).page
        for look in ("light", "dark"):
            page.emulate_media(color_scheme=look)
            page.goto(f"{self.origin}/locust/")
            if look == "light":
                expect(page.get_by_text("1 worker ready")).to_be_visible(timeout=PATIENCE_MS)
                judge("before the first run")
                page.get_by_role("textbox", name="Host").fill(self.host)
                page.get_by_role("button", name="Start the run").click()
            expect(page.get_by_role("row", name="products GET")).to_be_visible(timeout=PATIENCE_MS)
            for tab in ("Statistics", "Failures", "Exceptions", "Checks", "Workers", "Metrics", "Logs", "Downloads"):
                page.get_by_role("tab", name=tab).click()
                judge(tab)
            page.get_by_role("tab", name="Statistics").click()
            page.get_by_role("button", name="products").click()
            expect(page.get_by_role("dialog", name="Entry").get_by_text("HTTP 200")).to_be_visible(timeout=PATIENCE_MS)
            judge("an entry")
            page.keyboard.press("Escape")
            page.get_by_role("button", name="Re-target").click()
            judge("the dialog")
            page.goto(f"{self.origin}/locust/stats/report?theme={look}")
            expect(page.get_by_role("row", name="products GET")).to_be_visible(timeout=PATIENCE_MS)
            judge("the report")

    def test_a_phone_has_no_page_that_is_wider_than_it(self):
        self.stage("location /locust/ {{ proxy_pass http://127.0.0.1:{web}/; }}")
        browser = Browser(self, self.origin, "/locust")
        page = browser.page
        page.set_viewport_size({"width": 390, "height": 844})
        page.goto(f"{self.origin}/locust/")
        wide = "() => document.documentElement.scrollWidth"
        expect(page.get_by_text("1 worker ready")).to_be_visible(timeout=PATIENCE_MS)
        self.assertLessEqual(page.evaluate(wide), 390)
        page.get_by_role("textbox", name="Host").fill(self.host)
        page.get_by_role("textbox", name="Users", exact=True).fill("2")
        page.get_by_role("button", name="Start the run").click()
        expect(page.get_by_role("button", name="Stop")).to_be_visible(timeout=PATIENCE_MS)
        self.await_number(page, self.tile(page, "Users"), lambda users: users == 2)
        self.assertLessEqual(page.evaluate(wide), 390)
        # Two columns of numbers stand beside a name without a blank, however narrow the phone.
        row = page.locator("table.grid tbody tr", has_text="onerror").first
        expect(row).to_be_visible(timeout=PATIENCE_MS)
        for width in (320, 360, 400):
            page.set_viewport_size({"width": width, "height": 700})
            self.assertLessEqual(page.evaluate(wide), width)
            name, number = (row.locator("td").nth(place).bounding_box() for place in (0, 2))
            self.assertGreaterEqual(number["x"], name["x"] + name["width"] - 1, width)
            self.assertLessEqual(number["x"] + number["width"], width)
        self.assertEqual(browser.wrong, [])


class PageOfArrivals(PageBehind):
    """The page of a local run whose load is not users."""

    def open(self, load):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        shop, self.web = support.free_port(), support.free_port()
        self.start("target", "target", "--bind", f"127.0.0.1:{shop}")
        support.await_url(f"http://127.0.0.1:{shop}/products")
        script = support.script(self.folder, "main.lua", STEERED.replace("LOAD", load))
        self.start("run", "run", script, "-H", f"http://127.0.0.1:{shop}", "--headless", "--web", f"127.0.0.1:{self.web}")
        support.await_url(f"http://127.0.0.1:{self.web}/healthz")
        browser = Browser(self, f"http://127.0.0.1:{self.web}", "")
        browser.page.goto(f"http://127.0.0.1:{self.web}/")
        return browser

    def await_snapshot(self, holds):
        deadline = time.monotonic() + PATIENCE_MS / 1000
        while time.monotonic() < deadline:
            snapshot = json.loads(support.fetch(f"http://127.0.0.1:{self.web}/api/v1/snapshot"))
            if holds(snapshot):
                return
            time.sleep(0.2)
        raise AssertionError(f"it came to {snapshot['iterations']}, {snapshot['profiles']}")

    def retarget(self, page, field, value, profile=None):
        page.get_by_role("button", name="Re-target").click()
        dialog = page.get_by_role("dialog")
        if profile:
            dialog.get_by_label("Load profile").select_option(profile)
        dialog.get_by_role("textbox", name=field, exact=True).fill(value)
        dialog.get_by_role("button", name="Re-target").click()
        expect(dialog).not_to_be_visible()

    def test_a_rate_is_changed_and_what_is_looked_at_closely_stays_until_the_numbers_begin_anew(self):
        browser = self.open('scenario.arrivals { { rate = "20/s", over = "1s" }, { hold = "5m" } }')
        page = browser.page
        self.await_number(page, self.tile(page, "Requests/s"), lambda rate: rate > 15)
        self.retarget(page, "Rate", "90/m")
        self.await_snapshot(lambda snapshot: snapshot["iterations"]["rate_wanted"] == 1.5)
        # A part of the chart is drawn large, and stays so while more comes.
        chart = page.locator(".u-over").first
        box = chart.bounding_box()
        page.mouse.move(box["x"] + box["width"] * 0.1, box["y"] + 40)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 40, steps=5)
        page.mouse.up()
        page.mouse.move(1, 1)
        last = page.locator(".uplot .u-legend .u-series:first-child .u-value").first
        picture = "canvas => canvas.toDataURL()"
        canvas = page.locator(".uplot canvas").first
        pictures = []
        for _ in range(3):
            begin = last.inner_text()
            expect(last).not_to_have_text(begin, timeout=PATIENCE_MS)
            page.wait_for_timeout(300)
            pictures.append(canvas.evaluate(picture))
        self.assertEqual(pictures[1:], pictures[:1] * 2)
        # After a reset nothing of before is left.
        page.get_by_role("button", name="Reset the statistics").click()
        page.get_by_role("button", name="Reset", exact=True).click()
        expect(page.get_by_role("row", name="products GET").locator("td").nth(2)).to_have_text(re.compile("^[1-9]$"), timeout=PATIENCE_MS)
        self.assertNotEqual(canvas.evaluate(picture), pictures[0])
        self.assertEqual(browser.wrong, [])

    def test_each_of_several_profiles_is_steered_by_itself(self):
        browser = self.open('{ browse = scenario.ramp { { users = 3, over = "1s" }, { hold = "5m" } }, buy = scenario.arrivals { { rate = "5/s", over = "1s" }, { hold = "5m" } } }')
        page = browser.page
        self.await_number(page, self.tile(page, "Requests/s"), lambda rate: rate > 5)
        levels = lambda snapshot: {profile["name"]: (profile["target_users"], profile["rate_wanted"]) for profile in snapshot["profiles"]}
        self.retarget(page, "Rate", "12", profile="buy")
        self.await_snapshot(lambda snapshot: levels(snapshot)["buy"][1] == 12 and levels(snapshot)["browse"] == (3, None))
        self.retarget(page, "Users", "7", profile="browse")
        self.await_snapshot(lambda snapshot: levels(snapshot)["buy"][1] == 12 and levels(snapshot)["browse"] == (7, None))
        self.assertEqual(browser.wrong, [])


if __name__ == "__main__":
    unittest.main()
