---@meta time
---Sleeping and clocks. `local time = require "time"`
---@class timelib
local time = {}

local native, engine = ...
local call, seconds, SLEEP = engine.call, engine.seconds, engine.operation.sleep

---Lets this user sleep; the others go on. Where the user shall finish, its iteration ends here, past any `pcall`, and `on_stop` runs; in
---`on_stop` itself a sleep takes its time.
---@param duration number|string  seconds, or a text such as "500ms"
function time.sleep(duration, _more)
  if _more ~= nil then error("time.sleep takes one duration; one by chance is random.number(1, 3)", 2) end
  if type(duration) ~= "number" or not (duration >= 0 and duration <= 1e9) then duration = seconds(duration, "time.sleep", 2) end
  local _ = call(SLEEP, duration)
end

---Seconds since the run's start, by a clock that never jumps.
---@return number seconds
function time.now()
  local elapsed = native.now()
  if not elapsed then engine.must_run("time.now()", 2) end
  return elapsed
end

---Seconds since 1970, by the wall clock, with fractions.
---@return number seconds
function time.unix() return native.unix() end

return time
