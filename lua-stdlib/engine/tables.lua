---The `table` library of scripts, and the guard of tables that no script may change. Private: no script can require it.
---
---A C function cannot be interrupted, so what goes over a whole list does so in Lua, where the watchdog can strike; and every function that writes looks
---first whether the table is one that all users see. Gives the library and the set of locked tables.
local native, engine = ...

local error, floor, pcall, rawset, select, type, xpcall = error, math.floor, pcall, rawset, select, type, xpcall
local string_match, table = string.match, table
local concat, insert, move, remove = table.concat, table.insert, table.move, table.remove

local PIECE = 10000 -- elements

-- Tables that the script cannot change: writers ask this set, since a locked table is empty and its metamethods see plain assignments only.
local locked = setmetatable({}, { __mode = "k" })

local tables = {}
for name in ("maxn pack unpack"):gmatch("%S+") do tables[name] = table[name] end

local function guard(name, target)
  if locked[target] then error("table." .. name .. ": this table is read-only", 3) end
end

function tables.insert(target, ...)
  guard("insert", target)
  if select("#", ...) == 2 then
    local position, value = ...
    if type(target) == "table" and type(position) == "number" then
      if position < 1 then error("table.insert: the position must be 1 or more, not " .. position, 2) end
      local length = #target
      if length - position > PIECE then
        position = floor(position)
        move(target, position, length, position + 1)
        target[position] = value
        return
      end
    end
  end
  return insert(target, ...)
end

function tables.remove(target, position)
  guard("remove", target)
  return remove(target, position)
end

function tables.move(from, first, last, to, target)
  guard("move", target == nil and from or target)
  return move(from, first, last, to, target)
end

function tables.concat(list, separator, first, last)
  if type(list) == "table" then
    local from, to = first or 1, last or #list
    if type(from) == "number" and type(to) == "number" and to - from > PIECE then
      local parts = {}
      for start = from, to, PIECE do
        local stop = start + PIECE - 1
        local ok, part = pcall(concat, list, separator, start, stop < to and stop or to)
        if not ok then error(part, 2) end
        parts[#parts + 1] = part
      end
      return tables.concat(parts, separator)
    end
  end
  return concat(list, separator, first, last)
end

local INVALID = "invalid order function for sorting"

-- Quicksort as in Lua's own `table.sort`, so that the same function gives the same order.
local function sort_between(list, low, high, before)
  while low < high do
    if before(list[high], list[low]) then list[low], list[high] = list[high], list[low] end
    if high - low == 1 then return end
    local middle = floor((low + high) / 2)
    if before(list[middle], list[low]) then
      list[middle], list[low] = list[low], list[middle]
    elseif before(list[high], list[middle]) then
      list[middle], list[high] = list[high], list[middle]
    end
    if high - low == 2 then return end
    local pivot = list[middle]
    list[middle], list[high - 1] = list[high - 1], pivot
    local i, j = low, high - 1
    while true do
      i = i + 1
      while before(list[i], pivot) do
        if i >= high then error(INVALID, 0) end
        i = i + 1
      end
      j = j - 1
      while before(pivot, list[j]) do
        if j <= low then error(INVALID, 0) end
        j = j - 1
      end
      if j < i then break end
      list[i], list[j] = list[j], list[i]
    end
    list[high - 1], list[i] = list[i], list[high - 1]
    if i - low < high - i then
      sort_between(list, low, i - 1, before)
      low = i + 1
    else
      sort_between(list, i + 1, high, before)
      high = i - 1
    end
  end
end

local function is_less(a, b) return a < b end

local function sorted(list, before)
  local ok, problem = xpcall(sort_between, engine.capture, list, 1, #list, before or is_less)
  if ok then return end
  -- A comparison of ours that failed is the caller's mistake.
  local own = type(problem) == "string" and (string_match(problem, "^%[lunamoth [^%]]*%]:%d+: (.*)") or problem == INVALID and problem)
  if own then return own end
  engine.rethrow(problem)
end

function tables.sort(list, before)
  if type(list) ~= "table" then error("bad argument #1 to 'sort' (table expected, got " .. type(list) .. ")", 2) end
  if before ~= nil and type(before) ~= "function" then error("bad argument #2 to 'sort' (function expected, got " .. type(before) .. ")", 2) end
  guard("sort", list)
  -- Behind a C call, as in Lua's own: a request in the middle of a sort would leave the list half sorted for others to see.
  local mistake
  if before then mistake = native.call(sorted, list, before) else mistake = sorted(list) end
  if mistake then error(mistake, 2) end
end

function engine.rawset(target, key, value)
  if locked[target] then error("rawset: this table is read-only", 2) end
  return rawset(target, key, value)
end

return tables, locked
