---@meta env

---Settings for scripts: `env("CURRENCY", "EUR")` answers what `--set CURRENCY=...` or the environment of the master says.
---
---Ask at the top of the script: what the master answered there travels to every worker. In a run, a name that was never asked there raises.
---The program's own secrets are never answered.
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
    local value, is_known = native.get(name)
    if not is_known then
      error("env: `" .. name .. "` was not asked for while the script was loaded: write `local value = env(\"" .. name .. "\")` at its top", 2)
    end
    if value == nil then return default end
    return value
  end,
})
