---@meta data

---Rows of files that lie beside the script, or in the folder of `--data`: accounts, products, search words. A file is read once, at the top of the
---script, and is in memory once for all lanes and users of a worker. Workers whose file is another one than the master's are named, as with scripts.
---
---    local data = require "data"
---    local accounts = data.csv("accounts.csv")            -- user,password
---    function Shopper:on_start()
---      local account = accounts:of(self)                   -- nobody else in the whole cluster has it
---      http.post("/login", { form = { user = account.user, password = account.password } })
---    end
---
---Fields stay texts: the id "007" is "007"; a whole number of JSON beyond 2^53 arrives as a text with all its digits. A file of 16 GiB at most.
---@class datalib
local data = {}

local native, engine = ...

local error, rawget, setmetatable, tostring, type = error, rawget, setmetatable, tostring, type

---@class data.Rows
---@field [integer] any  a row by its position, from 1; nil beyond the last. `#rows` is how many there are; `ipairs(rows)` goes through them
local Rows = {}

local STOP = engine.operation.stop
local ROWS = engine.operation.rows
local NAMES = { "cycle", "of", "random", "take" }

-- What is private to a table of rows, by the table: scripts see rows and methods alone.
local inner = setmetatable({}, { __mode = "k" })
-- Where each user stands in its own round.
local rounds = setmetatable({}, { __mode = "k" })

local function each(own, position)
  if position < own.count then return position + 1, (native.row(own.handle, position)) end
end

local Class = {
  __metatable = false,
  __index = function(rows, key)
    if Rows[key] then return Rows[key] end
    local own = inner[rows]
    if type(key) == "number" then
      if key % 1 ~= 0 or key < 1 or key > own.count then return nil end
      return native.row(own.handle, key - 1)
    end
    local near = engine.nearest(key, NAMES)
    error("rows have no `" .. tostring(key) .. "`" .. (near and (", did you mean `" .. near .. "`?") or ": they have cycle, of, random, take, positions and #rows"), 2)
  end,
  __len = function(rows) return inner[rows].count end,
  __ipairs = function(rows) return each, inner[rows], 0 end,
  __pairs = function(rows) return each, inner[rows], 0 end,
  __newindex = function() error("rows are read-only: copy what you change", 2) end,
}

local function own_of(rows, name)
  local own = type(rows) == "table" and inner[rows]
  if not own then error("rows:" .. name .. ": call it with a colon, on rows", 3) end
  return own
end

---The index of the user that runs, which is the one that was given.
local function user_of(user, name)
  if type(user) ~= "table" or type(rawget(user, "index")) ~= "number" then
    error("rows:" .. name .. ": give it the user, as in rows:" .. name .. "(self); got " .. type(user), 3)
  end
  engine.must_run("rows:" .. name .. "()", 3)
  return native.user()
end

local function words_of(count)
  return count == 1 and "1 row" or count .. " rows"
end

local function must_have_rows(own, name)
  if own.count == 0 then error("rows:" .. name .. ": `" .. own.name .. "` has no rows", 3) end
end

---The row of this user, nobody else's in the whole cluster: the first user has the first row. It is the same at each call, wherever the user runs. Beyond
---the last row, `at_end` says what happens.
---@param user table  `self`
---@return any row
function Rows:of(user)
  local own = own_of(self, "of")
  local index = user_of(user, "of")
  must_have_rows(own, "of")
  if index >= own.count then
    if own.at_end == "cycle" then
      index = index % own.count
    elseif own.at_end == "stop" then
      local _ = engine.call(STOP)
    else
      error("rows:of: `" .. own.name .. "` has " .. words_of(own.count) .. ", and this is user number " .. (index + 1) ..
        ': give it more rows, or open it with at_end = "cycle" (rows are used again) or "stop" (users without a row end)', 2)
    end
  end
  return (native.row(own.handle, index))
end

