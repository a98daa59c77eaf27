-- Measuring more than requests: checks, groups and metrics of the script's own.
--
--     lunamoth run scripts/measures.lua

local http = require "http"
local check = require "check"
local group = require "group"
local metric = require "metric"
local random = require "random"
local scenario = require "scenario"
local wait = require "wait"

-- Metrics are declared at the top, so that every machine knows them before the run begins.
local orders = metric.counter "orders" -- a sum
local cart_size = metric.trend "cart_size" -- a distribution
local in_stock = metric.rate "in_stock" -- a share of true values

local Buyer = scenario.user { name = "Buyer", wait = wait.between("200ms", "600ms") }

function Buyer:on_start()
  -- The demo shop's session is a cookie too, which each user keeps as a browser does.
  http.post("/login", { json = { user = "buyer" .. self.index } }):must()
end

Buyer:task("buy", function()
  local items = random.int(1, 4)
  -- A group is measured from its begin to its end, everything in between included.
  group("fill the cart", function()
    for _ = 1, items do
      local res = http.post("/cart", { json = { id = random.int(1, 100) } })
      in_stock:add(res.status == 201)
    end
  end)
  cart_size:add(items)

  local res = http.post("/checkout")
  -- `check` says whether all held, so the script can go on accordingly.
  local bought = check(res, {
    ["checked out"] = function(r) return r.status == 200 end,
    ["has all items"] = function(r) return #(r:json("items") or {}) == items end,
  })
  if bought then orders:add() end
end)

return scenario {
  host = "builtin:shop",
  users = { Buyer },
  load = scenario.ramp { { users = 5, over = "1s" }, { hold = "9s" } },
  thresholds = {
    checks = { "rate > 99%" },
    orders = { "count > 10" },
    cart_size = { "avg >= 1", "max <= 4" },
    in_stock = { "rate > 99%" },
    group_duration = { "p(95) < 1s" },
  },
}
