---@meta scenario
---What shall run: user classes, their tasks, the load. `local scenario = require "scenario"`
---@class scenariolib
---@overload fun(options: ScenarioOptions): Scenario
local scenario = {}

local native, engine = ...
local check_keys, seconds = engine.check_keys, engine.seconds
local call, operation, int = engine.call, engine.operation, native.int

---@class ScenarioOptions
---@field host string?                         the base URL that relative URLs are joined to; `-H` overrides it, and not those of classes
---@field users UserClass[]                    at least one class
---@field load LoadProfile|table<string, LoadProfile>|nil  such as `scenario.ramp { ... }`, or several by name, side by side: `{ browse = scenario.ramp { ... }, buy = scenario.arrivals { ... } }`; `-u -r -t` replace all of them, `--only` runs some
---@field thresholds table<string, string|string[]>?  what the run must fulfil, by metric
---@field warmup number|string|nil              `"30s"`: what is measured in this time at the start of the run is shown apart and judged by nothing; whole seconds; `--warmup` overrides it
---@field setup (fun(): any)?                 runs once in the whole cluster, before the first user; what it returns is `scenario.data()` for all of them. Its requests stand apart and are in no total
---@field setup_timeout number|string|nil      how long it may take, 60 s by default; one that raises or takes longer ends the run
---@field teardown (fun(data: any))?           runs once, after the last user
---@field teardown_timeout number|string|nil   how long it may take, 60 s by default
---@field hosts table<string, string>?         names and their addresses, as curl's `--resolve`: `["shop.test"] = "127.0.0.1"`, `["shop.test:8443"] = "127.0.0.1:9443"`, `["*.test"] = "::1"`
---@field tls { cert: string, key: string }?   PEM files of a client certificate and its key
---@field http ScenarioHttp?                  which connections requests have
local SCENARIO_KEYS = { "host", "users", "load", "thresholds", "warmup", "setup", "setup_timeout", "teardown", "teardown_timeout", "hosts", "tls", "http" }

---What all requests obey, unless `http.defaults`, `http.client` or the request says otherwise: `http = { version = "2", max_connections = 6 }`.
---@class ScenarioHttp
---@field version "1.1"|"2"|number|nil               what is spoken; by default HTTP/2 where a server offers it over TLS, else HTTP/1.1
---@field keepalive boolean?                         false: a connection of its own for each request
---@field max_connections integer?                   HTTP/1.1 connections of one user to one host at a time, 6 by default; further requests wait in line
---@field connection_max_age number|string|false|nil  a connection that has been open for so long takes no further request: seconds, or a text such as "30s"
---@field connection_max_requests integer|false|nil  so many requests and a connection takes no further one
local HTTP_KEYS = { "version", "keepalive", "max_connections", "connection_max_age", "connection_max_requests" }

---@class UserOptions
---@field name string?     unique in the scenario; the script's name by default
---@field weight integer?  its share of the users, 1 by default
---@field count integer?   a fixed number of users instead of a share
---@field host string?     the base URL of this class; `-H` does not override it, and a warning says so
---@field wait Wait?       how long a user thinks between two iterations; not at all by default
---@field tags string[]?   of all its tasks
local USER_KEYS = { "name", "weight", "count", "host", "wait", "tags", "on_start", "on_stop" }

---@class TaskOptions
---@field weight integer?  how often it is chosen, 1 by default
---@field tags string[]?   for -T and -E
local TASK_KEYS = { "weight", "tags" }

---@class User
---@field index integer      the global index, 0-based
---@field number integer     index + 1
---@field iteration integer  counts from 1
---@field profile string?    the name of its load profile, where that has one

---@class Scenario
---What every load profile takes besides its own: `scenario.ramp { { users = 5 }, { hold = "1m" }, classes = { Shopper }, start = "30s" }`.
---@class LoadProfile
---@field name string?        where it stands alone or in a list; in a table of several it is the key
---@field classes UserClass[]?  which user classes it has, all by default
---@field start number|string|nil  when it begins, counted from the start of the run; at once by default
---@field tags table<string, string>?  what all requests of its users bear, besides its name, for thresholds and tables
local PROFILE_KEYS = { "name", "classes", "start", "tags" }

---@class TaskSet

local classes = setmetatable({}, { __mode = "k" })
local sets = setmetatable({}, { __mode = "k" })
local profiles = setmetatable({}, { __mode = "k" })
local scenarios = setmetatable({}, { __mode = "k" })

local function whole(value, what, level)
  if type(value) ~= "number" or value < 1 or value % 1 ~= 0 or value > 1e6 then
    local shown = type(value) == "string" and ("%q"):format(value) or tostring(value)
    error(what .. " must be a positive whole number, not " .. shown, level + 1)
  end
  return value
end

-- A member behind a gap, as in `{ A, nil, B }`, would be left out in silence; and so would one with a name, where there are none.
local function check_list(list, what, level, has_names)
  local count = 0
  for _ in ipairs(list) do count = count + 1 end
  for key in pairs(list) do
    local is_number = type(key) == "number"
    if is_number and (key < 1 or key > count or key % 1 ~= 0) then
      error(("%s has a member %s, and none before it: a list has no gaps"):format(what, tostring(key)), level + 1)
    elseif not is_number and not has_names then
      error(("%s is a list, which has no `%s`"):format(what, tostring(key)), level + 1)
    end
  end
end

