---@meta regex

---Regular expressions in the syntax of Rust's `regex` crate (much like Perl's, without look-around and back-references): they take
---time in proportion to the text, whatever the pattern. Write patterns in long brackets, `[[\d+]]`, so that Lua leaves backslashes alone.
---Texts may be any bytes; a bad pattern raises at the caller's line.
---@class regexlib
local regex = {}

local native = ...

local error, type = error, type

local function check_arguments(name, text, pattern)
  if type(text) ~= "string" then
    error("regex." .. name .. ": the text must be a string, got " .. type(text), 3)
  end
  if type(pattern) ~= "string" then
    error("regex." .. name .. ": the pattern must be a string, got " .. type(pattern), 3)
  end
end

local function offset_of(name, start)
  if start == nil then return 0 end
  if type(start) ~= "number" or start % 1 ~= 0 or start < 1 or start > 2 ^ 53 then
    error("regex." .. name .. ": the start must be a whole number of 1 or more", 3)
  end
  return start - 1
end

---The first and the last position (1-based) of the first match; nil without one.
---@param text string
---@param pattern string
---@param start? integer  where to begin, 1 if left out
---@return integer? first
---@return integer? last
function regex.find(text, pattern, start)
  check_arguments("find", text, pattern)
  local first, last = native.find(text, pattern, offset_of("find", start))
  if first == false then error("regex.find: " .. last, 2) end
  return first, last
end

-- Called in tail position, so that level 2 is the line that called `regex.match`.
local function judged(first, ...)
  if first == false then error("regex.match: " .. (...), 2) end
  return first, ...
end

---The groups of the first match, as several results; the whole match where the pattern has no group; nil without a match.
---@param text string
---@param pattern string
---@return string? ...
function regex.match(text, pattern)
  check_arguments("match", text, pattern)
  return judged(native.match(text, pattern, 0))
end

---All matches, as a list. Its elements are the whole match or its only group; with several groups they are lists, in which a group
---that took no part is `false`.
---@param text string
---@param pattern string
---@return (string|(string|false)[])[]
function regex.matches(text, pattern)
  check_arguments("matches", text, pattern)
  local list, why = native.matches(text, pattern, 0)
  if not list then error("regex.matches: " .. why, 2) end
  return list
end

---The text with its matches replaced, and how many there were. In the replacement `$1` or `${1}` is a group, `$0` the whole, `$$` a dollar;
---put braces where a letter or digit follows.
---@param text string
---@param pattern string
---@param with string
---@param limit? integer  replace at most this many
---@return string
---@return integer count
function regex.replace(text, pattern, with, limit)
  check_arguments("replace", text, pattern)
  if type(with) ~= "string" then
    error("regex.replace: the replacement must be a string, got " .. type(with), 2)
  end
  if limit == nil then
    limit = 0
  elseif type(limit) ~= "number" or limit % 1 ~= 0 or limit < 1 or limit > 2 ^ 53 then
    error("regex.replace: the limit must be a whole number of 1 or more", 2)
  end
  local replaced, count = native.replace(text, pattern, with, limit)
  if not replaced then error("regex.replace: " .. count, 2) end
  return replaced, count
end

return regex
