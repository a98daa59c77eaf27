---@meta shared

---Values that all users of one worker see, whichever core they run on. Values are plain data (booleans, numbers, strings, tables of
---them) and are copied both ways: changing what you got changes nothing here. At most 100,000 keys and 64 MiB.
---@class sharedlib
local shared = {}

local native, engine = ...
local call, capture, rethrow, FLIGHT = engine.call, engine.capture, engine.rethrow, engine.operation.flight

local error, pairs, tostring, type, xpcall = error, pairs, tostring, type, xpcall

local function check_key(name, key)
  engine.must_run("shared." .. name .. "()", 3)
  if type(key) ~= "string" or key == "" then
    error("shared." .. name .. ": the key must be a string that is not empty, got " .. type(key), 3)
  end
end

---The value of a key, or nil.
---@param key string
---@return any
function shared.get(key)
  check_key("get", key)
  local ok, value = native.get(key)
  if not ok then error("shared.get: " .. value, 2) end
  return value
end

---Sets a key for all; nil removes it.
---@param key string
---@param value any  plain data
function shared.set(key, value)
  check_key("set", key)
  local ok, why = native.set(key, value)
  if not ok then error("shared.set: " .. why, 2) end
end

---Adds to a number in one step and gives the sum, so that no two users get the same. A key without a value counts as 0.
---@param key string
---@param by? number  1 if left out
---@return number
function shared.incr(key, by)
  check_key("incr", key)
  if by == nil then by = 1 end
  if type(by) ~= "number" or by - by ~= 0 then
    error("shared.incr: a finite number is needed, got " .. tostring(by), 2)
  end
  local ok, sum = native.increase(key, by)
  if not ok then error("shared.incr: " .. sum, 2) end
  return sum
end

---@class shared.CachedOptions
---@field ttl? number|string  how long the value is good, in seconds or such as "50m"; as long as the run if left out

local function ttl_of(options)
  if options == nil then return nil end
  if type(options) ~= "table" then
    error("shared.cached: the options must be a table, got " .. type(options), 3)
  end
  for name in pairs(options) do
    if name ~= "ttl" then
      error("shared.cached: unknown option `" .. tostring(name) .. "`; there is `ttl`", 3)
    end
  end
  return options.ttl ~= nil and engine.seconds(options.ttl, "shared.cached: ttl", 3) or nil
end

local function fill(lease, lives, ok, value)
  if not ok then
    native.give_up(lease)
    rethrow(value)
  end
  local stored, why = native.finish(lease, lives, value)
  if not stored then error("shared.cached: " .. why, 3) end
  return value
end

---The value of a key; where it has none, what `make` returns, kept for `ttl`. One user makes it while the others wait. Where `make`
---raises, its caller gets the error and the next user tries. `make` may send requests; after 60 seconds the next user tries as well.
---@generic T
---@param key string
---@param options? shared.CachedOptions
---@param make fun(): T
---@return T
function shared.cached(key, options, make)
  check_key("cached", key)
  if type(options) == "function" and make == nil then options, make = nil, options end
  if type(make) ~= "function" then
    error("shared.cached: the last argument must be a function, got " .. type(make), 2)
  end
  local lives = ttl_of(options)
  while true do
    local ok, what, value = native.begin(key)
    if not ok then error("shared.cached: " .. what, 2) end
    if what == "value" then return value end
    if what == "fill" then
      value = fill(value, lives, xpcall(make, capture))
      return value
    end
    local _ = call(FLIGHT, key)
  end
end

return shared
