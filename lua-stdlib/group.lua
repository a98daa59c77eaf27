---@meta group
---Measures several requests as one whole. `local group = require "group"`
---@class grouplib
---@overload fun(name: string, body: fun(...): ...): ...
local group = {}

local native, engine = ...
local start, finish, capture, rethrow = native.start, native.finish, engine.capture, engine.rethrow

local function pass(name, began, ok, ...)
  finish(name, began)
  if not ok then rethrow((...)) end
  return ...
end

---Runs `body` and counts its duration under `name`. Results and errors pass through; a group that raised is measured too.
return setmetatable(group, {
  __call = function(_, name, body, ...)
    if type(name) ~= "string" or name == "" then error("group: the name must be a text", 2) end
    if type(body) ~= "function" then error("group: a function is needed, not a " .. type(body), 2) end
    engine.must_run("group()", 2)
    return pass(name, start(), xpcall(body, capture, ...))
  end,
})
