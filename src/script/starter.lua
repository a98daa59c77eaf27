-- Try it:    lunamoth check NAME.lua       each task once, every request shown
-- Run it:    lunamoth run NAME.lua         or with -H http://your.host -u 50 -r 5 -t 2m
--
-- The host is the built-in demo shop until you change it at the end of this file.

local http = require "http"
local check = require "check"
local scenario = require "scenario"
local wait = require "wait"

-- A class of users. Between two tasks each of them thinks for one to three seconds.
local Visitor = scenario.user { name = "Visitor", wait = wait.between(1, 3) }

-- Once for each user, before its first task; `on_stop` likewise after its last.
function Visitor:on_start()
  http.post("/login", { json = { user = "visitor" .. self.index } }):must()
end

Visitor:task("look around", { weight = 3 }, function()
  http.get("/")
  local res = http.get("/products/" .. math.random(100)) -- one row in the table: /products/:id
  check(res, { ["has a price"] = function(r) return r:json("price") ~= nil end })
end)

Visitor:task("buy", function(self)
  http.post("/cart", { json = { id = 7 }, expect = { status = 201 } })
  self:wait()
  http.post("/checkout", { expect = "2xx" })
end)

return scenario {
  host = "builtin:shop",
  users = { Visitor },
  load = scenario.ramp { { users = 10, over = "5s" }, { hold = "25s" } },
  thresholds = {
    http_req_duration = { "p(95) < 500ms" },
    http_req_failed = { "rate < 1%" },
  },
}
