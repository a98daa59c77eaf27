-- What all users of all workers share: one of them fetches the token, all begin together, and no two have the same number.
--
--     lunamoth run scripts/token.lua

local http, scenario, shared, wait = require "http", require "scenario", require "shared", require "wait"

local cluster = shared.cluster

local Partner = scenario.user { name = "Partner", wait = wait.constant("500ms") }

-- All eight, wherever they run, wait for the last one. A user that comes later, in place of one whose worker was lost, finds the doors open.
function Partner:on_start()
  if cluster.get("doors are open") then return end
  local met, why = cluster.barrier("doors", 8, "30s")
  if not met then error(why) end
  cluster.set("doors are open", true)
end

-- The first one that needs the token logs in while the others wait, and after 50 minutes somebody does it again. Where the one who is at it
-- fails, is ended, or is lost with its worker, the next one does.
local function token()
  return cluster.cached("partner token", { ttl = "50m" }, function()
    return http.post("/login", { name = "/login (partner)", json = { user = "partner" } }):must():json("token")
  end)
end

Partner:task("look at the account", function()
  local number = cluster.incr("visits")
  http.get("/me?visit=" .. number, {
    name = "/me",
    auth = { bearer = token() },
    expect = { status = 200, json = { user = "partner" } },
  })
end)

return scenario {
  host = "builtin:shop",
  users = { Partner },
  load = scenario.ramp { { users = 8, over = "2s" }, { hold = "4s" } },
  thresholds = { http_req_failed = { "rate < 1%" }, exceptions = { "count < 1" } },
}