---A fresh row at each call: no row is taken twice in the whole cluster, whichever user takes it, and all are taken in the end. Workers get blocks of them from
---the master, so that rows come in the order of the file about. A worker that is killed takes what it had not used of its last block with it, a sixty-fourth of
---the file at most; the log and the report name these rows. While the master is away, users wait here once their worker's block is used up. After a master's
---restart it goes on where it was, if there is a journal (`--state DIR`); without one nobody knows which rows were taken, and this raises. After the last row
---`at_end` says what happens.
---@param user table  `self`
---@return any row
function Rows:take(user)
  local own = own_of(self, "take")
  local _ = user_of(user, "take")
  must_have_rows(own, "take")
  while true do
    local at, what = native.take(own.name, own.at_end ~= "cycle" and own.count or nil)
    if at then return (native.row(own.handle, at % own.count)) end
    if what == "wait" then
      local _ = engine.call(ROWS)
    elseif what == "unknown" then
      error("rows:take: nobody knows which rows of `" .. own.name .. "` were taken: the master that gave them out is gone, and kept no journal (--state DIR)", 2)
    elseif own.at_end == "stop" then
      local _ = engine.call(STOP)
    else
      error("rows:take: all " .. words_of(own.count) .. " of `" .. own.name ..
        '` are taken: give it more rows, or open it with at_end = "cycle" (rows are used again) or "stop" (users end)', 2)
    end
  end
end

---The next row of this user's own round: it begins at the row of its index, and after the last row comes the first.
---@param user table  `self`
---@return any row
function Rows:cycle(user)
  local own = own_of(self, "cycle")
  local index = user_of(user, "cycle")
  must_have_rows(own, "cycle")
  local of_user = rounds[user]
  if not of_user then
    of_user = setmetatable({}, { __mode = "k" })
    rounds[user] = of_user
  end
  local at = of_user[self] or index % own.count
  of_user[self] = (at + 1) % own.count
  return (native.row(own.handle, at))
end

---Any row, each as likely as any other, from the user's seeded generator.
---@return any row
function Rows:random()
  local own = own_of(self, "random")
  engine.must_run("rows:random()", 2)
  must_have_rows(own, "random")
  local at, why = native.below(own.count)
  if not at then error(why, 2) end
  return (native.row(own.handle, at))
end

---@class data.Options
---@field at_end? "error"|"cycle"|"stop"  what `of` and `take` do beyond the last row: raise (the default), use rows again, end the user (its iteration counts as interrupted)

---@class data.CsvOptions: data.Options
---@field header? boolean|string[]  the first line names the columns (true, the default), there is none and rows are lists (false), or the names
---@field delimiter? string         one character; if left out the first line shows it: a comma, else a semicolon, a tab or a bar
---@field quote? string|false       one character, `"` if left out; false: quotes are characters as all others

local function open(name, kind, file, options, known)
  if type(file) ~= "string" or file == "" then error("data." .. name .. ": the file's name must be a string, got " .. (file == "" and "an empty one" or type(file)), 3) end
  if options == nil then options = {} end
  if type(options) ~= "table" then error("data." .. name .. ": the options must be a table, got " .. type(options), 3) end
  engine.check_keys(options, known, "data." .. name, 3)
  local at_end = options.at_end
  if at_end ~= nil and at_end ~= "error" and at_end ~= "cycle" and at_end ~= "stop" then
    error("data." .. name .. ': `at_end` must be "error", "cycle" or "stop", got ' .. (type(at_end) == "string" and "`" .. at_end .. "`" or type(at_end)), 3)
  end
  local handle, count = native.open(file, kind, options)
  if not handle then error("data." .. name .. ": " .. count, 3) end
  local rows = setmetatable({}, Class)
  inner[rows] = { handle = handle, count = count, name = file, at_end = at_end or "error" }
  return rows
end

---The rows of a CSV file: tables with a text for each column, `data.csv("accounts.csv")[1].user`; lists where it has no header. Quotes, line ends of all
---kinds, a byte order mark and empty lines are understood; a row with too few or too many fields is an error that names the line.
---@param file string
---@param options? data.CsvOptions
---@return data.Rows
function data.csv(file, options)
  local rows = open("csv", "csv", file, options, { "at_end", "delimiter", "header", "quote" })
  return rows
end

---The elements of a file that is one JSON array: `data.json("products.json"):random().id`.
---@param file string
---@param options? data.Options
---@return data.Rows
function data.json(file, options)
  local rows = open("json", "json", file, options, { "at_end" })
  return rows
end

---The values of a file with a JSON value on each line: `data.jsonl("orders.jsonl"):of(self)`.
---@param file string
---@param options? data.Options
---@return data.Rows
function data.jsonl(file, options)
  local rows = open("jsonl", "jsonl", file, options, { "at_end" })
  return rows
end

---The lines of a text file that are not empty: `data.lines("words.txt"):random()`.
---@param file string
---@param options? data.Options
---@return data.Rows
function data.lines(file, options)
  local rows = open("lines", "lines", file, options, { "at_end" })
  return rows
end

return data
