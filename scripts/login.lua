-- Logging in: a token of one's own for each user, and one token that all users share.
--
--     lunamoth run scripts/login.lua

local http = require "http"
local scenario = require "scenario"
local shared = require "shared"
local wait = require "wait"

-- Members log in by themselves. What belongs to one user is kept in `self`; a local of this file would be seen by some users and not
-- by others, because a worker reads this file once for each of its cores.
local Member = scenario.user { name = "Member", weight = 3, wait = wait.constant("500ms") }

function Member:on_start()
  self.user = "member" .. self.index
  local res = http.post("/login", { json = { user = self.user } }):must()
  http.defaults { headers = { authorization = "Bearer " .. res:json("token") } }
end

Member:task("look at the account", function(self)
  http.get("/me", { expect = { status = 200, json = { user = self.user } } })
end)

-- Partners use one account. The first of them logs in while the others wait; after 50 minutes somebody does it again.
local Partner = scenario.user { name = "Partner", wait = wait.constant("500ms") }

local function partner_token()
  return shared.cached("partner token", { ttl = "50m" }, function()
    return http.post("/login", { name = "/login (partner)", json = { user = "partner" } }):must():json("token")
  end)
end

Partner:task("look at the account", function()
  http.get("/me", {
    name = "/me (partner)",
    auth = { bearer = partner_token() },
    expect = { status = 200, json = { user = "partner" } },
  })
end)

return scenario {
  host = "builtin:shop",
  users = { Member, Partner },
  load = scenario.ramp { { users = 8, over = "2s" }, { hold = "8s" } },
  thresholds = { http_req_failed = { "rate < 1%" } },
}
