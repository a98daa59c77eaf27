---@meta random

---Random numbers of the current user, seeded from (run seed, user index, iteration): a run with the same `--seed` draws the same
---numbers. Not available while the script is loaded.
---@class randomlib
local random = {}

local native = ...

local error, ipairs, pairs, type = error, ipairs, pairs, type
local concat, sort = table.concat, table.sort
local sub, upper = string.sub, string.upper

local WHOLE_MAX = 2 ^ 53
local LENGTH_MAX = 2 ^ 20
local ALPHABET_MAX = 65536
local LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

local function is_whole(value)
  return type(value) == "number" and value % 1 == 0 and value >= -WHOLE_MAX and value <= WHOLE_MAX
end

---A whole number from `lo` to `hi`, both included, each as likely as any other.
---@param lo integer
---@param hi integer  not below `lo`
---@return integer
function random.int(lo, hi)
  if not is_whole(lo) or not is_whole(hi) then
    error("random.int: the limits must be whole numbers, at most 2^53", 2)
  end
  if lo > hi then
    error("random.int: " .. lo .. " is greater than " .. hi, 2)
  end
  local number, why = native.int(lo, hi)
  if not number then error(why, 2) end
  return number
end

---A number from `lo` (included) to `hi` (not included); from 0 to 1 without arguments.
---@param lo? number  0 if left out
---@param hi? number  1 if left out
---@return number
function random.number(lo, hi)
  lo, hi = lo == nil and 0 or lo, hi == nil and 1 or hi
  if type(lo) ~= "number" or type(hi) ~= "number" or not (lo <= hi and hi - lo < 1 / 0) then
    error("random.number: two finite numbers are needed, the lower first", 2)
  end
  local unit, why = native.unit()
  if not unit then error(why, 2) end
  local number = lo + unit * (hi - lo)
  -- Rounding may reach the upper limit, which is not part of the range.
  if number >= hi and lo < hi then return lo end
  return number
end

---One element of a list, each as likely as any other.
---@generic T
---@param list T[]  at least one element
---@return T
function random.choice(list)
  if type(list) ~= "table" then
    error("random.choice: a list is needed, got " .. type(list), 2)
  end
  local count = #list
  if count == 0 then
    error("random.choice: the list is empty", 2)
  end
  local at, why = native.int(1, count)
  if not at then error(why, 2) end
  return list[at]
end

local function by_kind_then_value(a, b)
  local kind_a, kind_b = type(a), type(b)
  if kind_a ~= kind_b then return kind_a < kind_b end
  return a < b
end

---Values and weights as two lists, in an order that is the same in every VM; or nil and why.
local function entries_of(choices)
  local values, weights, count = {}, {}, 0
  if type(choices[1]) == "table" then
    for position, choice in ipairs(choices) do
      if type(choice) ~= "table" then
        return nil, "element " .. position .. " must be { value, weight }"
      end
      count = count + 1
      if choice.weight ~= nil then
        values[count], weights[count] = choice.value, choice.weight
      else
        values[count], weights[count] = choice[1], choice[2]
      end
    end
    return values, weights, count
  end
  for value in pairs(choices) do
    if type(value) ~= "string" and type(value) ~= "number" then
      return nil, "the keys must be strings or numbers; write { { value, weight }, ... } for other values"
    end
    count = count + 1
    values[count] = value
  end
  sort(values, by_kind_then_value)
  for position = 1, count do weights[position] = choices[values[position]] end
  return values, weights, count
end

