--- Users that ask and then think for a second, on kept-alive connections: what memory is measured with.
local http, scenario, wait = require "http", require "scenario", require "wait"

local Thinker = scenario.user { name = "Thinker", wait = wait.constant(1) }

Thinker:task("ask", function()
  http.get("/small.json", { name = "small" })
end)

return scenario { users = { Thinker } }
