-- Locust, examples/csrf_form_authentication.py: a form with a hidden token; where it leads decides.
local html, http, scenario, wait = require "html", require "http", require "scenario", require "wait"
local Visitor = scenario.user { wait = wait.between(2, 5) }
Visitor:task("authenticate", function()
  local page = html.parse(http.get("/signin"))
  local res = page:form("#signin"):submit { user = "username", password = "password" }
  if not res.url:find("account") then res:fail("Login failed") end
end)
return Visitor
