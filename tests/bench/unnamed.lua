--- As small.lua, but named by its path: what the folding of a name costs.
local http, check = require "http", require "check"

return function()
  local res = http.get("/small.json")
  check(res, { ok = function(r) return r.status == 200 end })
end
