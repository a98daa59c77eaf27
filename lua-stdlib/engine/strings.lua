---The `string` library of scripts. Private: no script can require it.
---
---LuaJIT's own functions are C, and C cannot be interrupted. So each is bounded here: long texts go in pieces, between which the watchdog can strike, and
---what would take too long or grow too large is refused in words. Gives the library.
local native = ...

local error, select, tonumber, tostring, type = error, select, tonumber, tostring, type
local string, concat, ceil, max = string, table.concat, math.ceil, math.max
local gsub, rep, sub, format, has = string.gsub, string.rep, string.sub, string.format, string.find
local judge, find_plain = native.judge_pattern, native.find_plain

local LONGEST_RESULT = 64 * 1024 * 1024
local LONGEST_PATTERN = 16 * 1024
local PIECE = 1024 * 1024
local LONGEST_SEARCH = 1e7 -- steps of a search that is let loose without a look
local PATTERNS_KNOWN = 1000

local strings = {}
for name in ("byte char len sub"):gmatch("%S+") do strings[name] = string[name] end

local function in_pieces(name, is_backwards)
  local original = string[name]
  strings[name] = function(text)
    if type(text) ~= "string" or #text <= PIECE then return original(text) end
    local parts, count = {}, ceil(#text / PIECE)
    for piece = 1, count do
      local place = is_backwards and count + 1 - piece or piece
      parts[place] = original(sub(text, (piece - 1) * PIECE + 1, piece * PIECE))
    end
    return concat(parts)
  end
end

in_pieces("lower")
in_pieces("upper")
in_pieces("reverse", true)

function strings.rep(text, count, separator)
  count = tonumber(count) or count
  if type(count) == "number" and count > 0 then
    local length = #tostring(text) + (separator and #tostring(separator) or 0)
    if length * count > LONGEST_RESULT then error("string.rep: the result would be longer than 64 MiB", 2) end
  end
  return rep(text, count, separator)
end

function strings.format(pattern, ...)
  local length = type(pattern) == "string" and #pattern or 0
  for position = 1, select("#", ...) do
    local value = select(position, ...)
    if type(value) == "string" then length = length + #value end
  end
  if length > LONGEST_RESULT then error("string.format: the result would be longer than 64 MiB", 2) end
  return format(pattern, ...)
end

-- A pattern backtracks. For each pattern the longest text on which it cannot take long, from its length and the number of its repetitions; on a longer
-- one its steps are counted before it is let loose. The second value tells that it is a plain text.
local shortest_risk, plain_ones, patterns_known = {}, {}, 0

local function learn(pattern)
  if #pattern > LONGEST_PATTERN then return -1 end
  local _, repeats = gsub(pattern, "[*+-]", "")
  local _, options = gsub(pattern, "%?", "")
  local _, balanced = gsub(pattern, "%%b", "")
  local longest = (LONGEST_SEARCH / 2 ^ options / max(1, #pattern)) ^ (1 / (repeats + balanced + 1))
  if patterns_known >= PATTERNS_KNOWN then shortest_risk, plain_ones, patterns_known = {}, {}, 0 end
  shortest_risk[pattern], patterns_known = longest, patterns_known + 1
  plain_ones[pattern] = not has(pattern, "[%^%$%*%+%?%.%(%[%%%-]")
  return longest
end

local VERDICTS = {
  [1] = ': the pattern takes too long on a text of %d bytes: anchor it, use find(text, what, 1, true), or require "regex"',
  [2] = ": the result would be longer than 64 MiB",
}

local function refuse(name, verdict, text, pattern)
  if #pattern > LONGEST_PATTERN then error("string." .. name .. ": a pattern may have at most 16 KiB; find(text, what, 1, true) takes any text", 3) end
  error("string." .. name .. format(VERDICTS[verdict], #text), 3)
end

function strings.find(text, pattern, start, is_plain)
  if type(text) == "string" and type(pattern) == "string" and #text > (shortest_risk[pattern] or learn(pattern)) then
    local from = tonumber(start) or 1
    if is_plain or plain_ones[pattern] then
      if #text * #pattern > LONGEST_SEARCH then return find_plain(text, pattern, from) end
    else
      local verdict = #pattern > LONGEST_PATTERN and 1 or judge(text, pattern, "find", from)
      if verdict > 0 then refuse("find", verdict, text, pattern) end
    end
  end
  return string.find(text, pattern, start, is_plain)
end

local function bounded(name, takes_start, takes_text)
  local original = string[name]
  strings[name] = function(text, pattern, third, fourth)
    if type(text) == "string" and type(pattern) == "string" then
      local grows = takes_text and (type(third) == "string" or type(third) == "number") and tostring(third) or nil
      if #text > (shortest_risk[pattern] or learn(pattern)) or (grows and (#text + 1) * (#grows + 1) > LONGEST_RESULT) then
        local from = takes_start and tonumber(third) or 1
        local verdict = #pattern > LONGEST_PATTERN and 1 or judge(text, pattern, name, from, grows)
        if verdict > 0 then refuse(name, verdict, text, pattern) end
      end
    end
    return original(text, pattern, third, fourth)
  end
end

bounded("match", true)
bounded("gmatch")
bounded("gsub", false, true)

return strings
