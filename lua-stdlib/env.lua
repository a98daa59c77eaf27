---@meta env

---Settings for scripts: `env("CURRENCY", "EUR")` answers what `--set CURRENCY=...` or the environment of the master says.
---
---Ask at the top of the script: what the master answered there travels to every worker. A name that was never asked there gives the
---default in a run, whatever the environment says. The program's own secrets are never answered.
---@class envlib
---@overload fun(name: string): string?
---@overload fun<T>(name: string, default: T): string|T
local env = {}

local native = ...

local error, setmetatable, type = error, setmetatable, type

return setmetatable(env, {
  __call = function(_, name, default)
    if type(name) ~= "string" or name == "" then
      error("env: the name must be a string that is not empty, got " .. type(name), 2)
    end
    local value = native.get(name)
    if value == nil then return default end
    return value
  end,
})
