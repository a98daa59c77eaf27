---@meta shared

---Values that all users of one worker see, whichever core they run on. Values are plain data (booleans, numbers, strings, tables of
---them) and are copied both ways: changing what you got changes nothing here. At most 100,000 keys and 64 MiB.
---
---What all users of the run shall see, whichever worker they run on, is in `shared.cluster`.
---@class sharedlib
---@field cluster sharedlib.cluster  the same for all workers of the run
local shared = {}

local native, engine = ...
local call, capture, rethrow, FLIGHT = engine.call, engine.capture, engine.rethrow, engine.operation.flight
local BOARD, FETCH, BRING, MEET = engine.operation.board, engine.operation.fetch, engine.operation.bring, engine.operation.meet

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

local function ttl_of(name, options)
  if options == nil then return nil end
  if type(options) ~= "table" then
    error("shared." .. name .. ": the options must be a table, got " .. type(options), 3)
  end
  for option in pairs(options) do
    if option ~= "ttl" then
      error("shared." .. name .. ": unknown option `" .. tostring(option) .. "`; there is `ttl`", 3)
    end
  end
  return options.ttl ~= nil and engine.seconds(options.ttl, "shared." .. name .. ": ttl", 3) or nil
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
  local lives = ttl_of("cached", options)
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

---Values that all users of a run see, whichever worker they run on: a token that one fetches for five hundred users of three workers, a number that no
---two of them get. They are kept on the master; `lunamoth run` has one in itself. Each call but `cached` is a round trip to it and counts as a wait: where
---the user shall finish, its iteration ends there.
---
---    local shared = require "shared"
---    function Buyer:on_start()
---      self.token = shared.cluster.cached("token", { ttl = "50m" }, function() return http.post("/token"):json("token") end)
---      self.order = shared.cluster.incr("orders")
---    end
---
---Without a master that answers, a call waits for the next one, 30 s at most; then it gives nil and why. A master that is started again on its `--state DIR`
---has all values and hands no number out twice. Without a journal nobody knows them any more: `incr` and `get` give nil and why for a key that has not
---been set since, and `cached` fetches anew. A new run begins with none; clearing the statistics changes nothing. At most 100,000 keys, 32 MiB, 256 KiB a
---value and 1 KiB a key; what finds no room raises. `setup` and `teardown` run before and after the users and cannot use it: what `setup` returns is
---`scenario.data()`.
---@class sharedlib.cluster
local cluster = {}

shared.cluster = cluster

---Adds to a number in one step and gives the sum: no two users of the run get the same one, `shared.cluster.incr("orders")`. A key without a value counts
---as 0. A number is skipped where its user, or its worker, ended before the answer came. Nil and why where no master answered.
---@param key string
---@param by? number  1 if left out
---@return number? sum
---@return string? why
function cluster.incr(key, by)
  check_key("cluster.incr", key)
  if by == nil then by = 1 end
  if type(by) ~= "number" or by - by ~= 0 then
    error("shared.cluster.incr: a finite number is needed, got " .. tostring(by), 2)
  end
  local sum, why = call(BOARD, "incr", key, by)
  return sum, why
end

---The value of a key, or nil: `shared.cluster.get("campaign")`. Nil and why where no master answered.
---@param key string
---@return any value
---@return string? why
function cluster.get(key)
  check_key("cluster.get", key)
  local value, why = call(BOARD, "get", key)
  return value, why
end

---Sets a key for all; nil removes it: `shared.cluster.set("campaign", { id = 7 }, { ttl = "10m" })`. Once it returns true, every `get` in the cluster has
---the value; a `cached` on another worker may give the one before for a second. Nil and why where no master answered.
---@param key string
---@param value any  plain data
---@param options? shared.CachedOptions
---@return boolean? done
---@return string? why
function cluster.set(key, value, options)
  check_key("cluster.set", key)
  local lives = ttl_of("cluster.set", options)
  local done, why = call(BOARD, "set", key, value, lives)
  return done, why
end

---The value of a key; where it has none, what `make` returns, kept for `ttl`: one user of the whole cluster makes it while all others wait. Where `make`
---raises, its caller gets the error and the next user tries; the same where its user ends or its worker is lost in the middle, and after 60 seconds. A
---worker asks the master once a second whether its value still is good, so that a call costs next to nothing. Nil and why where no master answered.
---
---    local token = shared.cluster.cached("token", { ttl = "50m" }, function()
---      local res = http.post("/token", { json = { id = "moth" } })
---      return res:json("token")
---    end)
---@generic T
---@param key string
---@param options? shared.CachedOptions
---@param make fun(): T
---@return T? value
---@return string? why
function cluster.cached(key, options, make)
  check_key("cluster.cached", key)
  if type(options) == "function" and make == nil then options, make = nil, options end
  if type(make) ~= "function" then
    error("shared.cluster.cached: the last argument must be a function, got " .. type(make), 2)
  end
  local lives = ttl_of("cluster.cached", options)
  local here, copy = native.copy_of_cluster(key)
  if here then return copy end
  local what, value = call(FETCH, key)
  if what == nil then return nil, value end
  if what == "value" then return value end
  local ok, made = xpcall(make, capture)
  if not ok then
    native.give_up_of_cluster(value)
    rethrow(made)
  end
  local _ = call(BRING, value, lives, made)
  return made
end

---Waits until `users` users of the whole cluster wait here, then lets them go together: `shared.cluster.barrier("sale opens", 100, "2m")`. True once they
---were there; nil and why where they were not within `timeout`, 60 s if left out, or no master answered. The next ones of the same name wait for each other
---anew. The users of a worker that is lost do not count; those who take their place find the others gone, so that `on_start` had better look at a
---value which is set behind the barrier.
---@param name string
---@param users integer
---@param timeout? number|string  seconds, or such as "2m"
---@return boolean? met
---@return string? why
function cluster.barrier(name, users, timeout)
  check_key("cluster.barrier", name)
  if type(users) ~= "number" then error("shared.cluster.barrier: the number of users is needed, got " .. type(users), 2) end
  if timeout == nil then timeout = 60 end
  local _ = engine.seconds(timeout, "shared.cluster.barrier: timeout", 2)
  local met, why = call(MEET, name, users, timeout)
  return met, why
end

engine.lock_library("shared.cluster", cluster)

return shared
