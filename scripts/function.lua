-- The shortest script: a function that each user repeats until the run ends.
--
--     lunamoth run scripts/function.lua -H builtin:shop -u 10 -t 10s
--
-- Without classes there is one, named after this file, and users do not think between two rounds. The numbers of users, seconds
-- and the host come from the command line.

local http = require "http"

return function()
  http.get("/")
end
