-- Signing in by a form: the page's hidden token goes along, as in a browser.
--
--     lunamoth run scripts/form.lua

local check, html, http, scenario, wait = require "check", require "html", require "http", require "scenario", require "wait"

local Member = scenario.user { name = "Member", wait = wait.constant(0.5) }

Member:task("sign in", function(self)
  local page = html.parse(http.get("/signin"):must())
  local res = page:form("#signin"):submit { user = "member" .. self.index, password = "secret", remember = true }
  check(html.parse(res:must()), {
    ["is the account"] = function(account) return account:title() == "Account" end,
    ["is signed in"] = function(account) return account:first("#user"):text() == "member" .. self.index end,
  })
  http.cookies.clear()
end)

return scenario {
  host = "builtin:shop",
  users = { Member },
  load = scenario.ramp { { users = 5, over = "1s" }, { hold = "3s" } },
  thresholds = { http_req_failed = { "rate < 1%" }, checks = { "rate > 99%" }, exceptions = { "count < 1" } },
}
