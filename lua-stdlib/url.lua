---@meta url

---URLs: taking them apart and putting them together, as browsers do.
---@class urllib
local url = {}

local native, engine = ...

local error, ipairs, pairs, tostring, type = error, ipairs, pairs, tostring, type
local concat, sort = table.concat, table.sort

local TEXT_MAX, URL_MAX = 16 * 1024 * 1024, 64 * 1024

local function bound(name, text, longest, shown)
  if #text > longest then error("url." .. name .. ": a text may have at most " .. shown .. ", this one has " .. #text .. " bytes", 3) end
end

local function text_of(value)
  value = engine.digits(value)
  local kind = type(value)
  if kind == "string" then return value end
  if kind == "number" or kind == "boolean" then return tostring(value) end
end

---A text as it may stand in any part of a URL: all but letters, digits and `-._~` becomes `%XX`.
---@param text string|number
---@return string
function url.encode(text)
  text = engine.digits(text)
  if type(text) ~= "string" and type(text) ~= "number" then
    error("url.encode: a string or a number is needed, got " .. type(text), 2)
  end
  text = tostring(text)
  bound("encode", text, TEXT_MAX, "16 MiB")
  return native.encode(text)
end

---Resolves `%XX`. A `+` stays a plus; `url.parse_query` takes it as a space.
---@param text string
---@return string
function url.decode(text)
  if type(text) ~= "string" then
    error("url.decode: a string is needed, got " .. type(text), 2)
  end
  bound("decode", text, TEXT_MAX, "16 MiB")
  return native.decode(text)
end

---@class url.Parts
---@field scheme string
---@field user? string
---@field password? string
---@field host? string
---@field port? integer  the scheme's own if none is written
---@field path string
---@field query? string  what stands between `?` and `#`, still encoded
---@field fragment? string

---The parts of an absolute URL; or nil and what is wrong with it.
---@param text string
---@return url.Parts? parts
---@return string? why
function url.parse(text)
  if type(text) ~= "string" then
    error("url.parse: a string is needed, got " .. type(text), 2)
  end
  bound("parse", text, URL_MAX, "64 KiB")
  return native.parse(text)
end

---What a link `reference` on the page `base` leads to; or nil and what is wrong.
---@param base string  an absolute URL
---@param reference string
---@return string? joined
---@return string? why
function url.join(base, reference)
  if type(base) ~= "string" or type(reference) ~= "string" then
    error("url.join: two strings are needed, got " .. type(base) .. " and " .. type(reference), 2)
  end
  bound("join", base, URL_MAX, "64 KiB")
  bound("join", reference, URL_MAX, "64 KiB")
  return native.join(base, reference)
end

---A query string (without `?`) from names and values, in the order of the names. A list gives its name several times.
---@param params table<string, string|number|boolean|(string|number|boolean)[]>
---@return string
function url.query(params)
  if type(params) ~= "table" then
    error("url.query: a table is needed, got " .. type(params), 2)
  end
  local names, parts = {}, {}
  for name in pairs(params) do
    if type(name) ~= "string" then
      error("url.query: the names must be strings, got " .. type(name), 2)
    end
    names[#names + 1] = name
  end
  sort(names)
  for _, name in ipairs(names) do
    local values = params[name]
    if type(values) ~= "table" then values = { values } end
    local count = 0
    for _ in pairs(values) do count = count + 1 end
    if count ~= #values then
      error("url.query: `" .. name .. "` is a table of names; strings, numbers, booleans and lists of them can be sent", 2)
    end
    for _, value in ipairs(values) do
      local text = text_of(value)
      if not text then
        error("url.query: `" .. name .. "` is a " .. type(value) .. "; strings, numbers, booleans and lists of them can be sent", 2)
      end
      bound("query", name, TEXT_MAX, "16 MiB")
      bound("query", text, TEXT_MAX, "16 MiB")
      parts[#parts + 1] = native.encode(name) .. "=" .. native.encode(text)
    end
  end
  return concat(parts, "&")
end

---Names and values of a query string, with or without its `?`. A name that comes several times gives a list.
---@param text string
---@return table<string, string|string[]>
function url.parse_query(text)
  if type(text) ~= "string" then
    error("url.parse_query: a string is needed, got " .. type(text), 2)
  end
  bound("parse_query", text, TEXT_MAX, "16 MiB")
  local params = {}
  for pair in text:gsub("^%?", ""):gmatch("[^&]+") do
    local name, value = pair:match("^([^=]*)=?(.*)$")
    name = native.decode((name:gsub("%+", " ")))
    value = native.decode((value:gsub("%+", " ")))
    local known = params[name]
    if known == nil then
      params[name] = value
    elseif type(known) == "table" then
      known[#known + 1] = value
    else
      params[name] = { known, value }
    end
  end
  return params
end

return url
