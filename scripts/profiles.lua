-- Several load profiles side by side: people who browse, orders that come by chance, and reports that somebody has to have.
--
--     lunamoth run scripts/profiles.lua
--     lunamoth run scripts/profiles.lua --only buy,reports     some of them
--     lunamoth run scripts/profiles.lua --scale 2              twice every level
--     lunamoth swarm --profile buy --rate 40/s                 on a cluster, in mid-run: one of them alone
--
-- Each profile has a name, its own user classes, and its own begin; the run ends with the last one. `self.profile` is the name, requests bear it
-- as the tag `profile`, and thresholds select by it.

local http, scenario, wait = require "http", require "scenario", require "wait"

local Browser = scenario.user { name = "Browser", wait = wait.between(0.2, 0.6) }
Browser:task("look", function() http.get("/products/" .. math.random(100)) end)

local Buyer = scenario.user { name = "Buyer" }
function Buyer:on_start()
  local res = http.post("/login", { json = { user = "buyer" .. self.index } }):must()
  http.defaults { headers = { authorization = "Bearer " .. res:json("token") } }
end
Buyer:task("buy", function() http.post("/cart", { json = { id = 7 }, expect = "2xx" }) end)

local Clerk = scenario.user { name = "Clerk" }
Clerk:task("report", function(self) http.get("/", { name = "report of " .. self.profile }) end)

return scenario {
  host = "builtin:shop",
  users = { Browser, Buyer, Clerk },
  load = {
    browse = scenario.ramp { { users = 10, over = "2s" }, { hold = "4s" }, classes = { Browser } },
    buy = scenario.arrivals {
      { rate = "20/s" }, { hold = "4s" },
      spacing = "poisson", start = "1s", classes = { Buyer }, tags = { kind = "write" },
    },
    reports = scenario.iterations { users = 2, total = 30, classes = { Clerk } },
  },
  thresholds = {
    ["http_req_duration{profile:browse}"] = "p(95) < 1s",
    ["http_req_failed{kind:write}"] = "rate < 1%",
    ["dropped_iterations{profile:buy}"] = "count == 0",
    ["iterations{profile:reports}"] = "count == 30",
  },
}
