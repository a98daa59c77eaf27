--- Sixteen requests at once on one HTTP/2 connection: what a stream costs.
local http = require "http"

local sixteen = {}
for number = 1, 16 do sixteen[number] = { "GET", "/small.json", name = "small" } end

return function() http.batch(sixteen) end