-- What somebody may have meant by a key in a list of texts.
local function list_hint(key)
  if type(key) == "number" then return ": a gap stands before it" end
  if key == "abort" or key == "over" or key == "after" then return ": it stands in the condition, as in \"p(99) < 300ms over 30s after 1m abort\"" end
  local percent = type(key) == "string" and key:match("^p%(?([%d.]+)%)?$")
  if percent then return ': write "p(' .. percent .. ') < 200ms"' end
  local near = type(key) == "string" and engine.nearest(key, { "avg", "min", "max", "med", "count", "rate", "value" })
  return near and (': write a text, such as "' .. near .. ' < 1"') or ": write texts alone, such as { \"first\", \"second\" }"
end

local function texts(value, what, level)
  local list = type(value) == "string" and { value } or value
  if type(list) ~= "table" then error(what .. " must be a list of texts, not a " .. type(value), level + 1) end
  local out = {}
  for i, text in ipairs(list) do
    if type(text) ~= "string" or text == "" then error(what .. " must be a list of texts", level + 1) end
    out[i] = text
  end
  for key in pairs(list) do
    if type(key) ~= "number" or key < 1 or key > #out or key % 1 ~= 0 then
      local hint = what:find("tags$") and type(key) == "string"
        and ": these are for -T and -E; tags of requests are an option of theirs, as in http.defaults { tags = { kind = \"read\" } }"
      error(what .. " is a list of texts, which has no `" .. tostring(key) .. "`" .. (hint or list_hint(key)), level + 1)
    end
  end
  return out
end

-- What is left out has a default; what is written wrongly has none, `false` included.
local function whole_or_one(value, what, level) return value == nil and 1 or whole(value, what, level + 1) end
local function texts_or_none(value, what, level) return value == nil and {} or texts(value, what, level + 1) end

local function optional_text(value, what, level)
  if value ~= nil and (type(value) ~= "string" or value == "") then error(what .. " must be a text, not a " .. type(value), level + 1) end
  return value
end

local function must_load(what, level)
  if not native.is_loading() then error(what .. " is for the top level of the script, not for a task", level + 1) end
end

---@class UserClass
local Class = {}

---Adds a task. Each iteration of a user runs one of its class's tasks, chosen by weight.
---@param name string
---@param options TaskOptions|fun(self: User)|TaskSet
---@param body? fun(self: User)|TaskSet
function Class:task(name, options, body)
  local record = classes[self]
  if not record then error("task: write Class:task(...), with a colon", 2) end
  must_load("task", 2)
  if body == nil then options, body = {}, options end
  if type(name) ~= "string" or name == "" then error("task: the first value is the task's name, a text", 2) end
  local what = "task `" .. name .. "`"
  if type(options) ~= "table" or sets[options] then error(what .. ": options are a table, given before the function", 2) end
  check_keys(options, TASK_KEYS, what, 2)
  if type(body) ~= "function" and not sets[body] then
    error(what .. ": a function or scenario.tasks { ... } is needed, not a " .. type(body), 2)
  end
  if record.names[name] then error("class has two tasks with the name `" .. name .. "`", 2) end
  record.names[name] = true
  record.tasks[#record.tasks + 1] = {
    name = name,
    weight = whole_or_one(options.weight, what .. ": weight", 2),
    tags = texts_or_none(options.tags, what .. ": tags", 2),
    body = body,
  }
end

---What a user has of its class.
local User = {}

---Waits as the class says. Where the user shall finish, its iteration ends here, as in `time.sleep`.
function User:wait() local _ = call(operation.wait) end

---Ends this user when the running task is over: `on_stop` runs, no further task does.
function User:stop() native.stop() end

Class.wait, Class.stop = User.wait, User.stop

---Ends the run for all, within about two seconds: users stop as at its planned end, and report and verdict name the reason. The exit code is that of a
---failed run, or 99 where a threshold does not hold. The iteration that calls it ends here.
---
---    if res.status == 401 then scenario.abort("the accounts are locked") end
---@param reason string
function scenario.abort(reason)
  if type(reason) ~= "string" or reason == "" then error("scenario.abort: give it the reason, a text; got " .. (reason == "" and "an empty one" or type(reason)), 2) end
  engine.must_run("scenario.abort()", 2)
  native.abort(reason)
  local _ = call(operation.stop)
end

---What the scenario's `setup` returned, as JSON has it: tables, texts, numbers, booleans, `json.null`. Each call gives a copy of its own, so that nobody
---changes what others see; large data is best taken once, in `on_start`.
---
---    function Shopper:on_start() self.token = scenario.data().token end
---@return any
function scenario.data()
  engine.must_run("scenario.data()", 2)
  local is_there, data = native.data()
  if not is_there then error("scenario.data(): there is none: the scenario has no `setup`, or it has not returned yet", 2) end
  return data
end

---A user class. Give it tasks with `:task`, and `on_start` and `on_stop` as methods.
---@param options UserOptions
---@return UserClass
function scenario.user(options)
  must_load("scenario.user", 2)
  if type(options) ~= "table" then error("scenario.user: a table of options is needed, not a " .. type(options), 2) end
  check_keys(options, USER_KEYS, "scenario.user", 2)
  if options.wait ~= nil and not (engine.is_wait and engine.is_wait(options.wait)) then
    error("scenario.user: wait must be a rule such as wait.between(1, 3), not a " .. type(options.wait), 2)
  end
  if options.weight ~= nil and options.count ~= nil then error("scenario.user: a class has either a weight or a count", 2) end
  local class = setmetatable({ on_start = options.on_start, on_stop = options.on_stop }, { __index = Class })
  classes[class] = {
    name = optional_text(options.name, "scenario.user: name", 2),
    weight = whole_or_one(options.weight, "scenario.user: weight", 2),
    count = options.count ~= nil and whole(options.count, "scenario.user: count", 2) or nil,
    host = optional_text(options.host, "scenario.user: host", 2),
    wait = options.wait,
    tags = texts_or_none(options.tags, "scenario.user: tags", 2),
    tasks = {},
    names = {},
  }
  return class
