-- k6, "Data parameterization": a login with a random row of a CSV file.
local check, data, http, time = require "check", require "data", require "http", require "time"
local accounts = data.csv("accounts.csv")
return function()
  local account = accounts:random()
  local res = http.post("/login", { form = { user = account.username, password = account.password } })
  check(res, { ["login succeeded"] = function(res) return res.status == 200 and res:json("token") ~= nil end })
  time.sleep(1)
end
