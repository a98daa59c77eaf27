-- A number of iterations in place of a time: the run ends when all are done.
--
--     lunamoth run scripts/iterations.lua
--     lunamoth run scripts/iterations.lua --scale 10     ten times as many users, and as many iterations
--
-- All users in the whole cluster share the 300 iterations: whoever is free takes the next one. `each = 60` in place of `total` gives every user
-- 60 of its own. `within` is the limit: what it leaves no time for is not begun, and the report says how much that is.

local http, scenario = require "http", require "scenario"

local Buyer = scenario.user { name = "Buyer" }

Buyer:task("look", function() http.get("/products/" .. math.random(100)) end)

return scenario {
  host = "builtin:shop",
  users = { Buyer },
  load = scenario.iterations { users = 5, total = 300, within = "30s" },
  thresholds = {
    http_reqs = "count == 300",
  },
}
