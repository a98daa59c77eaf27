---@meta wait
---How long users think between two iterations. `local wait = require "wait"`
---@class waitlib
local wait = {}

local _, engine = ...
local seconds, per_second = engine.seconds, engine.per_second

---A rule for `scenario.user { wait = ... }`.
---@class Wait
---@field kind "between"|"poisson"|"pacing"
---@field low number   seconds
---@field high number  seconds

local rules = setmetatable({}, { __mode = "k" })

---The same time always.
---@param duration number|string  seconds, or a text such as "500ms"
---@return Wait
function wait.constant(duration)
  local value = seconds(duration, "wait.constant", 2)
  local rule = { kind = "between", low = value, high = value }
  rules[rule] = true
  return rule
end

---A time between two bounds, all equally likely.
---@param low number|string   seconds, or a text such as "500ms"
---@param high number|string  seconds, or a text such as "2m"
---@return Wait
function wait.between(low, high)
  local rule = { kind = "between", low = seconds(low, "wait.between", 2), high = seconds(high, "wait.between", 2) }
  if rule.low > rule.high then error("wait.between: the first bound is above the second", 2) end
  rules[rule] = true
  return rule
end

---Times as between events that know nothing of each other: exponentially distributed around their mean, as `wait.poisson("2s")`.
---@param mean number|string  seconds, or a text such as "500ms"
---@return Wait
function wait.poisson(mean)
  local value = seconds(mean, "wait.poisson", 2)
  local rule = { kind = "poisson", low = value, high = value }
  rules[rule] = true
  return rule
end

---Iterations of a user begin so far apart, however long they take: `wait.pacing("10s")`. One that takes longer is followed by the next at
---once, and the time that was lost is not made up for.
---@param interval number|string  seconds, or a text such as "10s"; above zero
---@return Wait
function wait.pacing(interval)
  local value = seconds(interval, "wait.pacing", 2)
  if value == 0 then error("wait.pacing: iterations must begin more than 0 s apart", 2) end
  local rule = { kind = "pacing", low = value, high = value }
  rules[rule] = true
  return rule
end

---So many iterations of each user begin in a time, where it can: `wait.throughput("2/s")` is `wait.pacing("500ms")`.
---@param rate number|string  per second, or a text such as "2/s", "30/m", "100/h"
---@return Wait
function wait.throughput(rate)
  local value = 1 / per_second(rate, "wait.throughput", 2)
  local rule = { kind = "pacing", low = value, high = value }
  rules[rule] = true
  return rule
end

---Private to `scenario`.
function engine.is_wait(value) return rules[value] == true end

return wait
