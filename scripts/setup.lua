-- Once for the whole test: a setup before the first user, a warm-up, a teardown after the last one.
--
--     lunamoth run scripts/setup.lua

local http = require "http"
local scenario = require "scenario"
local wait = require "wait"

local Member = scenario.user { name = "Member", wait = wait.constant("200ms") }

-- Each call of `scenario.data` gives a copy of its own.
function Member:on_start()
  http.defaults { headers = { authorization = "Bearer " .. scenario.data().token } }
end

Member:task("look at the account", function()
  http.get("/me", { expect = { status = 200, json = { user = "everybody" } } })
end)

return scenario {
  host = "builtin:shop",
  users = { Member },
  load = scenario.ramp { { users = 8, over = "2s" }, { hold = "8s" } },

  -- On one worker of the cluster, whichever; what it returns is there for all users. It may take `setup_timeout`, a minute by default.
  setup = function()
    local token = http.post("/login", { json = { user = "everybody" } }):must():json("token")
    return { token = token }
  end,
  -- While the users come nothing counts yet.
  warmup = "2s",
  teardown = function(data)
    http.get("/me", { auth = { bearer = data.token } }):must()
  end,
  thresholds = { http_req_failed = { "rate < 1%" }, http_req_duration = { "p(95) < 500ms" } },
}
