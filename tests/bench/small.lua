--- One small GET with a name and a check: what the cost of a request is measured with.
local http, check = require "http", require "check"

return function()
  local res = http.get("/small.json", { name = "small" })
  check(res, { ok = function(r) return r.status == 200 end })
end
