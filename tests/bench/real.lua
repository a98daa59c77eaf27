--- What a scenario does for its money: a login, a document of 4 KiB that is read, two checks, a POST.
local http, check, scenario = require "http", require "check", require "scenario"

local Buyer = scenario.user { name = "Buyer" }

function Buyer:on_start()
  local res = http.post("/login", { json = { user = "u" .. self.index, password = "secret" } }):must()
  http.defaults { headers = { authorization = "Bearer " .. res:json("token") } }
end

Buyer:task("buy", function()
  local res = http.get("/catalogue.json", { name = "catalogue" })
  local items = res:json().items
  check(res, {
    ["is there"] = function(r) return r.status == 200 end,
    ["has items"] = function() return #items == 32 and items[32].price > 0 end,
  })
  http.post("/orders", { json = { id = items[7].id, count = 2 }, name = "order", expect = { status = 201 } })
end)

return scenario { users = { Buyer } }
