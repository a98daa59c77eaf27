-- wrk with both hooks on: a request made in Lua and a response looked at in Lua, as a scenario does.
local headers = { ["accept"] = "*/*" }
local wrong = 0

function request()
  return wrk.format("GET", "/small.json", headers)
end

function response(status)
  if status ~= 200 then wrong = wrong + 1 end
end
