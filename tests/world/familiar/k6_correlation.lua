-- k6, "Correlation and dynamic data": a value of a JSON answer, checked, and used in the next request.
local check, http = require "check", require "http"
return function()
  local res = http.get("/products", { headers = { authorization = "Token abcdef0123456789" } })
  local first = res:json("products.0")
  check(first, {
    ["the first has a name"] = function(product) return product.name ~= nil end,
    ["the first has number 1"] = function(product) return product.id == 1 end,
  })
  http.get("/products/" .. first.id)
end
