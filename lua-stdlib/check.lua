---@meta check
---Checks are counted and shown; they never change a sample. `local check = require "check"`
---@class checklib
---@overload fun(value: any, checks: table<string, boolean|fun(value: any): any>): boolean
local check = {}

local native, engine = ...
local record, learn, raised = native.record, native.learn, native.raised
local next, pcall, sort, type = next, pcall, table.sort, type

-- Names cross to Rust once; after that a number stands for them.
local ids = {}

local function count(name, passed)
  local id = ids[name]
  if not id then
    if type(name) ~= "string" then error("check: a check's name must be a text, not a " .. type(name), 3) end
    engine.must_run("check()", 3)
    id = learn(name)
    if id then ids[name] = id end
  end
  if id then record(id, passed) else native.record_name(name, passed) end
  return passed
end

local function judge(value, name, test)
  if type(test) ~= "function" then return count(name, not not test) end
  local ok, result = pcall(test, value)
  if not ok then raised(tostring(name), engine.text_of(result)) end
  return count(name, ok and not not result)
end

---Counts one check.
---@param name string
---@param passed any  true-ish is passed
---@return boolean passed
function check.that(name, passed)
  return (count(name, not not passed))
end

-- More than one check: in the order of their names, so that a run can be repeated.
local function judge_all(value, checks)
  local names, all = {}, true
  for name in next, checks do names[#names + 1] = name end
  sort(names, function(a, b) return tostring(a) < tostring(b) end)
  for i = 1, #names do
    if not judge(value, names[i], checks[names[i]]) then all = false end
  end
  return all
end

---Judges `value` by each of `checks`; a function that raises has failed. Returns whether all held.
---An empty table is an error: Lua keeps no entry whose value is nil, so that what is missing would be judged by nothing. Write `x ~= nil`.
return setmetatable(check, {
  __call = function(_, value, checks, _more)
    if _more ~= nil then error("check takes a value and one table of checks; tags belong to requests", 2) end
    if type(checks) ~= "table" then error("check: a table { name = function or boolean } is needed, not a " .. type(checks), 2) end
    local name, test = next(checks)
    -- `{ ["has a token"] = res:json("token") }` is an empty table where there is no token, and would pass in silence.
    if name == nil then error("check: nothing to judge: the table is empty (an entry whose value is nil is none; write `x ~= nil`)", 2) end
    if next(checks, name) == nil then return (judge(value, name, test)) end
    return judge_all(value, checks)
  end,
})
