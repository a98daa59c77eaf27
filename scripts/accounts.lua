-- Rows of a file: an account of its own for each user, and products that are bought once in the whole cluster.
--
--     lunamoth run scripts/accounts.lua

local data, http, scenario, wait = require "data", require "http", require "scenario", require "wait"

-- Read once, at the top, and in memory once for all users. More users than rows: the rows are used again.
local accounts = data.csv("accounts.csv", { at_end = "cycle" })

local Shopper = scenario.user { name = "Shopper", wait = wait.between(0.2, 0.6) }

function Shopper:on_start()
  local account = accounts:of(self) -- the row of this user's index, wherever in the cluster it runs
  http.post("/login", { json = { user = account.user, password = account.password } }):must()
end

Shopper:task("look around", { weight = 3 }, function()
  http.get("/products/" .. accounts:random().product, { expect = "2xx" })
end)

Shopper:task("buy", function(self)
  local row = accounts:take(self) -- a fresh row at each call, taken by nobody else
  http.post("/cart", { json = { id = tonumber(row.product) }, expect = { status = 201 } })
end)

return scenario {
  host = "builtin:shop",
  users = { Shopper },
  load = scenario.ramp { { users = 5, over = "1s" }, { hold = "4s" } },
  thresholds = { http_req_failed = { "rate < 1%" }, exceptions = { "count < 1" } },
}
