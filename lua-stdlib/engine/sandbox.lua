---The environment that scripts see, and what the public modules share. Private: no script can require it.
---
---Runs once in each VM, before any other Lua, with the real globals. Returns the sandbox and the `engine` table, which every public
---module receives as its second value, after its own natives:
---
---    local native, engine = ...
---
---    engine.call(operation, ...)       hands an operation to the lane and returns its answer. Call it from the public function itself, not
---                                      as a tail call: the caller's mistakes are raised at the line of the public function's caller.
---    engine.can_call()                 whether `engine.call` is possible here.
---    engine.operation                  the codes: `http`, `flight`, ... (src/script/driver.rs)
---    engine.must_run(what, level)      raises while the script is loaded: `what` belongs into a task.
---    engine.check_keys(table, allowed, what, level)   raises on a key that is not in the list, with the nearest right one.
---    engine.seconds(value, what, level)               a duration as seconds.
---    engine.per_second(value, what, level)            a rate as a number per second, above zero.
---    engine.digits(value)              a 64-bit integer (`1LL`) as its digits, another value as it is; nil for other cdata.
---    engine.nearest(name, list)        the nearest name of a list, or nil.
---    engine.later(module, name, list)  functions that say that this version does not have them.
---    engine.lock(table, describe)      makes a table read-only; `describe(key)` gives the error's text.
---    engine.lock_library(name, table)  the same for a library; what it does not have raises as well, with the nearest right name.
local native = ...

local error, getmetatable, ipairs, next, pairs, select = error, getmetatable, ipairs, next, pairs, select
local setmetatable, tonumber, tostring, type, load, xpcall =
  setmetatable, tonumber, tostring, type, load, xpcall
local yield, isyieldable = coroutine.yield, coroutine.isyieldable
local collectgarbage, date = collectgarbage, os.date

local TOKEN, FAILED, take = native.token, native.failed, native.take
local IN_CALLBACK = "a request, a wait or a sleep is not possible inside a callback of gsub, sort or the like, nor in a metamethod or the function of scenario.shape: collect first, then loop"
local LONGEST_SOURCE = 1024 * 1024
local LONGEST_DATE = 256
local LONGEST_NUMBER = 4096

local engine = { operation = native.operation, IN_CALLBACK = IN_CALLBACK }
local is_loading = true

-- Functions that only say that they are none.
local later = setmetatable({}, { __mode = "k" })

function engine.is_loading() return is_loading end

local strings = native.part("engine/strings.lua")(native)
local tables, locked = native.part("engine/tables.lua")(native, engine)
local coroutines = native.part("engine/coroutines.lua")(native, engine)

function engine.lock(target, describe)
  local inner, old = {}, getmetatable(target)
  for key, value in next, target do inner[key] = value end
  for key in next, inner do target[key] = nil end
  if old and old.__index then setmetatable(inner, { __index = old.__index }) end
  locked[target] = true
  return setmetatable(target, {
    __index = inner,
    __newindex = function(_, key) error(describe(tostring(key)), 2) end,
    __call = old and old.__call,
    __pairs = function() return function(_, key) return next(inner, key) end, target, nil end,
    __metatable = false,
  }), inner
end

function engine.must_run(what, level)
  if is_loading then
    error(what .. " is not possible while the script is loaded: put it into on_start or a task", (level or 1) + 1)
  end
end

local function finish(first, second, third, fourth, fifth, sixth)
  if first == FAILED then error(second, 3) end
  return first, second, third, fourth, fifth, sixth
end

-- `take` gives what the lane answered: the values that it is called with, or those that wait for it.
function engine.call(operation, first, second, third, fourth)
  if is_loading then
    error("a request, a wait or a sleep is not possible while the script is loaded: put it into on_start or a task", 3)
  end
  if not isyieldable() then error(IN_CALLBACK, 3) end
  return finish(take(yield(TOKEN, operation, first, second, third, fourth)))
end

---Whether an operation could be handed to the lane here: not in a callback of a C function, nor while the script is loaded.
function engine.can_call() return not is_loading and isyieldable() end

function engine.nearest(name, list) return native.nearest(tostring(name), list) end

function engine.digits(value)
  if type(value) ~= "cdata" then return value end
  return (strings.match(tostring(value), "^(-?%d+)U?LL$"))
end

function engine.check_keys(given, allowed, what, level)
  for key in next, given do
    local known = false
    for _, name in ipairs(allowed) do known = known or key == name end
    if not known then
      local near = engine.nearest(key, allowed)
      local hint = near and (", did you mean `" .. near .. "`?") or (": it knows " .. table.concat(allowed, ", "))
      error(what .. " has no `" .. tostring(key) .. "`" .. hint, (level or 1) + 1)
    end
  end
end

function engine.seconds(value, what, level)
  local seconds, why = native.seconds(value)
  if not seconds then error(what .. ": " .. why, (level or 1) + 1) end
  return seconds
end

function engine.per_second(value, what, level)
  local rate, why = native.per_second(value)
  if not rate then error(what .. ": " .. why, (level or 1) + 1) end
  return rate
end

function engine.later(module, name, list)
  for _, key in ipairs(list) do
    local function say_so() error("this version does not have " .. name .. "." .. key, 2) end
    module[key], later[say_so] = say_so, true
  end
end

-- Libraries, reduced to what is harmless.

local function pick(library, names)
  local out = {}
  for name in names:gmatch("%S+") do out[name] = library[name] end
  return out