end

local function member_of(entry, position)
  if type(entry) == "function" or sets[entry] then return { weight = 1, tags = {}, body = entry } end
  local what = "scenario.tasks: member " .. position
  if type(entry) ~= "table" then error(what .. " must be { weight, function }", 3) end
  local weight, body = entry[1], entry[2]
  if body == nil and type(weight) ~= "number" then weight, body = 1, weight end
  if type(body) ~= "function" and not sets[body] then error(what .. " must be { weight, function }", 3) end
  return { weight = whole(weight, what .. ": weight", 3), tags = texts_or_none(entry.tags, what .. ": tags", 3), body = body }
end

---A nested set: a task that runs `times` of its members, chosen by weight, with the class's wait between them.
---@param options { times: integer?, [integer]: any }  members are `{ weight, function }`
---@return TaskSet
function scenario.tasks(options)
  must_load("scenario.tasks", 2)
  if type(options) ~= "table" then error("scenario.tasks: a table is needed, not a " .. type(options), 2) end
  local record = { times = whole_or_one(options.times, "scenario.tasks: times", 2), members = {} }
  for key in pairs(options) do
    if type(key) ~= "number" and key ~= "times" then check_keys({ [key] = true }, { "times" }, "scenario.tasks", 2) end
  end
  check_list(options, "scenario.tasks", 2, true)
  for position, entry in ipairs(options) do record.members[position] = member_of(entry, position) end
  if #record.members == 0 then error("scenario.tasks: at least one { weight, function } is needed", 2) end
  local set = {}
  sets[set] = record
  return set
end

local joined

-- A text that can be a tag's value.
local function profile_name(name, what, level)
  local fits = type(name) == "string" and #name > 0 and #name <= 64 and not name:find("[%c{},:\"]") and not name:find("^%s") and not name:find("%s$")
  if not fits then
    local shown = type(name) == "string" and ("%q"):format(name) or tostring(name)
    error(what .. " must be a text of 1 to 64 bytes without braces, commas, colons and quotes, not " .. shown, level + 1)
  end
  return name
end

-- The classes that a profile has, as they were given.
local function classes_of(given, what, level)
  if given == nil then return nil end
  local list = classes[given] and { given } or given
  if type(list) ~= "table" or #list == 0 then
    error(what .. ": classes must be a list of user classes, such as { Shopper }, not " .. (type(list) == "table" and "an empty one" or "a " .. type(list)), level + 1)
  end
  check_list(list, what .. ": classes", level + 1)
  for _, class in ipairs(list) do
    if not classes[class] then
      error(what .. ": classes must be a list of user classes made by scenario.user, not of a " .. type(class), level + 1)
    end
  end
  return list
end

-- Notes a profile, with what any has besides its own.
local function profile_of(record, options, what, level)
  local tags = options.tags
  if tags ~= nil then
    if type(tags) ~= "table" then error(what .. ": tags must be a table of names and values, such as { kind = \"read\" }, not a " .. type(tags), level + 1) end
    local mistake = native.check_tags(tags)
    if mistake then error(what .. ": " .. mistake, level + 1) end
  end
  record.what = what
  record.name = options.name ~= nil and profile_name(options.name, what .. ": name", level + 1) or nil
  record.start = options.start ~= nil and seconds(options.start, what .. ": start", level + 1) or 0
  record.classes = classes_of(options.classes, what, level + 1)
  record.tags = tags
  local profile = {}
  profiles[profile] = record
  return profile
end

-- Keys that stand beside a list of stages.
local function check_beside(options, allowed, what, level)
  for key in pairs(options) do
    if type(key) ~= "number" then check_keys({ [key] = true }, allowed, what, level + 1) end
  end
end

