---@meta log

---Lines in the program's log. Each names the user that wrote it. A lane (one core) writes at most 100 lines a second; the rest is
---counted and told. At the top of the script only the first evaluation writes.
---@class loglib
local log = {}

local native = ...

local getmetatable, ipairs, next, pairs, select = getmetatable, ipairs, next, pairs, select
local tostring, type = tostring, type
local concat, sort = table.concat, table.sort
local format = string.format

local MEMBERS_MAX, DEPTH_MAX, TEXT_MAX = 20, 3, 200

local show

local function show_list(list, depth)
  local parts = {}
  for position = 1, #list do
    if position > MEMBERS_MAX then
      parts[position] = "..."
      break
    end
    parts[position] = show(list[position], depth + 1)
  end
  return "[" .. concat(parts, ",") .. "]"
end

local function show_members(members, depth)
  local names, parts = {}, {}
  for name in pairs(members) do names[#names + 1] = name end
  sort(names, function(a, b) return tostring(a) < tostring(b) end)
  for position, name in ipairs(names) do
    if position > MEMBERS_MAX then
      parts[position] = "..."
      break
    end
    parts[position] = show(tostring(name), depth + 1) .. ":" .. show(members[name], depth + 1)
  end
  return "{" .. concat(parts, ",") .. "}"
end

function show(value, depth)
  local kind = type(value)
  if kind == "string" then
    if #value > TEXT_MAX then value = value:sub(1, TEXT_MAX) .. "..." end
    return (format("%q", value):gsub("\\\n", "\\n"))
  end
  if kind ~= "table" then return tostring(value) end
  local mark = getmetatable(value)
  if type(mark) == "table" and mark.__tostring then return tostring(value) end
  if next(value) == nil then return mark == "json.list" and "[]" or "{}" end
  if depth >= DEPTH_MAX then return "{...}" end
  if value[1] ~= nil then return show_list(value, depth) end
  return show_members(value, depth)
end

local function write(level, ...)
  if not native.is_heard(level) then return end
  local parts = {}
  for position = 1, select("#", ...) do
    local value = select(position, ...)
    parts[position] = type(value) == "string" and value or show(value, 0)
  end
  native.write(level, concat(parts, " "))
end

---Writes a line that is only wanted when looking for an error.
---@param ... any  shown one after the other; tables are shown short
function log.debug(...) write(4, ...) end

---Writes a line.
---@param ... any  shown one after the other; tables are shown short
function log.info(...) write(3, ...) end

---Writes a line that warns.
---@param ... any  shown one after the other; tables are shown short
function log.warn(...) write(2, ...) end

---Writes a line about an error.
---@param ... any  shown one after the other; tables are shown short
function log.error(...) write(1, ...) end

return log