---One value, as often as its weight says: `random.weighted { browse = 3, buy = 1 }`, or `random.weighted { { item, 3 }, { other, 1 } }`.
---@param choices table<string|number, number>|table[]  weights of 0 or more
---@return any
function random.weighted(choices)
  if type(choices) ~= "table" then
    error("random.weighted: a table of weights is needed, got " .. type(choices), 2)
  end
  local values, weights, count = entries_of(choices)
  if not values then error("random.weighted: " .. weights, 2) end
  local sum = 0
  for position = 1, count do
    local weight = weights[position]
    if type(weight) ~= "number" or not (weight >= 0 and weight < 1 / 0) then
      error("random.weighted: a weight must be a number of 0 or more", 2)
    end
    sum = sum + weight
  end
  if sum == 0 then
    error("random.weighted: the weights add up to 0", 2)
  end
  local unit, why = native.unit()
  if not unit then error(why, 2) end
  local left, last = unit * sum, nil
  for position = 1, count do
    local weight = weights[position]
    if weight > 0 then
      last = position
      if left < weight then break end
      left = left - weight
    end
  end
  return values[last]
end

---A string of random letters and digits, or of characters of `alphabet`.
---@param length integer  characters, at most 1048576
---@param alphabet? string  UTF-8; each of its characters is as likely as any other
---@return string
function random.string(length, alphabet)
  if not is_whole(length) or length < 0 or length > LENGTH_MAX then
    error("random.string: the length must be a whole number from 0 to " .. LENGTH_MAX, 2)
  end
  if alphabet == nil then
    alphabet = LETTERS
  elseif type(alphabet) ~= "string" then
    error("random.string: the alphabet must be a string, got " .. type(alphabet), 2)
  elseif alphabet == "" then
    error("random.string: the alphabet is empty", 2)
  end
  if #alphabet > ALPHABET_MAX then error("random.string: the alphabet may have at most " .. ALPHABET_MAX .. " bytes", 2) end
  local text, why = native.text(length, alphabet)
  if not text then error(why, 2) end
  return text
end

local function made_up(what)
  local text, why = native.made_up(what)
  if not text then error(why, 3) end
  return text
end

---A first name: "Ada".
---@return string
function random.first_name()
  local text = made_up("first_name")
  return text
end

---A last name: "Lovelace".
---@return string
function random.last_name()
  local text = made_up("last_name")
  return text
end

---A first and a last name: "Ada Lovelace".
---@return string
function random.name()
  local text = made_up("name")
  return text
end

---An address of mail at a host that is kept for examples, so that nobody gets it: "ada.lovelace.0c3e81f2@example.org". Hardly two of a run are alike.
---@return string
function random.email()
  local text = made_up("email")
  return text
end

---A phone number that nobody has: "+1-206-555-0142".
---@return string
function random.phone()
  local text = made_up("phone")
  return text
end

---@class random.Address
---@field street string    "17 Hopper Lane"
---@field city string
---@field postcode string  five digits
---@field country string

---A postal address; its parts do not belong together.
---@return random.Address
function random.address()
  return { street = made_up("street"), city = made_up("city"), postcode = made_up("postcode"), country = made_up("country") }
end

---A word: "lantern".
---@return string
function random.word()
  local text = made_up("word")
  return text
end

local WORDS_MAX = 10000

local function words(name, count, least)
  if not is_whole(count) or count < least or count > WORDS_MAX then
    error("random." .. name .. ": the number of words must be a whole number from " .. least .. " to " .. WORDS_MAX, 3)
  end
  local list = {}
  for at = 1, count do
    local word, why = native.made_up("word")
    if not word then error(why, 3) end
    list[at] = word
  end
  return concat(list, " ")
end

---So many words, with spaces between: `random.words(3)` gives "moss lantern tide".
---@param count integer  at most 10000
---@return string
function random.words(count)
  local text = words("words", count, 0)
  return text
end

---Words with a capital letter and a full stop: "Moss lantern tide."
---@param count? integer  words, from 1 to 10000; 4 to 12 if left out
---@return string
function random.sentence(count)
  if count == nil then
    local why
    count, why = native.int(4, 12)
    if not count then error(why, 2) end
  end
  local text = words("sentence", count, 1)
  return upper(sub(text, 1, 1)) .. sub(text, 2) .. "."
end

return random
