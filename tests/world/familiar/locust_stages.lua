-- Locust, examples/custom_shape/stages.py: six stages, each with its number of users and its pace.
local http, scenario, wait = require "http", require "scenario", require "wait"
local User = scenario.user { wait = wait.constant(0.5) }
User:task("root", function() http.get("/") end)
return scenario {
  users = { User },
  load = scenario.ramp {
    { users = 10, over = "1s" }, { hold = "59s" },
    { users = 50, over = "4s" }, { hold = "36s" },
    { users = 100, over = "5s" }, { hold = "75s" },
    { users = 30, over = "7s" }, { hold = "33s" },
    { users = 10, over = "2s" }, { hold = "8s" },
    { users = 1, over = "9s" }, { hold = "1s" },
  },
}
