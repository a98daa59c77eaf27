-- A list in pages: each answer names the next page, until there is none.
--
--     lunamoth run scripts/pagination.lua

local check, http, scenario, wait = require "check", require "http", require "scenario", require "wait"

local Reader = scenario.user { name = "Reader", wait = wait.constant(0.5) }

Reader:task("read all orders", function()
  local url, count = "/orders?page=1", 0
  while url do
    local list = http.get(url):must():json()
    count = count + #list.orders
    url = type(list.next) == "string" and list.next or nil -- json.null at the end
  end
  check.that("has all orders", count == 100)
end)

return scenario {
  host = "builtin:shop",
  users = { Reader },
  load = scenario.ramp { { users = 5, over = "1s" }, { hold = "3s" } },
  thresholds = { http_req_failed = { "rate < 1%" }, checks = { "rate > 99%" }, exceptions = { "count < 1" } },
}
