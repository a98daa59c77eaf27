-- Locust, "Writing a locustfile": a login, a task that is chosen three times as often, requests under one name.
local http, scenario, time, wait = require "http", require "scenario", require "time", require "wait"
local User = scenario.user { wait = wait.between(1, 5) }
function User:on_start() http.post("/login", { json = { user = "foo", password = "bar" } }) end
User:task("hello world", function()
  http.get("/about")
  http.get("/search")
end)
User:task("view items", { weight = 3 }, function()
  for item = 0, 9 do
    http.get("/search?id=" .. item, { name = "/item" })
    time.sleep(1)
  end
end)
return User
