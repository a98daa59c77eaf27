---@meta uuid

---Unique ids (RFC 9562), drawn from the user's seeded generator: no two of a run are the same, and a run of the same `--seed` draws the same.
---
---    local uuid = require "uuid"
---    http.post("/orders", { json = { id = uuid.v4() }, headers = { ["idempotency-key"] = uuid.v7() } })
---@class uuidlib
local uuid = {}

local native = ...

local error, type = error, type

---A random id (version 4).
---@return string  such as "9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d"
function uuid.v4()
  local id, why = native.v4()
  if not id then error(why, 2) end
  return id
end

---An id that begins with the time in milliseconds (version 7), so that later ones sort behind earlier ones.
---@return string
function uuid.v7()
  local id, why = native.v7()
  if not id then error(why, 2) end
  return id
end

---An id in lower case with hyphens, and its version; or nil and why. Takes upper case, no hyphens, braces and `urn:uuid:` as well.
---@param text string
---@return string? id
---@return integer|string version  or why
function uuid.parse(text)
  if type(text) ~= "string" then error("uuid.parse: a string is needed, got " .. type(text), 2) end
  if #text > 64 then return nil, "it is no UUID" end
  local id, version = native.parse(text)
  return id, version
end

return uuid
