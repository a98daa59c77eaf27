---@meta json

---JSON (RFC 8259), strict both ways.
---
---A JSON `null` becomes `json.null`, because a Lua table cannot hold nil. It counts as true in a condition: compare with `== json.null`.
---@class jsonlib
---@field null lightuserdata  stands for JSON's `null`, both ways
local json = {}

local native = ...

local error, getmetatable, pairs, setmetatable, tostring, type = error, getmetatable, pairs, setmetatable, tostring, type
local native_decode, native_encode, list_mark = native.decode, native.encode, native.list_mark

json.null = native.null

---@class json.EncodeOptions
---@field indent? integer  spaces a level, 0 (all on one line) to 8

---@class json.DecodeOptions
---@field big_integers? "number"|"string"  how integers beyond 2^53 arrive: rounded to a number (the default), or with all digits in a string

local function checked(options, name, known)
  if type(options) ~= "table" then
    error("json." .. name .. ": the options must be a table, got " .. type(options), 3)
  end
  for key in pairs(options) do
    if key ~= known then
      error("json." .. name .. ": unknown option `" .. tostring(key) .. "`; there is `" .. known .. "`", 3)
    end
  end
  return options[known]
end

---The JSON text of a value. Keys are sorted, so the same value always gives the same text. An empty table is written `{}`: mark
---lists that may be empty with `json.list`. Raises for what JSON cannot hold: functions, NaN, lists with holes, cycles.
---@param value any
---@param options? json.EncodeOptions
---@return string
function json.encode(value, options)
  local indent = 0
  if options ~= nil then
    indent = checked(options, "encode", "indent")
    if indent == nil then indent = 0 end
    if type(indent) ~= "number" or indent % 1 ~= 0 or indent < 0 or indent > 8 then
      error("json.encode: `indent` must be a whole number from 0 to 8", 2)
    end
  end
  local text, why = native_encode(indent, value)
  if not text then error("json.encode: " .. why, 2) end
  return text
end

---The value of a JSON text; or nil and what is wrong with it, with line and column.
---@param text string
---@param options? json.DecodeOptions
---@return any value
---@return string? why
function json.decode(text, options)
  if type(text) ~= "string" then
    error("json.decode: a string is needed, got " .. type(text), 2)
  end
  local big_as_strings = false
  if options ~= nil then
    local choice = checked(options, "decode", "big_integers")
    if choice ~= nil and choice ~= "number" and choice ~= "string" then
      error('json.decode: `big_integers` must be "number" or "string"', 2)
    end
    big_as_strings = choice == "string"
  end
  return native_decode(text, big_as_strings)
end

---Marks a table as a list, so that it is written `[]` even when it is empty.
---@generic T: table
---@param elements? T  a new table if left out
---@return T
function json.list(elements)
  if elements == nil then
    elements = {}
  elseif type(elements) ~= "table" then
    error("json.list: a table is needed, got " .. type(elements), 2)
  end
  local mark = getmetatable(elements)
  if mark ~= nil and mark ~= "json.list" then
    error("json.list: this table has a metatable of its own", 2)
  end
  if mark == nil then setmetatable(elements, list_mark) end
  return elements
end

return json
