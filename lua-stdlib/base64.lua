---@meta base64

---Base64 (RFC 4648). Texts may be any bytes, at most 16 MiB.
---
---    local base64 = require "base64"
---    http.get("/me", { headers = { authorization = "Basic " .. base64.encode("user:password") } })
---@class base64lib
local base64 = {}

local native, engine = ...

local error, tostring, type = error, tostring, type

local LONGEST = 16 * 1024 * 1024

local function option(options, name, key, default)
  if options == nil then return default end
  local value = options[key]
  if value == nil then return default end
  if type(value) ~= "boolean" then error("base64." .. name .. ": `" .. key .. "` must be true or false, got " .. type(value), 3) end
  return value
end

local function check_options(options, name, known)
  if options == nil then return end
  if type(options) ~= "table" then error("base64." .. name .. ": the options must be a table, got " .. type(options), 3) end
  engine.check_keys(options, known, "base64." .. name, 3)
end

---@class base64.EncodeOptions
---@field url? boolean      the alphabet for URLs and file names (`-` and `_`); false if left out
---@field padding? boolean  `=` at the end; if left out, true for the plain alphabet and false for that of URLs

---The Base64 text of a text: `base64.encode("fo") == "Zm8="`, `base64.encode("fo", { url = true }) == "Zm8"`.
---@param text string|number
---@param options? base64.EncodeOptions
---@return string
function base64.encode(text, options)
  if type(text) ~= "string" and type(text) ~= "number" then error("base64.encode: a string or a number is needed, got " .. type(text), 2) end
  check_options(options, "encode", { "url", "padding" })
  text = tostring(text)
  if #text > LONGEST then error("base64.encode: a text may have at most 16 MiB, this one has " .. #text .. " bytes", 2) end
  local is_url = option(options, "encode", "url", false)
  return (native.encode(text, is_url, option(options, "encode", "padding", not is_url)))
end

---@class base64.DecodeOptions
---@field url? boolean  the alphabet for URLs and file names; false if left out

---The text of a Base64 text, padded or not; or nil and what is wrong with it.
---@param text string
---@param options? base64.DecodeOptions
---@return string? decoded
---@return string? why
function base64.decode(text, options)
  if type(text) ~= "string" then error("base64.decode: a string is needed, got " .. type(text), 2) end
  check_options(options, "decode", { "url" })
  if #text > LONGEST then error("base64.decode: a text may have at most 16 MiB, this one has " .. #text .. " bytes", 2) end
  local decoded, why = native.decode(text, option(options, "decode", "url", false))
  return decoded, why
end

return base64
