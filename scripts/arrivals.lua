-- Visitors who come whether or not the shop is quick: an arrival rate.
--
--     lunamoth run scripts/arrivals.lua
--     lunamoth run scripts/arrivals.lua --scale 2
--     lunamoth run scripts/function.lua -H builtin:shop --rate 50/s -t 10s     the same for any script
--
-- Each iteration is due at its time. A free user runs it, or a new one is made, up to `max_users` in the whole cluster; where none may be
-- made it waits for `patience` and is dropped then. Durations are counted twice: from the moment a request was asked for, and from the
-- moment its iteration was due (`http_req_duration_due`), which is what a visitor who does not know of queues has waited.

local http, scenario = require "http", require "scenario"

local Visitor = scenario.user { name = "Visitor" }

Visitor:task("look", function() http.get("/products/" .. math.random(100)) end)

return scenario {
  host = "builtin:shop",
  users = { Visitor },
  load = scenario.arrivals {
    { rate = "50/s", over = "2s" }, { hold = "3s" }, { rate = 0, over = "1s" },
    spacing = "poisson", max_users = 100, patience = "1s",
  },
  thresholds = {
    http_req_duration_due = "p(95) < 1s",
    dropped_iterations = "count == 0",
  },
}