function joined(first, second)
  local out = {}
  for _, member in ipairs(first) do out[#out + 1] = member end
  for _, member in ipairs(second) do out[#out + 1] = member end
  return out
end

-- More stages than any run has use for.
local MOST_STEPS = 1000
local STAGE_KEYS = { "users", "over", "hold" }

---The number of users over time: `{ users = 20, over = "10s" }` goes there in a straight line, `{ hold = "30s" }` stays. The run ends
---with the last stage.
---@param stages table[]  and beside them what every profile takes
---@return LoadProfile
function scenario.ramp(stages)
  if type(stages) ~= "table" or #stages == 0 then error("scenario.ramp: a list of stages is needed: { { users = 20, over = \"10s\" }, { hold = \"30s\" } }", 2) end
  check_beside(stages, PROFILE_KEYS, "scenario.ramp", 2)
  local out, level = {}, 0
  check_list(stages, "scenario.ramp", 2, true)
  for position, stage in ipairs(stages) do
    local what = "scenario.ramp: stage " .. position
    if type(stage) ~= "table" then error(what .. " must be a table", 2) end
    check_keys(stage, STAGE_KEYS, what, 2)
    if (stage.users == nil) == (stage.hold == nil) or (stage.hold ~= nil and stage.over ~= nil) then
      error(what .. " is either { users = , over = } or { hold = }", 2)
    end
    if stage.users ~= nil then level = stage.users == 0 and 0 or whole(stage.users, what .. ": users", 2) end
    local length = stage.over
    if stage.hold ~= nil then length = stage.hold end
    out[position] = { users = level, seconds = length == nil and 0 or seconds(length, what, 2) }
  end
  local profile = profile_of({ kind = "ramp", stages = out }, stages, "scenario.ramp", 2)
  return profile
end

-- A rate as a number per second. Zero is one here.
local function rate_of(value, what, level)
  local digits, unit
  if type(value) == "string" then digits, unit = value:match("^%s*(0+%.?0*)%s*/?%s*(%l*)%s*$") end
  if value == 0 or (digits and (unit == "" or unit == "s" or unit == "m" or unit == "min" or unit == "h")) then return 0 end
  local rate = engine.per_second(value, what, level + 1) -- no tail call: the levels count on this frame
  return rate
end

-- What an open profile has besides its stages, checked.
local function open_profile(options, stages, what, level)
  local spacing = options.spacing == nil and "even" or options.spacing
  if spacing ~= "even" and spacing ~= "poisson" then error(what .. ': spacing is "even" or "poisson", not ' .. tostring(spacing), level + 1) end
  local length, greatest = 0, 0
  for _, stage in ipairs(stages) do
    length = length + stage.seconds
    greatest = math.max(greatest, stage.rate)
  end
  if greatest == 0 then error(what .. ": no iteration would ever be due, since every rate is 0", level + 1) end
  if length == 0 then error(what .. ': the run would have no length: add a stage such as { hold = "5m" }', level + 1) end
  local record = {
    kind = "arrivals",
    stages = stages,
    is_poisson = spacing == "poisson",
    max_users = options.max_users ~= nil and whole(options.max_users, what .. ": max_users", level + 1) or nil,
    patience = options.patience == nil and 0 or seconds(options.patience, what .. ": patience", level + 1),
  }
  local profile = profile_of(record, options, what, level + 1)
  return profile
end

local ARRIVALS_KEYS = { "spacing", "max_users", "patience" }

---Iterations that are due at a rate, whether or not a user is free: `{ rate = "200/s", over = "30s" }` goes there in a straight line,
---`{ rate = "200/s" }` at once, `{ hold = "5m" }` stays. Users are made as they are needed, up to `max_users` in the whole cluster (10,000 for
---each worker by default); where none is free and no further one may be made, an iteration waits for up to `patience` and is dropped then, as is one
---that the generator itself comes to later than a stated `patience`. The run ends with the last stage. Users do not think between iterations.
---
---    load = scenario.arrivals { { rate = "200/s", over = "30s" }, { hold = "5m" }, spacing = "poisson", max_users = 500, patience = "1s" }
---@param options { spacing: "even"|"poisson"|nil, max_users: integer?, patience: number|string|nil, [integer]: table }
---@return LoadProfile
function scenario.arrivals(options)
  local example = '{ { rate = "200/s", over = "30s" }, { hold = "5m" } }'
  if type(options) ~= "table" or #options == 0 then error("scenario.arrivals: a list of stages is needed: " .. example, 2) end
  check_beside(options, joined(ARRIVALS_KEYS, PROFILE_KEYS), "scenario.arrivals", 2)
  local out, rate = {}, 0
  check_list(options, "scenario.arrivals", 2, true)
  for position, stage in ipairs(options) do
    local what = "scenario.arrivals: stage " .. position
    if type(stage) ~= "table" then error(what .. " must be a table", 2) end
    check_keys(stage, { "rate", "over", "hold" }, what, 2)
    if (stage.rate == nil) == (stage.hold == nil) or (stage.hold ~= nil and stage.over ~= nil) then
      error(what .. " is either { rate = , over = } or { hold = }", 2)
    end
    if stage.rate ~= nil then rate = rate_of(stage.rate, what, 2) end
    local length = stage.over
    if stage.hold ~= nil then length = stage.hold end
    out[position] = { rate = rate, seconds = length == nil and 0 or seconds(length, what, 2) }
  end
  local profile = open_profile(options, out, "scenario.arrivals", 2)
  return profile
end

-- Levels of `scenario.steps` and `scenario.spike` are numbers of users, or rates as texts.
local function level_reader(options, key, what, level)
  local is_open = type(options[key]) == "string"
  local function read(name)
    if is_open then
      local rate = rate_of(options[name], what .. ": " .. name, level + 1)
      return rate
    end
    return options[name] == 0 and name == "base" and 0 or whole(options[name], what .. ": " .. name, level + 1)
  end
  local function finish(levels)
    local stages = {}
    for position, pair in ipairs(levels) do
      stages[position] = { [is_open and "rate" or "users"] = pair[1], seconds = pair[2] }
    end
    if is_open then
      local profile = open_profile(options, stages, what, level + 1)
      return profile
    end
    local profile = profile_of({ kind = "ramp", stages = stages }, options, what, level + 1)
    return profile
  end
  return read, finish, joined(is_open and ARRIVALS_KEYS or {}, PROFILE_KEYS)
end

---A staircase: at once `from` users, each `every` another `step`, until `to` of them have run for as long. Written short for a ramp; with rates,
---such as `from = "100/s"`, for arrivals.
---@param options { from: integer|string, step: integer|string, every: number|string, to: integer|string }  `scenario.steps { from = 100, step = 100, every = "30s", to = 1000 }`
---@return LoadProfile
function scenario.steps(options)
  local what = "scenario.steps"
  if type(options) ~= "table" then error(what .. ": a table is needed: { from = 100, step = 100, every = \"30s\", to = 1000 }", 2) end
  local read, finish, more = level_reader(options, "from", what, 2)
  check_keys(options, joined({ "from", "step", "every", "to" }, more), what, 2)
  local from, step, to, every = read("from"), read("step"), read("to"), seconds(options.every, what .. ": every", 2)
  if every == 0 then error(what .. ": every must be longer than 0 s", 2) end
  if step == 0 then error(what .. ": step must be above 0", 2) end
  local count = math.ceil(math.abs(to - from) / step)
  if count > MOST_STEPS then error(what .. ": more than " .. MOST_STEPS .. " steps: make `step` larger", 2) end
  local levels = {}
  for position = 0, count do
    local level = to > from and math.min(from + position * step, to) or math.max(from - position * step, to)
    levels[#levels + 1] = { level, 0 }
    levels[#levels + 1] = { level, every }
  end
  local profile = finish(levels)
  return profile
end

---A spike: `base` users from the start, at `at` within `over` up to `peak`, there for `hold`, within `over` down again, and as long at the
---base as before it. Written short for a ramp; with rates, such as `base = "20/s"`, for arrivals.
---@param options { base: integer|string, peak: integer|string, at: number|string, over: number|string?, hold: number|string? }  `scenario.spike { base = 20, peak = 200, at = "1m", over = "5s", hold = "10s" }`
---@return LoadProfile
function scenario.spike(options)
  local what = "scenario.spike"
  if type(options) ~= "table" then error(what .. ": a table is needed: { base = 20, peak = 200, at = \"1m\", over = \"5s\", hold = \"10s\" }", 2) end
  local read, finish, more = level_reader(options, "peak", what, 2)
  check_keys(options, joined({ "base", "peak", "at", "over", "hold" }, more), what, 2)
  local base, peak, at = read("base"), read("peak"), seconds(options.at, what .. ": at", 2)
  local over = options.over == nil and 0 or seconds(options.over, what .. ": over", 2)
  local hold = options.hold == nil and 0 or seconds(options.hold, what .. ": hold", 2)
  if peak <= base then error(what .. ": the peak is not above the base", 2) end
  if over + hold == 0 then error(what .. ": a peak has a length: say `over`, `hold` or both", 2) end
  local profile = finish { { base, 0 }, { base, at }, { peak, over }, { peak, hold }, { base, over }, { base, at } }
  return profile
end

-- More iterations than any run has time for, and still an exact number.
local MOST_ITERATIONS = 1e12

---So many users from the start on, and so many iterations for them; the run ends by itself when all are done. With `each`, every user does that many
---and leaves. With `total`, all users in the whole cluster share that many: whoever is free takes the next one, so that fast users do more. What
---`within` is not enough for is not begun, and the report says how much that is. No iteration is begun twice: those that a worker had taken which is
---then lost are told as lost.
---
---    load = scenario.iterations { users = 10, total = 5000, within = "10m" }
---@param options { users: integer, each: integer?, total: integer?, within: number|string|nil }  either `each` or `total`
---@return LoadProfile
function scenario.iterations(options)
  local what = "scenario.iterations"
  if type(options) ~= "table" then error(what .. ": a table is needed: { users = 10, each = 100 } or { users = 10, total = 5000 }", 2) end
  check_keys(options, joined({ "users", "each", "total", "within" }, PROFILE_KEYS), what, 2)
  if (options.each == nil) == (options.total == nil) then
    error(what .. ": say either how many iterations `each` user does, or how many there are in `total`", 2)
  end
  local total = options.total
  if total ~= nil and (type(total) ~= "number" or total < 1 or total % 1 ~= 0 or total > MOST_ITERATIONS) then
    error(what .. ": total must be a whole number from 1 to 10^12, not " .. (type(total) == "string" and ("%q"):format(total) or tostring(total)), 2)
  end
  local within = options.within ~= nil and seconds(options.within, what .. ": within", 2) or nil
  if within == 0 then error(what .. ": within must be longer than 0 s", 2) end
  local record = {
    kind = "iterations",
    users = whole(options.users, what .. ": users", 2),
    each = options.each ~= nil and whole(options.each, what .. ": each", 2) or nil,
    total = total,
    within = within,
  }
  local profile = profile_of(record, options, what, 2)
  return profile
end

---What the function of `scenario.shape` sees of the run, as of a second ago. What is not known yet is nil.
---@class ShapeView
---@field users integer           users that run, of the profile that the function steers
---@field requests integer        made so far
---@field failures integer        of them
---@field requests_per_s number?  over the last 10 seconds
---@field fail_ratio number?      0 to 1, of the whole run
---@field p50 number?             of the last 10 seconds, in seconds
---@field p95 number?             the same

---A load that a function steers. It is called with the run's seconds, 0 at first, and then once a second on the master, and returns how many users
---there shall be or which rate, or nil to end the run, or of several profiles its own. Whole users are made of fractions. The same kind has to come
---back each time. It has no request, sleep or random number, and its state is its own: each worker calls it for its first second, too. With a
---`start` it is called from then on.
---
---    load = scenario.shape(function(t, view)
---      if t > 60 or (view.p95 or 0) > 0.5 then return nil end
---      return { users = 50 + 40 * math.sin(t / 10) }
---    end)
---@param body fun(t: integer, view: ShapeView): { users: number?, rate: number|string|nil }?
---@param options? table  what every profile takes: name, classes, start, tags
---@return LoadProfile
function scenario.shape(body, options)
  if type(body) ~= "function" then error("scenario.shape: a function is needed: function(t, view) return { users = 10 } end; not a " .. type(body), 2) end
  if options ~= nil and type(options) ~= "table" then error('scenario.shape: what stands behind the function must be a table such as { start = "1m" }, not a ' .. type(options), 2) end
  check_keys(options or {}, PROFILE_KEYS, "scenario.shape", 2)
  local profile = profile_of({ kind = "shape", body = body }, options or {}, "scenario.shape", 2)
  return profile
end

-- What a shape says of a moment: "users" and how many, or "rate" and how many a second; nothing where the run ends.
local function level_of(body, t, view)
  local level = body(t, view)
  if level == nil then return nil end
  local what = "scenario.shape: what the function returns at " .. t .. " s"
  if type(level) ~= "table" then error(what .. ' must be { users = 10 }, { rate = "50/s" } or nil, not a ' .. type(level), 0) end
  check_keys(level, { "users", "rate" }, what, -1) -- -1: the text tells the place
  if (level.users == nil) == (level.rate == nil) then error(what .. " must have either users or rate", 0) end
  if level.rate ~= nil then
    return "rate", (engine.per_second(level.rate, what, -1))
  end
  local users = type(level.users) == "number" and math.floor(level.users + 0.5) or nil
  if not users or users < 1 or users > 1e6 then
    error(what .. ": users must be a number from 1 to 1000000, not " .. tostring(level.users) .. "; nil ends the run", 0)
  end
  return "users", users
end

local loads_of

local function thresholds_of(given)
  local out = {}
  for metric, conditions in pairs(given) do
    if type(metric) ~= "string" then error("scenario: thresholds are by metric: { http_req_duration = { \"p(95) < 200ms\" } }", 3) end
    local list = texts(conditions, "scenario: thresholds of " .. metric, 3)
    if #list == 0 then error("scenario: thresholds of " .. metric .. ": the list is empty; write it like { \"p(95) < 200ms\" }", 3) end
    for _, condition in ipairs(list) do
      out[#out + 1] = { metric = metric, condition = condition }
    end
  end
  -- A table has no order of its own: the metrics in alphabetical order, the conditions of one metric as they were written.
  local position = {}
  for i, threshold in ipairs(out) do position[threshold] = i end
  table.sort(out, function(a, b)
    if a.metric ~= b.metric then return a.metric < b.metric end
    return position[a] < position[b]
  end)
  return out
end

local function text_map(given, what)
  if given == nil then return nil end
  if type(given) ~= "table" then error(what .. " must be a table, not a " .. type(given), 3) end
  local out = {}
  for key, value in pairs(given) do
    if type(key) ~= "string" or type(value) ~= "string" then error(what .. " must be a table of texts", 3) end
    out[key] = value
  end
  return out
end

-- More profiles than anybody can follow.
local MOST_PROFILES = 100

-- The profiles of a load: by name, in the order of a list and then of the alphabet. One that stands alone may have no name.
local function named_profiles(load, level)
  if profiles[load] then return { { name = profiles[load].name, record = profiles[load] } } end
  local example = "scenario: load must be a profile such as scenario.ramp { ... }, or several by name: { browse = scenario.ramp { ... }, buy = scenario.arrivals { ... } }"
  if type(load) ~= "table" then error(example .. "; not a " .. type(load), level + 1) end
  local list, keys = {}, {}
  for key, profile in pairs(load) do
    if type(key) ~= "number" and type(key) ~= "string" then error(example .. "; a profile has a name, and not a " .. type(key), level + 1) end
    if not profiles[profile] then
      error(example .. "; `" .. tostring(key) .. "` is no profile, but a " .. type(profile), level + 1)
    end
    keys[#keys + 1] = key
  end
  if #keys == 0 then error(example .. "; the table is empty", level + 1) end
  if #keys > MOST_PROFILES then error("scenario: load has " .. #keys .. " profiles, and at most " .. MOST_PROFILES .. " run side by side", level + 1) end
  table.sort(keys, function(a, b)
    if type(a) ~= type(b) then return type(a) == "number" end
    return a < b
  end)
  for position, key in ipairs(keys) do
    local record = profiles[load[key]]
    local name = type(key) == "string" and profile_name(key, "scenario: load: the name of a profile", level + 1) or record.name
    if not name then error("scenario: load: profile " .. key .. " of the list has no name: give it one, " .. record.what .. " { ..., name = \"browse\" }, or write { browse = " .. record.what .. " { ... } }", level + 1) end
    if record.name and record.name ~= name then error("scenario: load: profile `" .. name .. "` calls itself `" .. record.name .. "`: leave one of the names out", level + 1) end
    list[position] = { name = name, record = record }
  end
  return list
end

-- The same, checked against the scenario's classes.
function loads_of(load, users, level)
  local list, seen, position_of, has = named_profiles(load, level + 1), {}, {}, {}
  for position, class in ipairs(users) do position_of[class] = position end
  local function label(class) return classes[class].name and "`" .. classes[class].name .. "`" or "users[" .. position_of[class] .. "]" end
  for _, profile in ipairs(list) do
    local record, name = profile.record, profile.name
    local what = "scenario: load" .. (name and ": profile `" .. name .. "`" or "")
    if name and seen[name] then error("scenario: load: two profiles have the name `" .. name .. "`: names must be unique", level + 1) end
    if name then seen[name] = true end
    if not name and record.tags then error(what .. ": a profile with tags needs a name, too", level + 1) end
    for _, class in ipairs(record.classes or users) do
      if not position_of[class] then
        local known = classes[class].name
        error(what .. " has a class" .. (known and " `" .. known .. "`" or "") .. " that is not among the scenario's users", level + 1)
      end
      has[class] = true
    end
  end
  for _, class in ipairs(users) do
    if not has[class] then error("scenario: load: class " .. label(class) .. " is in no profile, and would have no user: name it in the `classes` of one, or take it out of `users`", level + 1) end
  end
  return list
end

local function make(options)
  must_load("scenario{}", 2)
  if type(options) ~= "table" then error("scenario: a table of options is needed, not a " .. type(options), 2) end
  for _, key in ipairs(HTTP_KEYS) do
    if options[key] ~= nil then error("scenario: `" .. key .. "` stands in its table `http`: http = { " .. key .. " = ... }", 2) end
  end
  check_keys(options, SCENARIO_KEYS, "scenario", 2)
  if type(options.users) ~= "table" or (#options.users == 0 and not classes[options.users]) then
    error("scenario: users must be a list of classes: users = { Shopper }", 2)
  end
  local users = classes[options.users] and { options.users } or options.users
  check_list(users, "scenario: users", 2)
  for position, class in ipairs(users) do
    if not classes[class] then error("scenario: users[" .. position .. "] is no class made by scenario.user, but a " .. type(class), 2) end
  end
  local load = options.load ~= nil and loads_of(options.load, users, 2) or nil
  if options.thresholds ~= nil and type(options.thresholds) ~= "table" then error("scenario: thresholds must be a table", 2) end
  local tls = text_map(options.tls, "scenario: tls")
  if tls then
    check_keys(tls, { "cert", "key" }, "scenario: tls", 2)
    if not (tls.cert and tls.key) then error("scenario: tls needs both cert and key", 2) end
  end
  if options.http ~= nil then
    if type(options.http) ~= "table" then error('scenario: http must be a table such as { version = "2" }, not a ' .. type(options.http), 2) end
    check_keys(options.http, HTTP_KEYS, "scenario: http", 2)
    local mistake = native.check_http(options.http)
    if mistake then error("scenario: http: " .. mistake, 2) end
  end
  local warmup = options.warmup ~= nil and seconds(options.warmup, "scenario: warmup", 2) or nil
  if warmup and warmup % 1 ~= 0 then error("scenario: warmup: whole seconds are needed, such as \"30s\"", 2) end
  for _, key in ipairs { "setup", "teardown" } do
    if options[key] ~= nil and type(options[key]) ~= "function" then error("scenario: " .. key .. " must be a function, not a " .. type(options[key]), 2) end
    if options[key] == nil and options[key .. "_timeout"] ~= nil then error("scenario: " .. key .. "_timeout needs a " .. key, 2) end
  end
  local function limit(key)
    if options[key] == nil then return nil end
    local name = key .. "_timeout"
    local length = options[name] == nil and 60 or seconds(options[name], "scenario: " .. name, 3)
    if length == 0 then error("scenario: " .. name .. " must be longer than 0 s", 3) end
    return length
  end
  local setup_limit, teardown_limit = limit("setup"), limit("teardown")
  local made = {}
  scenarios[made] = {
    setup = options.setup,
    setup_limit = setup_limit,
    teardown = options.teardown,
    teardown_limit = teardown_limit,
    host = optional_text(options.host, "scenario: host", 2),
    users = users,
    load = load,
    thresholds = thresholds_of(options.thresholds == nil and {} or options.thresholds),
    warmup = warmup,
    hosts = text_map(options.hosts, "scenario: hosts") or {},
    tls = tls,
    http = options.http,
  }
  return made
end

-- From here on: what the host asks for when the script has returned.

local function bears(tags, wanted)
  for _, tag in ipairs(tags) do
    for _, name in ipairs(wanted) do
      if tag == name then return true end
    end
  end
  return false
end

local function allows(filter, tags)
  if bears(tags, filter.exclude) then return false end
  return #filter.include == 0 or bears(tags, filter.include)
end

local function choose(members, total)
  local drawn = int(1, total)
  for i = 1, #members do
    drawn = drawn - members[i].weight
    if drawn <= 0 then return members[i].run end
  end
end

local runner

local function set_runner(record, tags, filter)
  local members, total, times = {}, 0, record.times
  for _, member in ipairs(record.members) do
    local run = runner(member.body, joined(tags, member.tags), filter)
    if run then
      members[#members + 1] = { weight = member.weight, run = run }
      total = total + member.weight
    end
  end
  if total == 0 then return nil end
  return function(self)
    for round = 1, times do
      choose(members, total)(self)
      if round < times then self:wait() end
    end
  end
end

---The function that runs a task, or nil where the tags leave nothing of it.
function runner(body, tags, filter)
  if sets[body] then return set_runner(sets[body], tags, filter) end
  return allows(filter, tags) and body or nil
end

---The tags that the scenario's tasks bear: which, and in words for a person who has named another.
local function known_tags(record)
  local known, list = {}, {}
  local function note(tags)
    for _, tag in ipairs(tags) do
      if not known[tag] then
        known[tag] = true
        list[#list + 1] = "`" .. tag .. "`"
      end
    end
  end
  local function note_set(set)
    for _, member in ipairs(set.members) do
      note(member.tags)
      if sets[member.body] then note_set(sets[member.body]) end
    end
  end
  for _, class in ipairs(record.users) do
    note(classes[class].tags)
    for _, task in ipairs(classes[class].tasks) do
      note(task.tags)
      if sets[task.body] then note_set(sets[task.body]) end
    end
  end
  return known, #list == 0 and "its tasks have no tags" or "its tasks have the tags " .. table.concat(list, ", ")
end

-- A tag that no task bears is a misspelt one: what it was to keep from running would run.
local function check_filter(filter, known, words)
  for flag, tags in pairs({ ["-T"] = filter.include, ["-E"] = filter.exclude }) do
    for _, tag in ipairs(tags) do
      if not known[tag] then error(flag .. " " .. tag .. ": no task of the scenario has this tag: " .. words, 0) end
    end
  end
end

local HOOKS = { "on_start", "on_stop" }

---A hook that nobody calls would be a task that never runs.
local function check_hooks(class, label)
  for key, value in next, class do
    if type(key) == "string" and type(value) == "function" and key ~= "on_start" and key ~= "on_stop" then
      local near = engine.nearest(key, HOOKS)
      if near or key:find("^on_") then
        local hint = near and (", did you mean `" .. near .. "`?") or ": there are on_start and on_stop; a function of your own needs another name"
        error("class `" .. label .. "` has no hook `" .. key .. "`" .. hint, 0)
      end
    end
  end
end

local function method(class, name, label)
  local body = class[name]
  if body == nil then return nil end
  if type(body) ~= "function" then error("class `" .. label .. "`: " .. name .. " must be a function, not a " .. type(body), 0) end
  return engine.add_job(body)
end

---The class as plain tables, or nil where the tags leave none of its tasks: its users would have nothing to do.
local function describe_class(class, default_name, filter)
  local record = classes[class]
  local name = record.name or default_name
  if #record.tasks == 0 then error("class `" .. name .. "` has no task: give it one with :task(name, function(self) ... end)", 0) end
  local tasks = {}
  for _, task in ipairs(record.tasks) do
    local run = runner(task.body, joined(record.tags, task.tags), filter)
    if run then tasks[#tasks + 1] = { name = task.name, weight = task.weight, job = engine.add_job(run) } end
  end
  if #tasks == 0 then return nil end
  check_hooks(class, name)
  local described = {
    name = name,
    weight = record.weight,
    count = record.count,
    host = record.host,
    wait_kind = record.wait and record.wait.kind or "between",
    wait_low = record.wait and record.wait.low or 0,
    wait_high = record.wait and record.wait.high or 0,
    on_start = method(class, "on_start", name),
    on_stop = method(class, "on_stop", name),
    tasks = tasks,
  }
  local _, methods = engine.lock(class, function(key)
    return "cannot set `" .. key .. "` of class `" .. name .. "` while users run: keep it in `self`"
  end)
  setmetatable(methods, nil)
  for key, value in pairs(User) do
    if methods[key] == nil then methods[key] = value end
  end
  described.class = engine.add_class(methods)
  return described
end

local function scenario_of(result, default_name)
  if scenarios[result] then return scenarios[result] end
  if type(result) == "function" or sets[result] then
    local class = scenario.user { name = default_name }
    Class.task(class, default_name, result)
    result = class
  end
  if classes[result] then return { users = { result }, thresholds = {}, hosts = {} } end
  local what = result == nil and "nothing" or "a " .. type(result)
  error("the script returned " .. what .. ": it must return scenario { ... }, a user class or a function", 0)
end

local function setup_job(body)
  return engine.add_job(function()
    local data = body()
    local mistake = native.returned(data)
    if mistake then error("what setup returned cannot be handed to users: " .. mistake) end
  end, body)
end

local function teardown_job(body)
  return engine.add_job(function()
    local _, data = native.data()
    body(data)
  end, body)
end

-- By the place of a profile: what its function says.
local levels = {}

function native.level(place, t, view)
  return levels[place](t, view)
end

-- The profile at this place as a plain table; of a shape how it begins.
local function plain_profile(load, place)
  if load.kind ~= "shape" then return load end
  local first = math.floor(load.start)
  local kind, level = level_of(load.body, first, { users = 0, requests = 0, failures = 0 })
  if not kind then error("scenario.shape: the function returns nil at " .. first .. " s, and the run would have no length", 0) end
  levels[place] = function(t, view)
    local now_kind, now_level = level_of(load.body, t, view)
    if now_kind and now_kind ~= kind then error("scenario.shape: the function returned " .. kind .. " at first, and " .. now_kind .. " at " .. t .. " s", 0) end
    return now_level
  end
  return { kind = "shape", is_open = kind == "rate", level = level, start = load.start }
end

-- The profiles that have a class with a task that the tags allow, and the names of the others. `names` are those of such classes.
local function plain_profiles(record, names)
  local kept, left_out = {}, {}
  for _, profile in ipairs(record.load or {}) do
    local own, load = {}, profile.record
    for _, class in ipairs(load.classes or {}) do own[#own + 1] = names[class] end
    if load.classes and #own == 0 then
      left_out[#left_out + 1] = profile.name
    else
      kept[#kept + 1] = { name = profile.name, classes = own, tags = load.tags or {}, load = plain_profile(load, #kept + 1) }
    end
  end
  return kept, left_out
end

---The scenario as plain tables.
function native.describe(result, default_name, filter)
  local record = scenario_of(result, default_name)
  local described, seen, left_out, names = {}, {}, {}, {}
  for _, class in ipairs(record.users) do
    local name = classes[class].name or default_name
    if seen[name] then error("two user classes have the name `" .. name .. "`: names must be unique", 0) end
    seen[name] = true
    local plain = describe_class(class, default_name, filter)
    if plain then described[#described + 1] = plain else left_out[#left_out + 1] = name end
    names[class] = plain and name or nil
  end
  local known, words = known_tags(record)
  check_filter(filter, known, words)
  if #described == 0 then error("-T and -E leave no task of the scenario: " .. words, 0) end
  local loads, left_out_profiles = plain_profiles(record, names)
  return {
    host = record.host,
    left_out = left_out,
    left_out_profiles = left_out_profiles,
    classes = described,
    profiles = loads,
    thresholds = record.thresholds,
    warmup = record.warmup,
    setup = record.setup and setup_job(record.setup),
    setup_limit = record.setup_limit,
    teardown = record.teardown and teardown_job(record.teardown),
    teardown_limit = record.teardown_limit,
    hosts = record.hosts,
    tls = record.tls,
    http = record.http,
  }
end

return setmetatable(scenario, { __call = function(_, options) return make(options) end })
