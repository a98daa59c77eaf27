---The life of a user's coroutine, and of the script's top level. Private: no script can require it.
---
---One coroutine serves a user from `on_start` to `on_stop`: the lane resumes it with a job's number and it yields when the job is done. Where a
---user shall finish in the middle of a job, the lane drops the coroutine and another one runs `on_stop`.
local native, engine = ...

local create, yield, resume, running = coroutine.create, coroutine.yield, coroutine.resume, coroutine.running
local error, ipairs, pcall, rawequal, rawget, setmetatable, tostring, type, xpcall =
  error, ipairs, pcall, rawequal, rawget, setmetatable, tostring, type, xpcall
local traceback, getinfo, gsub, sub = debug.traceback, debug.getinfo, string.gsub, string.sub
local concat, next, sort = table.concat, next, table.sort

local LONGEST_TEXT = 8192 -- bytes of an error
local LONGEST_TABLE, FIELDS_MAX = 200, 1000 -- bytes of an error that is a table, and its fields that are looked at

local TOKEN, DONE, RAISED = native.token, native.operation.done, native.operation.raised

local jobs, metatables = {}, {}
-- The script's own function, where the engine's runs around it.
local bodies = {}
-- Whose coroutine it is. Weak both ways: a user's `self` is held by its coroutine, on whose stack it lies.
local selves = setmetatable({}, { __mode = "kv" })
local trace, rethrown = "", nil

---The first bytes of a text, in which no character is cut in two and none ends the line.
local function beginning(text, bytes)
  if #text > bytes then text = gsub(sub(text, 1, bytes), "[\192-\255][\128-\191]*$", "") end
  return (gsub(text, "%c", " "))
end

---A number, a text or a boolean as a script writes it; nil for what cannot be shown in a few words.
local function plain(value)
  local kind = type(value)
  if kind == "string" then return '"' .. gsub(beginning(value, LONGEST_TABLE), '["\\]', "\\%0") .. '"' end
  if kind == "number" or kind == "boolean" then return tostring(value) end
  return kind == "table" and "{...}" or nil
end

---The plain fields of a table that was raised, `{ code = 3, why = "x" }`: by their keys, since Lua's own order differs from run to run. Nil where it has none.
local function fields_of(problem)
  local keys, count = {}, 0
  for key in next, problem do
    count = count + 1
    if count > FIELDS_MAX then break end
    local kind = type(key)
    -- A result of a request may be raised, too; what the engine keeps in it is nothing to be read.
    if (kind == "string" and key ~= "_packed" and key ~= "_handle") or kind == "number" then keys[#keys + 1] = key end
  end
  if #keys == 0 then return nil end
  sort(keys, function(one, other)
    if type(one) == type(other) then return one < other end
    return type(one) == "number"
  end)
  local shown, length, is_cut = {}, 0, count > FIELDS_MAX
  for _, key in ipairs(keys) do
    local value = plain(rawget(problem, key))
    if value and length > LONGEST_TABLE then
      is_cut = true
    elseif value then
      local name = type(key) == "number" and "[" .. tostring(key) .. "]" or beginning(key, LONGEST_TABLE)
      shown[#shown + 1] = name .. " = " .. value
      length = length + #shown[#shown] + 2
    end
  end
  if #shown == 0 then return nil end
  local text = concat(shown, ", ")
  if is_cut or #text > LONGEST_TABLE then text = beginning(text, LONGEST_TABLE) .. "..." end
  return "{ " .. text .. " }"
end

---An error's text, whatever value was raised.
local function text_of(problem)
  local kind = type(problem)
  if kind == "string" then return #problem > LONGEST_TEXT and sub(problem, 1, LONGEST_TEXT) or problem end
  if kind == "userdata" then return native.error_text(problem) end
  local ok, text = pcall(tostring, problem)
  if kind == "table" and (not ok or type(text) ~= "string" or text:find("^table: ")) then
    local is_shown, fields = pcall(fields_of, problem)
    return is_shown and fields or "(an error object that is a table)"
  end
  return ok and sub(tostring(text), 1, LONGEST_TEXT) or "(an error object without a text)"
end

engine.text_of = text_of

---A mistake in a tail call (`return http.get { ... }`) has lost its caller's frame and bears a place in the engine; the watchdog's, which can
---strike anywhere, may bear none. The function that was run is the nearest place that is left.
local function placed(text, body)
  text = native.with_hint(text) or text
  local message = text:match("^%[lunamoth [^%]]*%]:%d+: (.*)") or (text == native.strike and text)
  if not message then return text end
  local place = getinfo(body, "S")
  local line = place.linedefined > 0 and (":" .. place.linedefined) or ""
  return place.short_src .. line .. ": " .. message
end

---Remembers where an error was raised, and leaves the error as it is.
function engine.capture(problem)
  if rethrown == nil or not rawequal(problem, rethrown) then trace = traceback("", 2) end
  rethrown = nil
  return problem
end

---Raises again what `engine.capture` saw, so that the traceback stays the first one.
function engine.rethrow(problem)
  rethrown = problem
  error(problem, 0)
end

local capture = engine.capture

-- A frame of ours below the script's: it is what `placed` recognises where the script's own is gone.
local function run(script, ...)
  local result = script(...)
  return result
end

local function life(self)
  engine.belongs_to(self)
  local job, iteration = yield()
  while true do
    if iteration then self.iteration = iteration end
    local ok, problem = xpcall(run, capture, jobs[job], self)
    if ok then
      job, iteration = yield(TOKEN, DONE)
    else
      local seen = trace
      trace = ""
      job, iteration = yield(TOKEN, RAISED, placed(text_of(problem), bodies[job] or jobs[job]), seen)
    end
  end
end

---Makes a function known that users can be told to run; gives its number. `inner` is the script's, where `body` is the engine's around it.
function engine.add_job(body, inner)
  jobs[#jobs + 1] = body
  bodies[#jobs] = inner
  return #jobs
end

---The text of an error in a job, with a place of the script's.
function native.placed(text, job) return placed(text, bodies[job] or jobs[job]) end

---Makes the methods of a class known; gives its number.
function engine.add_class(methods)
  metatables[#metatables + 1] = { __index = methods, __metatable = false }
  return #metatables
end

local function begin(self)
  local co = create(life)
  selves[co] = self
  resume(co, self)
  return co
end

function native.new_user(class, index, profile)
  return begin(setmetatable({ index = index, number = index + 1, iteration = 0, profile = profile }, metatables[class]))
end

---Another coroutine for the user of `co`, which is resumed no more, whatever it was doing.
function native.renew_user(co) return begin(selves[co]) end

---Runs a function of the top level: true and its result, or false, the error's text and its traceback.
function native.evaluate(chunk, ...)
  local ok, result = xpcall(run, capture, chunk, ...)
  if ok then return true, result end
  return false, placed(text_of(result), chunk), trace
end
