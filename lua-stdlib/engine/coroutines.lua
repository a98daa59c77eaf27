---The `coroutine` library of scripts. Private: no script can require it.
---
---An engine operation inside a script's own coroutine passes through to the lane, and its answer back. A coroutine belongs to the user that made it; one
---that was made while the script was loaded is everybody's, but not in the middle of a request. Gives the library.
local native, engine = ...

local error, isyieldable, setmetatable, type = error, coroutine.isyieldable, setmetatable, type
local create, resume, running, status, yield = coroutine.create, coroutine.resume, coroutine.running, coroutine.status, coroutine.yield

local TOKEN, FAILED = native.token, native.failed
local NOT_OWN = "cannot resume a coroutine that the script did not make"
local NOT_YOURS = "this coroutine belongs to another user: keep it in `self`, so that each user has its own"
local IN_REQUEST = "this coroutine is in the middle of another user's request: make one for each user"

-- Whose each coroutine is: a mark for each user. Marks, not the users' coroutines themselves, which would keep each other alive.
local owners, marks, asking = setmetatable({}, { __mode = "k" }), setmetatable({}, { __mode = "k" }), setmetatable({}, { __mode = "k" })
local EVERYBODY = {}

local function user()
  local co = running()
  local mark = owners[co] or marks[co]
  if not mark then
    mark = engine.is_loading() and EVERYBODY or {}
    marks[co] = mark
  end
  return mark
end

---The running coroutine is that of the user `self`, as all that it makes.
function engine.belongs_to(self)
  marks[self] = marks[self] or {}
  marks[running()] = marks[self]
end

local answered

local function pass(co, ok, first, ...)
  if ok and first == TOKEN then
    if not isyieldable() then return pass(co, resume(co, FAILED, engine.IN_CALLBACK)) end
    asking[co] = true
    return answered(co, yield(TOKEN, ...))
  end
  return ok, first, ...
end

function answered(co, ...)
  asking[co] = nil
  return pass(co, resume(co, ...))
end

local function why_not(co)
  local owner = owners[co]
  if not owner then return NOT_OWN end
  if owner ~= EVERYBODY and owner ~= user() then return NOT_YOURS end
  if asking[co] then return IN_REQUEST end
end

local coroutines = { isyieldable = isyieldable, running = running, status = status }

function coroutines.create(body)
  if type(body) ~= "function" then error("coroutine.create: a function is needed, not a " .. type(body), 2) end
  local co = create(body)
  owners[co] = user()
  return co
end

function coroutines.resume(co, ...)
  local why = why_not(co)
  if why then return false, why end
  return pass(co, resume(co, ...))
end

local function unwrap(ok, ...)
  if not ok then error((...), 0) end
  return ...
end

function coroutines.wrap(body)
  if type(body) ~= "function" then error("coroutine.wrap: a function is needed, not a " .. type(body), 2) end
  local co = coroutines.create(body)
  return function(...)
    local why = why_not(co)
    if why then error(why, 2) end
    return unwrap(pass(co, resume(co, ...)))
  end
end

function coroutines.yield(...)
  if not owners[running()] then error("attempt to yield from outside a coroutine", 2) end
  return yield(...)
end

return coroutines
