--- A request that costs the generator far more than the target, so that lanes are the limit and not nginx.
local http = require "http"

return function()
  local sum = 0
  for n = 1, 200000 do sum = (sum * 31 + n) % 65521 end
  http.get("/small.json", { name = "small", headers = { ["x-sum"] = tostring(sum) } })
end
