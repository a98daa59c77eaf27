---@meta metric

---Measurements of the script's own. Declare them at the top of the script; one name is one metric in the whole cluster. Thresholds
---judge them by their names: `thresholds = { orders = { "count > 100" } }`.
---@class metriclib
local metric = {}

local native = ...

local error, setmetatable, tostring, type = error, setmetatable, tostring, type

---A sum.
---@class metric.Counter
---@field name string
local Counter = {}

---The last value.
---@class metric.Gauge
---@field name string
local Gauge = {}

---A share of true values.
---@class metric.Rate
---@field name string
local Rate = {}

---A distribution.
---@class metric.Trend
---@field name string
local Trend = {}

local slots, by_name = {}, {}

local function declare(kind, methods, name, _more)
  if _more ~= nil then error("metric." .. kind .. " takes a name and nothing else: times are seconds", 3) end
  if type(name) ~= "string" then
    error("metric." .. kind .. ": the name must be a string, got " .. type(name), 3)
  end
  local slot, why = native.declare(name, kind)
  if not slot then error("metric." .. kind .. ": " .. why, 3) end
  local handle = by_name[name]
  if not handle then
    handle = setmetatable({ name = name }, { __index = methods, __metatable = "metric" })
    by_name[name], slots[handle] = handle, slot
  end
  return handle
end

local function is_finite(value) return type(value) == "number" and value - value == 0 end

local function record(handle, is_right, takes, value, _more)
  if _more ~= nil then error("metric `" .. tostring(handle.name) .. "` takes one value; tags belong to requests", 3) end
  local slot = slots[handle]
  if not slot then error("metric: call it with a colon, as in `orders:add(1)`", 3) end
  if not is_right then error("metric `" .. handle.name .. "`: " .. takes, 3) end
  local ok, why = native.record(slot, value)
  if not ok then error("metric `" .. handle.name .. "`: " .. why, 3) end
end

---Adds to the sum.
---@param amount? number  0 or more; 1 if left out
function Counter:add(amount, _more)
  if amount == nil then amount = 1 end
  record(self, is_finite(amount) and amount >= 0, "a counter takes finite numbers of 0 or more", amount, _more)
end

---Sets the value.
---@param value number
function Gauge:set(value, _more)
  record(self, is_finite(value), "a gauge takes finite numbers", value, _more)
end

---Counts one case.
---@param held boolean
function Rate:add(held, _more)
  record(self, type(held) == "boolean", "a rate takes true or false", held and 1 or 0, _more)
end

---Adds a value to the distribution: 0 or more, as percentiles are kept from a millionth to nine millions of millions.
---@param value number
function Trend:add(value, _more)
  record(self, is_finite(value) and value >= 0, "a trend takes finite numbers of 0 or more", value, _more)
end

---A sum: `orders:add(2)`.
---@param name string
---@return metric.Counter
function metric.counter(name, _more)
  local handle = declare("counter", Counter, name, _more)
  return handle
end

---The last value: `stock:set(17)`.
---@param name string
---@return metric.Gauge
function metric.gauge(name, _more)
  local handle = declare("gauge", Gauge, name, _more)
  return handle
end

---A share of true values: `found:add(res.status == 200)`.
---@param name string
---@return metric.Rate
function metric.rate(name, _more)
  local handle = declare("rate", Rate, name, _more)
  return handle
end

---A distribution: `cart_size:add(3)`.
---@param name string
---@return metric.Trend
function metric.trend(name, _more)
  local handle = declare("trend", Trend, name, _more)
  return handle
end

return metric