end

local maths = pick(math, "abs acos asin atan atan2 ceil cos cosh deg exp floor fmod frexp huge ldexp log log10 max min modf pi pow rad sin sinh sqrt tan tanh")

maths.random = native.math_random

function maths.randomseed() error("math.randomseed: each user has a generator that is seeded from the run's seed (--seed)", 2) end

local environment = pick(_G, "assert error getmetatable ipairs next pairs pcall rawequal rawget rawlen select setmetatable tonumber tostring type unpack xpcall _VERSION")
environment._G = environment
environment.bit = pick(bit, "arshift band bnot bor bswap bxor lshift rol ror rshift tobit tohex")
environment.coroutine = coroutines
environment.math = maths
environment.os = pick(os, "time clock difftime")
environment.string = strings
environment.table = tables
environment.rawset = engine.rawset

function environment.os.date(pattern, time)
  if type(pattern) == "string" and #pattern > LONGEST_DATE then error("os.date: a format may have at most " .. LONGEST_DATE .. " bytes", 2) end
  return date(pattern, time)
end

function environment.collectgarbage(what)
  if what ~= "count" then error('collectgarbage: only "count" is possible in a script', 2) end
  return collectgarbage("count")
end

-- No number has so many digits, and LuaJIT would read them all.
function environment.tonumber(value, base)
  if type(value) == "string" and #value > LONGEST_NUMBER then return nil end
  if base == nil then return tonumber(value) end
  return tonumber(value, base)
end

-- The watchdog's error is raised from a hook, and no hook fires until it is caught: a handler that loops then would loop for ever.
function environment.xpcall(body, handler, ...)
  if type(handler) ~= "function" then return xpcall(body, handler, ...) end
  return xpcall(body, function(problem)
    if native.is_runaway() then return problem end
    return handler(problem)
  end, ...)
end

function environment.print(...)
  local parts = {}
  for i = 1, select("#", ...) do parts[i] = tostring((select(i, ...))) end
  native.print(table.concat(parts, "\t"))
end

function environment.load(chunk, name, _, scope)
  if type(chunk) == "function" then
    local parts, size = {}, 0
    for piece in chunk do
      if type(piece) ~= "string" or piece == "" then break end
      parts[#parts + 1], size = piece, size + #piece
      if size > LONGEST_SOURCE then error("load: the text is longer than 1 MiB", 2) end
    end
    chunk = table.concat(parts)
  end
  if type(chunk) ~= "string" then error("load: text is needed, not a " .. type(chunk), 2) end
  if #chunk > LONGEST_SOURCE then error("load: the text is longer than 1 MiB", 2) end
  return load(chunk, name or "=(load)", "t", scope or environment)
end
environment.loadstring = function(chunk, name) return environment.load(chunk, name) end

local loaded, pending = {}, {}

local function read_only(name)
  return function(key) return "module `" .. name .. "` is read-only: cannot set `" .. key .. "`" end
end

function engine.lock_library(name, library)
  local names = {}
  for key, value in next, library do
    if not later[value] then names[#names + 1] = key end
  end
  table.sort(names)
  local _, inner = engine.lock(library, read_only(name))
  if getmetatable(inner) then return end
  setmetatable(inner, {
    __index = function(_, key)
      local near = engine.nearest(key, names)
      local hint = near and (", did you mean `" .. near .. "`?") or names[1] and (": it has " .. table.concat(names, ", ")) or ""
      error("module `" .. name .. "` has no `" .. tostring(key) .. "`" .. hint, 2)
    end,
  })
end

-- A frame of ours below the file's, as in `engine/user.lua`: a mistake in its tail call is placed by it.
local function run(chunk, ...)
  local result = chunk(...)
  return result
end

function environment.require(name)
  if type(name) ~= "string" then error("require: a name is needed, not a " .. type(name), 2) end
  -- Two ways to write one name, as `require "lib.h"` and `require "lib/h"`, are one module.
  if name:find("^[%w_%-]+/[%w_%-/]+$") then name = name:gsub("/", ".") end
  if loaded[name] ~= nil then return loaded[name] end
  if pending[name] then error("require: `" .. name .. "` requires itself", 2) end
  local chunk, natives = native.library(name, environment)
  local is_library = chunk ~= nil
  if natives and not is_library then error(natives, 2) end
  if not is_library then
    local problem
    chunk, problem = native.source(name, environment)
    if not chunk then error(problem, 2) end
  end
  pending[name] = true
  local ok, module = xpcall(run, engine.capture, chunk, is_library and natives or name, is_library and engine or nil)
  pending[name] = nil
  if not ok then engine.rethrow(module) end
  if is_library and type(module) == "table" then engine.lock_library(name, module) end
  loaded[name] = module == nil and true or module
  return loaded[name]
end

for _, name in ipairs { "bit", "coroutine", "math", "os", "string", "table" } do
  engine.lock(environment[name], read_only(name))
end

-- `text:upper()` finds the same functions; the metatable itself can be neither seen nor changed.
local texts = getmetatable("")
texts.__index = strings
texts.__metatable = false

---Ends the loading: from here on, globals are read-only and users may run.
local function seal()
  engine.lock(environment, function(key)
    return "cannot assign the global `" .. key .. "` while users run: write `local " .. key .. "`, or `self." .. key .. "` to keep it for this user"
  end)
  is_loading = false
end

return engine, environment, seal
