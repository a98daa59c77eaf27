---@meta wait
---How long users think between two iterations. `local wait = require "wait"`
---@class waitlib
local wait = {}

local _, engine = ...
local seconds = engine.seconds

---A rule for `scenario.user { wait = ... }`.
---@class Wait
---@field low number   seconds
---@field high number  seconds

local rules = setmetatable({}, { __mode = "k" })

---The same time always.
---@param duration number|string  seconds, or a text such as "500ms"
---@return Wait
function wait.constant(duration)
  local value = seconds(duration, "wait.constant", 2)
  local rule = { low = value, high = value }
  rules[rule] = true
  return rule
end

---A time between two bounds, all equally likely.
---@param low number|string   seconds, or a text such as "500ms"
---@param high number|string  seconds, or a text such as "2m"
---@return Wait
function wait.between(low, high)
  local rule = { low = seconds(low, "wait.between", 2), high = seconds(high, "wait.between", 2) }
  if rule.low > rule.high then error("wait.between: the first bound is above the second", 2) end
  rules[rule] = true
  return rule
end

engine.later(wait, "wait", { "pacing", "throughput", "poisson" })

---Private to `scenario`.
function engine.is_wait(value) return rules[value] == true end

return wait
