-- A load that a function steers: here a wave that ends early when the shop becomes slow.
--
--     lunamoth run scripts/shape.lua
--
-- The function is called with the run's seconds and what is seen of it, once a second, and returns how many users there shall be, or which rate:
-- `{ rate = "50/s" }`. It ends the run by nil. What is not known yet, such as a percentile before the first answer, is nil.

local http, scenario, time = require "http", require "scenario", require "time"

local Visitor = scenario.user { name = "Visitor" }

Visitor:task("look", function()
  http.get("/products/" .. math.random(100))
  time.sleep("100ms")
end)

return scenario {
  host = "builtin:shop",
  users = { Visitor },
  load = scenario.shape(function(t, view)
    local is_slow = view.p95 ~= nil and view.p95 > 5
    if t >= 6 or is_slow then return nil end
    return { users = 6 + 5 * math.sin(t) }
  end),
}
