-- k6, "Distribute workloads across VUs": an arrival rate up and down, and what a user does by its number.
local http, scenario = require "http", require "scenario"
local Visitor = scenario.user {}
Visitor:task("visit", function(self)
  local place = self.index % 10
  if place < 4 then
    http.get("/about")
  else
    http.get("/search?q=" .. (place < 7 and "heads" or "tails"))
  end
end)
return scenario {
  users = { Visitor },
  load = scenario.arrivals { max_users = 100, { rate = 10, over = "10s" }, { hold = "15s" }, { rate = 0, over = "5s" } },
}
