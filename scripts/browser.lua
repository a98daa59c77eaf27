-- What a browser does: requests side by side, redirects, cookies, packed bodies.
--
--     lunamoth run scripts/browser.lua

local http = require "http"
local check = require "check"
local scenario = require "scenario"
local wait = require "wait"

local Visitor = scenario.user { name = "Visitor", wait = wait.between(0.2, 0.8) }

function Visitor:on_start()
  -- The answer sets the cookie `session`; this user sends it from here on.
  http.post("/login", { json = { user = "visitor" .. self.index } }):must()
  check.that("has a session", http.cookies.get("session") ~= nil)
end

Visitor:task("open the shop", function()
  -- All at once, as the parts of a page; the answers come back in the order of the requests.
  local parts = http.batch {
    { "GET", "/" },
    { "GET", "/products", { name = "/products (page)" } },
  }
  check.that("both parts arrived", parts[1].ok and parts[2].ok)
end)

Visitor:task("follow a link that moved", function()
  -- Each hop is a row of its own: `/redirect/:id`, then `/redirect/:id > GET /redirect/:id`, then the page.
  local res = http.get("/redirect/2")
  check.that("two redirects led to the page", res.status == 200 and #res.history == 2)
  -- Or look at the redirect itself.
  http.get("/redirect/1", { name = "/redirect (not followed)", redirects = 0, expect = { status = 302 } })
end)

Visitor:task("read a packed body", function()
  -- Bodies arrive unpacked; the columns of bytes count what went over the wire.
  http.get("/gzip", { expect = { status = 200, json = { gzipped = true } } })
end)

return scenario {
  host = "builtin:shop",
  users = { Visitor },
  load = scenario.ramp { { users = 5, over = "1s" }, { hold = "9s" } },
  thresholds = { http_req_failed = { "rate < 1%" }, checks = { "rate > 99%" } },
}
