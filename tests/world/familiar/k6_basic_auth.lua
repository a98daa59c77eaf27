-- k6, "HTTP authentication": Basic, in the URL and as an option.
local check, http = require "check", require "http"
local function judge(res)
  check(res, {
    ["status is 200"] = function(res) return res.status == 200 end,
    ["credentials arrived"] = function(res) return res.body:find("Basic dXNlcjpwYXNzd2Q=", 1, true) ~= nil end,
  })
end
return function()
  judge(http.get("/echo", { auth = { "user", "passwd" } }))
  judge(http.get("/echo", { auth = { user = "user", password = "passwd" }, name = "/echo (by names)" }))
end
