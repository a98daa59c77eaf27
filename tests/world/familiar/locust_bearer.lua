-- Locust, examples/patterns/rest_api_auth_bearer.py: a bearer token from a login, for all that follows.
local http, scenario, wait = require "http", require "scenario", require "wait"
local User = scenario.user { wait = wait.between(1, 3) }
function User:on_start()
  local res = http.post("/login", { json = { user = "testuser", password = "testpass" } }):must()
  http.defaults { auth = { bearer = res:json("token") } }
end
User:task("list items", { weight = 2 }, function() http.get("/products") end)
User:task("profile", function() http.get("/me") end)
User:task("create an item", function() http.post("/echo", { json = { name = "New Item", price = 50 }, name = "/items" }) end)
User:task("update the profile", function() http.put("/echo", { json = { name = "Updated Name" }, name = "/me" }) end)
return User
