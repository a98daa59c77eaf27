---@meta hash

---Digests, and codes that prove who wrote a text. Texts may be any bytes, at most 16 MiB; a number is taken as it prints.
---
---    local hash = require "hash"
---    local signature = hash.hmac("sha256", env("SECRET"), body)
---    http.post("/hook", { body = body, headers = { ["x-signature"] = "sha256=" .. signature } })
---@class hashlib
local hash = {}

local native = ...

local error, tostring, type = error, tostring, type

local LONGEST = 16 * 1024 * 1024

---@alias hash.Format "hex"|"base64"|"base64url"|"raw"  how the bytes are written: lower-case digits, Base64, Base64 for URLs without padding, as they are

local function text_of(name, what, text, level)
  if type(text) ~= "string" and type(text) ~= "number" then
    error("hash." .. name .. ": the " .. what .. " must be a string or a number, got " .. type(text), level)
  end
  text = tostring(text)
  if #text > LONGEST then error("hash." .. name .. ": a text may have at most 16 MiB, this one has " .. #text .. " bytes", level) end
  return text
end

local function format_of(name, format, level)
  if format == nil then return "hex" end
  if type(format) ~= "string" then error("hash." .. name .. ": the format must be a string, got " .. type(format), level) end
  return format
end

local function digest(name, text, format)
  local bytes, why = native.digest(name, text_of(name, "text", text, 4), format_of(name, format, 4))
  if not bytes then error("hash." .. name .. ": " .. why, 3) end
  return bytes
end

---MD5: `hash.md5("abc") == "900150983cd24fb0d6963f7d28e17f72"`.
---@param text string|number
---@param format? hash.Format  "hex" if left out
---@return string
function hash.md5(text, format)
  local bytes = digest("md5", text, format)
  return bytes
end

---SHA-1: `hash.sha1("abc") == "a9993e364706816aba3e25717850c26c9cd0d89d"`.
---@param text string|number
---@param format? hash.Format  "hex" if left out
---@return string
function hash.sha1(text, format)
  local bytes = digest("sha1", text, format)
  return bytes
end

---SHA-224 of the SHA-2 family: `hash.sha224(body, "base64")`.
---@param text string|number
---@param format? hash.Format  "hex" if left out
---@return string
function hash.sha224(text, format)
  local bytes = digest("sha224", text, format)
  return bytes
end

---SHA-256 of the SHA-2 family: `hash.sha256(body)`.
---@param text string|number
---@param format? hash.Format  "hex" if left out
---@return string
function hash.sha256(text, format)
  local bytes = digest("sha256", text, format)
  return bytes
end

---SHA-384 of the SHA-2 family: `"sha384-" .. hash.sha384(body, "base64")` is a subresource integrity.
---@param text string|number
---@param format? hash.Format  "hex" if left out
---@return string
function hash.sha384(text, format)
  local bytes = digest("sha384", text, format)
  return bytes
end

---SHA-512 of the SHA-2 family: `hash.sha512(body)`.
---@param text string|number
---@param format? hash.Format  "hex" if left out
---@return string
function hash.sha512(text, format)
  local bytes = digest("sha512", text, format)
  return bytes
end

---The HMAC (RFC 2104) of a text under a key: `hash.hmac("sha256", key, text)`.
---@param algorithm "md5"|"sha1"|"sha224"|"sha256"|"sha384"|"sha512"
---@param key string|number
---@param text string|number
---@param format? hash.Format  "hex" if left out
---@return string
function hash.hmac(algorithm, key, text, format)
  if type(algorithm) ~= "string" then error("hash.hmac: the algorithm must be a string, got " .. type(algorithm), 2) end
  key, text = text_of("hmac", "key", key, 3), text_of("hmac", "text", text, 3)
  local bytes, why = native.hmac(algorithm, key, text, format_of("hmac", format, 3))
  if not bytes then error("hash.hmac: " .. why, 2) end
  return bytes
end

---The bytes of a text as lower-case hexadecimal digits: `hash.hex("JK") == "4a4b"`.
---@param text string|number
---@return string
function hash.hex(text)
  return (native.hex((text_of("hex", "text", text, 3))))
end

---The bytes that hexadecimal digits spell, in either case: `hash.unhex("4A4b") == "JK"`; or nil and what is wrong with them.
---@param text string
---@return string? bytes
---@return string? why
function hash.unhex(text)
  if type(text) ~= "string" then error("hash.unhex: a string is needed, got " .. type(text), 2) end
  local bytes, why = native.unhex((text_of("unhex", "text", text, 3)))
  return bytes, why
end

return hash
