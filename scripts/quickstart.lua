-- A small shop under load: people look around, some of them buy.
--
--     lunamoth run scripts/quickstart.lua
--
-- It runs for 30 seconds against the built-in demo shop; `-H http://your.host` tries another server.
-- A scenario is what this file returns, at the very end.

local http = require "http"
local check = require "check"
local scenario = require "scenario"
local wait = require "wait"
local random = require "random"

-- A class of users. Between two tasks each of them thinks for half a second to a second and a half.
local Shopper = scenario.user { name = "Shopper", wait = wait.between(0.5, 1.5) }

-- Runs once for each user, before its first task. `self.index` is 0, 1, 2, ... and unique in the whole run.
function Shopper:on_start()
  -- `:must()` ends the start here and counts an error where the answer is no success.
  local res = http.post("/login", { json = { user = "shopper" .. self.index } }):must()
  -- From here on, each request of this user carries its token.
  http.defaults { headers = { authorization = "Bearer " .. res:json("token") } }
end

-- Three times out of four a user browses ...
Shopper:task("browse", { weight = 3 }, function()
  http.get("/products")
  -- In the table all products are one row, `/products/:id`: numbers in paths are folded.
  local res = http.get("/products/" .. random.int(1, 100))
  -- A check is counted and shown; it does not make the request a failure.
  check(res, {
    ["has a name"] = function(r) return r:json("name") ~= nil end,
    ["costs something"] = function(r) return (r:json("price") or 0) > 0 end,
  })
end)

-- ... and once it buys. A sequence is plain code, from top to bottom.
Shopper:task("buy", function(self)
  -- An `expect` that does not hold makes the request a failure.
  http.post("/cart", { json = { id = random.int(1, 100) }, expect = { status = 201 } })
  self:wait() -- thinks as between two tasks
  local res = http.post("/checkout", { expect = "2xx" })
  check(res, { ["has an order number"] = function(r) return r:json("order") ~= nil end })
end)

return scenario {
  host = "builtin:shop",
  users = { Shopper },
  -- To 20 users within 10 seconds, then 20 seconds at that level.
  load = scenario.ramp { { users = 20, over = "10s" }, { hold = "20s" } },
  -- What the run must fulfil. The exit code is 0 where all hold and 99 where one does not.
  thresholds = {
    http_req_duration = { "p(95) < 200ms" },
    http_req_failed = { "rate < 1%" },
    checks = { "rate > 99%" },
  },
}
