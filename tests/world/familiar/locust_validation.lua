-- Locust, examples/patterns/rest_api_with_validation.py: what an answer must be like, and which errors are none.
local http, scenario, wait = require "http", require "scenario", require "wait"
local User = scenario.user { wait = wait.between(1, 3) }
User:task("list items", { weight = 2 }, function()
  local res = http.get("/products", { expect = 200 })
  local items, why = res:json("products")
  if type(items) ~= "table" then res:fail("expected a list, got " .. (why or type(items))) end
end)
User:task("create an item", function() http.post("/jobs", { json = { name = "Test Item", price = 99.99 }, expect = 202 }) end)
User:task("get an item", function() http.get("/products/424242", { expect = { status = { 200, 404 } } }) end)
User:task("delete an item", function() http.get("/status/204", { expect = { status = { 204, 404 } } }) end)
return User
