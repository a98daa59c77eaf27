---@meta http
---HTTP requests of one user. `local http = require "http"`
---
---Each user has its own connections and cookies, as a browser has. A request that gets no answer does not raise: `res.status` is 0 and `res.error`
---says why. What is wrong in the call itself raises at the caller's line.
---@class httplib
local http = {}

local native, engine = ...
local call, can_call, must_run = engine.call, engine.can_call, engine.must_run
local HTTP, UNPACK = engine.operation.http, engine.operation.unpack
local error, getmetatable, next, pairs, rawget, rawlen, rawset, setmetatable, tostring, type =
  error, getmetatable, next, pairs, rawget, rawlen, rawset, setmetatable, tostring, type
local lower, upper = string.lower, string.upper
local detail, native_json, label, judge = native.detail, native.json, native.label, native.judge

---@class HttpOptions
---@field name string?        the entry in the tables; by default the path without its query, numbers and the like as `:id`
---@field headers table<string, string|number|false>?  `false` leaves a header out that would go out by default
---@field params table?       a query: names and values (a list for several), or a list of `{ name, value }`
---@field json any            the body, as JSON
---@field form table?         the body, as a form: as `params`
---@field multipart table<string, string|HttpPart>|HttpPart[]?  the body, as a form with files
---@field body string?        the body, as it is
---@field auth HttpAuth?      basic or bearer; a string is the whole header
---@field timeout number|string?  from the ask to the last byte, redirects included: seconds, or a text such as "500ms"
---@field redirects integer|false?  follow at most this many; 0 or false follows none
---@field cookies table<string, string>|boolean?  cookies for this request, besides the jar's or in place of those of the same names; false neither sends nor takes any
---@field tags table<string, string>?  `{ kind = "read" }`: the request's row has them behind its name, and thresholds select by them, `http_req_duration{kind:read}`; added to those of `http.defaults`; names that selectors have, such as `status`, `profile` and `ab`, are refused
---@field expect HttpExpect|string|integer?  what the last answer must be like, else the request has failed; a status takes the place of "400 and above has failed"
---@field compress boolean?   false does not ask for a compressed body
---@field discard boolean?    count the body and throw it away
---@field keepalive boolean?  false: a connection of its own, closed behind the answer (`connection: close`)
---@field version "1.1"|"2"|number|nil  nothing but this is spoken: a server that does not is a failure of kind `protocol`. "2" on http: by prior knowledge (h2c)

---@class HttpExpect
---@field status integer|string|(integer|string)[]?  such as 201, "2xx" or { 200, 503 }
---@field max_time number|string?  of the last hop
---@field header table<string, string|true>?  exact values; true: the header is there
---@field contains string?   in the body
---@field matches string?    a regular expression that the body matches
---@field json table<string, any>?  values by path, such as `["items.0.id"] = 7`

---@class HttpPart
---@field name string?          in a list of parts
---@field body string
---@field filename string?      makes it a file
---@field content_type string?

---@class HttpAuth
---@field [1] string?      user
---@field [2] string?      password
---@field user string?
---@field password string?
---@field bearer string?   a token

---What many requests have in common, for `http.defaults` and `http.client`.
---@class HttpTemplate
---@field host string?     where relative URLs go
---@field headers table<string, string|number|false>?
---@field auth HttpAuth?
---@field timeout number|string?
---@field redirects integer|false?
---@field cookies boolean?
---@field tags table<string, string>?  of all its requests
---@field expect HttpExpect|string|integer?
---@field compress boolean?
---@field discard boolean?
---@field keepalive boolean?
---@field version "1.1"|"2"|number|nil
---@field max_connections integer?  HTTP/1.1 connections of one user to one host at a time, 6 by default; further requests wait in line (`timings.blocked`), within their timeout
---@field connection_max_age number|string|false|nil  a connection that has been open for so long takes no further request: seconds, or a text such as "30s"
---@field connection_max_requests integer|false|nil  so many requests and a connection takes no further one

---Of `http.client`: PEM files, by their paths relative to the script's folder. They are read at the top of the script and travel with it.
---@class HttpClientTemplate: HttpTemplate
---@field cert string?  the certificate that this client shows, with those that lead to its authority; by default the scenario's `tls`
---@field key string?   its private key
---@field ca string?    certificate authorities that it trusts besides the usual ones and those of `--ca-file`

---@class HttpTimings  seconds; a part that did not take place is nil
---@field blocked number?
---@field dns number?
---@field connect number?
---@field tls number?
---@field send number?
---@field wait number?
---@field receive number?
---@field total number

---@class HttpHop
---@field method string
---@field url string
---@field status integer
---@field duration number  seconds

---@class HttpHeaders: table<string, string>  any case to get; `pairs` gives lower case; the first value of a name that came several times
---@field all fun(self: HttpHeaders, name: string): string[]  all values of a name

---@class HttpResult
---@field status integer      0 without a whole answer
---@field ok boolean          whether the request counts as a success
---@field error string?       why not
---@field error_kind string?  refused, unreachable, reset, stale, connect_timeout, timeout, dns, tls, protocol, too_large, too_many_redirects, status, expect, script or local
---@field body string?        unpacked, when the script looks first; nil with `discard`, and where it cannot be unpacked (`error` says why then)
---@field headers HttpHeaders
---@field cookies table<string, string>  those that the last answer sets
---@field url string          of the last hop
---@field proto string?       "HTTP/1.1", "HTTP/2"
---@field history HttpHop[]   the redirects that were followed
---@field timings HttpTimings of the last hop
local methods = {}

-- A result holds what nearly every script looks at, and the rest as one packed string (`_packed`), or, for a large body, as a handle (`_handle`). A part
-- is read from them when the script looks, and stays.
local parts = { body = true, headers = true, cookies = true, url = true, proto = true, timings = true, history = true }

local more_values = setmetatable({}, { __mode = "k" })
local header_methods = {}

---All values of a name, in any case.
---@param headers HttpHeaders
---@param name string
---@return string[]
function header_methods.all(headers, name)
  if type(headers) ~= "table" then error("headers:all: call it with a colon, on headers", 2) end
  if type(name) ~= "string" then error("headers:all: the name must be a string, not a " .. type(name), 2) end
  name = lower(name)
  local values = more_values[headers] and more_values[headers][name]
  if values then return { (unpack or table.unpack)(values) } end
  return { rawget(headers, name) }
end

local Headers = {
  __metatable = false,
  __index = function(headers, name)
    if header_methods[name] then return header_methods[name] end
    return type(name) == "string" and rawget(headers, lower(name)) or nil
  end,
}

-- What results are called elsewhere.
local ELSEWHERE = {
  status_code = "status", statusCode = "status", code = "status", status_text = "status", text = "body", content = "body", data = "body",
  response_body = "body", header = "headers", elapsed = "timings.total", duration = "timings.total", time = "timings.total",
  response_time = "timings.total", reason = "error", err = "error", error_code = "error_kind", error_message = "error",
  protocol = "proto", version = "proto", request = "url", redirects = "history", is_success = "ok", success = "ok",
}
local FIELDS = { "status", "ok", "error", "error_kind", "body", "headers", "url", "proto", "cookies", "timings", "history", "json", "must", "fail", "pass" }
local ABSENT = { error = true, error_kind = true, _handle = true, _packed = true }

local function unknown(key)
  if type(key) ~= "string" or ABSENT[key] then return nil end
  local near = ELSEWHERE[key] or engine.nearest(key, FIELDS)
  local hint = near and (", did you mean `" .. near .. "`?") or (": it has " .. table.concat(FIELDS, ", "))
  error("a result has no `" .. key .. "`" .. hint, 2) -- a tail call: level 2 is the script
end

local TIMINGS = { "blocked", "dns", "connect", "tls", "send", "wait", "receive", "total" }
local is_timing = {}
for i = 1, #TIMINGS do is_timing[TIMINGS[i]] = true end

-- A part that did not take place is nil; one that is none raises.
local Timings = {
  __metatable = false,
  __index = function(_, key)
    if is_timing[key] or type(key) ~= "string" then return nil end
    local near = engine.nearest(key, TIMINGS)
    error("timings have no `" .. key .. "`" .. (near and (", did you mean `" .. near .. "`?") or (": they have " .. table.concat(TIMINGS, ", "))), 2)
  end,
}

---Unpacks the body of a result, while other users run where that takes long and is possible. Where it fails, the request has failed.
local function open(res)
  local handle, is_done = native.open(res._packed, rawget(res, "_handle"), not can_call())
  if not handle then error(is_done, 3) end
  rawset(res, "_handle", handle)
  if not is_done then call(UNPACK, handle) end
  local why, kind = native.opened(res._packed, handle)
  if why and res.ok then res.ok, res.error, res.error_kind = false, why, kind end
end

local function look(res, key)
  local method = methods[key]
  if method then return method end
  if not parts[key] then return unknown(key) end
  local value, more = detail(rawget(res, "_packed"), rawget(res, "_handle"), key)
  if value == false then
    open(res)
    value = detail(rawget(res, "_packed"), rawget(res, "_handle"), key)
  end
  if key == "headers" then
    if next(more) then more_values[value] = more end
    setmetatable(value, Headers)
  elseif key == "timings" then
    setmetatable(value, Timings)
  end
  rawset(res, key, value)
  return value
end

-- What `pairs` gives, and so what is seen of a result that is logged or printed: its fields, without the bytes that the rest is read from.
local function following(res, key)
  local value
  repeat
    key, value = next(res, key)
  until key ~= "_packed" and key ~= "_handle"
  return key, value
end

local Result = { __index = look, __metatable = false, __pairs = function(res) return following, res, nil end }

local function must_be_result(value, name)
  if getmetatable(value) ~= false or type(value) ~= "table" or rawget(value, "_packed") == nil then
    error("res:" .. name .. ": call it with a colon, on a result", 3)
  end
end

---@class HttpJsonOptions
---@field big_integers? "number"|"string"  how integers beyond 2^53 arrive: rounded to a number (the default), or with all digits in a string

---The body as JSON, or the value at `path` in it, such as `"items.0.id"` (positions count from 0). Never raises for what the body is: nil and why.
---@param path string|HttpJsonOptions|nil  or the options alone
---@param options HttpJsonOptions?
---@return any value
---@return string? why
function methods:json(path, options)
  must_be_result(self, "json")
  if type(path) == "table" and options == nil then path, options = nil, path end
  if path ~= nil and type(path) ~= "string" then error("res:json: the path must be a string, not a " .. type(path), 2) end
  local big_as_strings = false
  if options ~= nil then
    if type(options) ~= "table" then error("res:json: the options must be a table, not a " .. type(options), 2) end
    engine.check_keys(options, { "big_integers" }, "res:json", 2)
    local choice = options.big_integers
    if choice ~= nil and choice ~= "number" and choice ~= "string" then error('res:json: `big_integers` must be "number" or "string"', 2) end
    big_as_strings = choice == "string"
  end
  local value, why = native_json(self._packed, rawget(self, "_handle"), rawget(self, "body"), path, big_as_strings)
  if why == false then
    open(self)
    value, why = native_json(self._packed, rawget(self, "_handle"), nil, path, big_as_strings)
  end
  return value, why
end

---The result itself; raises if the request failed, and so ends the iteration. The error names the entry, not the URL, so that a thousand URLs are
---one row: `GET /products/:id: 503 Service Unavailable`.
---@return HttpResult
function methods:must()
  must_be_result(self, "must")
  if not self.ok then error(label(self._packed) .. ": " .. (self.error or "failed"), 2) end
  return self
end

---Makes the request a failure of kind `script`. Only until this user's next request, wait, or end of iteration; after that, and where there was no whole
---answer, nothing changes.
---@param reason string?
---@return boolean changed
function methods:fail(reason)
  must_be_result(self, "fail")
  if reason ~= nil and type(reason) ~= "string" then error("res:fail: the reason must be a string, not a " .. type(reason), 2) end
  reason = reason or "failed by the script"
  if not judge(self._packed, reason) then return false end
  self.ok, self.error, self.error_kind = false, reason, "script"
  return true
end

---Makes the request a success, whatever its status or `expect` say. As long as `res:fail` can.
---@return boolean changed
function methods:pass()
  must_be_result(self, "pass")
  if not judge(self._packed, nil) then return false end
  self.ok, self.error, self.error_kind = true, nil, nil
  return true
end

-- A mistake that only the user's state could show comes as nil and a text; the level is that of the public function's caller.
local function result(status, ok, why, kind, packed, handle)
  if status == nil then error(ok, 3) end
  local res = setmetatable({ status = status, ok = ok, _packed = packed }, Result)
  -- Most results have none of these; a table with room for them costs each of them.
  if why then res.error, res.error_kind = why, kind end
  if handle then res._handle = handle end
  return res
end

local function results(flat, mistake)
  if flat == nil then error(mistake, 3) end
  local list = {}
  for first = 1, flat.count * 6, 6 do
    list[#list + 1] = setmetatable({
      status = flat[first],
      ok = flat[first + 1],
      error = flat[first + 2],
      error_kind = flat[first + 3],
      _packed = flat[first + 4],
      _handle = flat[first + 5],
    }, Result)
  end
  return list
end

-- Most requests have no option but a name: it crosses to Rust as a string, without the table.
local function slim(options, url)
  if type(options) == "table" then
    local key, value = next(options)
    if key == "name" and type(value) == "string" and next(options, key) == nil then return value end
    if key == nil then return nil end
  elseif type(options) == "string" then
    if type(url) == "table" then error("the functions of `http` are called with a dot: http.get(url)", 3) end
    -- Only our own slimming may hand a string over.
    error('options must be a table, such as { body = "..." }, { json = ... } or { form = ... }, not a string', 3)
  end
  return options
end

local function too_many()
  error("a request takes a URL and one table of options, such as http.post(url, { json = body, headers = headers })", 3)
end

local GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS = 1, 2, 3, 4, 5, 6, 7

---GET a URL: a path behind the host, or a whole one.
---@param url string
---@param options HttpOptions?
---@return HttpResult
function http.get(url, options, _more)
  if _more ~= nil then too_many() end
  local status, ok, why, kind, packed, handle = call(HTTP, GET, url, options and slim(options, url))
  local res = result(status, ok, why, kind, packed, handle)
  return res
end

---POST a URL: a path behind the host, or a whole one.
---@param url string
---@param options HttpOptions?
---@return HttpResult
function http.post(url, options, _more)
  if _more ~= nil then too_many() end
  local status, ok, why, kind, packed, handle = call(HTTP, POST, url, options and slim(options, url))
  local res = result(status, ok, why, kind, packed, handle)
  return res
end

---PUT a URL: a path behind the host, or a whole one.
---@param url string
---@param options HttpOptions?
---@return HttpResult
function http.put(url, options, _more)
  if _more ~= nil then too_many() end
  local status, ok, why, kind, packed, handle = call(HTTP, PUT, url, options and slim(options, url))
  local res = result(status, ok, why, kind, packed, handle)
  return res
end

---PATCH a URL: a path behind the host, or a whole one.
---@param url string
---@param options HttpOptions?
---@return HttpResult
function http.patch(url, options, _more)
  if _more ~= nil then too_many() end
  local status, ok, why, kind, packed, handle = call(HTTP, PATCH, url, options and slim(options, url))
  local res = result(status, ok, why, kind, packed, handle)
  return res
end

---DELETE a URL: a path behind the host, or a whole one.
---@param url string
---@param options HttpOptions?
---@return HttpResult
function http.delete(url, options, _more)
  if _more ~= nil then too_many() end
  local status, ok, why, kind, packed, handle = call(HTTP, DELETE, url, options and slim(options, url))
  local res = result(status, ok, why, kind, packed, handle)
  return res
end

---HEAD a URL: a path behind the host, or a whole one.
---@param url string
---@param options HttpOptions?
---@return HttpResult
function http.head(url, options, _more)
  if _more ~= nil then too_many() end
  local status, ok, why, kind, packed, handle = call(HTTP, HEAD, url, options and slim(options, url))
  local res = result(status, ok, why, kind, packed, handle)
  return res
end

---OPTIONS a URL: a path behind the host, or a whole one.
---@param url string
---@param options HttpOptions?
---@return HttpResult
function http.options(url, options, _more)
  if _more ~= nil then too_many() end
  local status, ok, why, kind, packed, handle = call(HTTP, OPTIONS, url, options and slim(options, url))
  local res = result(status, ok, why, kind, packed, handle)
  return res
end

---Any method, in any case.
---@param method string
---@param url string
---@param options HttpOptions?
---@return HttpResult
function http.request(method, url, options, _more)
  if _more ~= nil then too_many() end
  if type(method) ~= "string" then error("the method must be a string, not a " .. type(method), 2) end
  local status, ok, why, kind, packed, handle = call(HTTP, method, url, options and slim(options, url))
  local res = result(status, ok, why, kind, packed, handle)
  return res
end

-- A request of a batch whose options stand beside method and URL, as one with the options in the third place; any other as it is.
local function gather(request, place)
  if type(request) ~= "table" or rawget(request, 1) == nil then return request end
  local options, beside = rawget(request, 3), nil
  if type(options) == "string" then
    error("request " .. tostring(place) .. ': options must be a table, such as { body = "..." }, { json = ... } or { form = ... }, not a string', 4)
  end
  for key, value in next, request do
    if key ~= 1 and key ~= 2 and key ~= 3 then
      beside = beside or {}
      beside[key] = value
    end
  end
  if not beside then return request end
  if options ~= nil then error("request " .. tostring(place) .. ": options stand in its third place, or beside method and URL, not both", 4) end
  return { rawget(request, 1), rawget(request, 2), slim(beside) }
end

local function gathered(requests)
  if type(requests) ~= "table" then return requests end
  local count, all = 0, nil
  for place, request in next, requests do
    count = count + 1
    local whole = gather(request, place)
    if whole ~= request then
      if not all then
        all = {}
        for key, value in next, requests do all[key] = value end
      end
      all[place] = whole
    end
  end
  -- A request behind a gap, as in `{ "/a", nil, "/b" }`, or under a name would be left out in silence.
  if count ~= rawlen(requests) then error("http.batch takes a list of requests without gaps, and no names", 3) end
  return all or requests
end

---Several requests at the same time; the results come in the order of the requests, when all are done. Over HTTP/1.1 six of them to one host are
---under way at a time, as in a browser, unless `max_connections` says otherwise; over HTTP/2 all share one connection.
---
---    http.defaults { max_connections = 40 }
---    http.batch(forty)
---@param requests (string|{ [1]: string, [2]: string, [3]: HttpOptions? }|table)[]  a URL, `{ "GET", "/a", { ... } }`, or `{ "GET", "/a", ... }` and `{ method = "GET", url = "/a", ... }` with options beside
---@return HttpResult[]
function http.batch(requests)
  local flat, mistake = call(HTTP, 0, gathered(requests))
  local list = results(flat, mistake)
  return list
end

---What all further requests of this user have in common. Adds to what it said before.
---
---    http.defaults { timeout = "5s", connection_max_age = "30s", connection_max_requests = 100 }
---@param template HttpTemplate
function http.defaults(template)
  must_run("http.defaults", 2)
  local done, mistake = native.defaults(template)
  if not done then error("http.defaults: " .. mistake, 2) end
end

---The verbs of `http` with settings of their own; called with a dot.
---@class HttpClient
---@field get fun(url: string, options: HttpOptions?): HttpResult
---@field post fun(url: string, options: HttpOptions?): HttpResult
---@field put fun(url: string, options: HttpOptions?): HttpResult
---@field patch fun(url: string, options: HttpOptions?): HttpResult
---@field delete fun(url: string, options: HttpOptions?): HttpResult
---@field head fun(url: string, options: HttpOptions?): HttpResult
---@field options fun(url: string, options: HttpOptions?): HttpResult
---@field request fun(method: string, url: string, options: HttpOptions?): HttpResult
---@field batch fun(requests: table): HttpResult[]

---A client with its own settings and the verbs of `http`, called with a dot: `api.get("/x")`. It is a template: connections and cookies are each user's
---own, and it lies over the user's `http.defaults`. Make it once, at the top of the script.
---
---    local partner = http.client { host = "https://partner.example", cert = "partner.pem", key = "partner.key", ca = "partner-ca.pem" }
---@param template HttpClientTemplate
---@return HttpClient
function http.client(template)
  local handle, mistake = native.client(template)
  if not handle then error("http.client: " .. mistake, 2) end
  local client = {}
  for code, method in next, native.methods do
    client[lower(method)] = function(url, options, _more)
      if _more ~= nil then too_many() end
      if url == client then error("a client's functions are called with a dot: client." .. lower(method) .. "(url)", 2) end
      local status, ok, why, kind, packed, body = call(HTTP, code, url, options and slim(options, url), handle)
      local res = result(status, ok, why, kind, packed, body)
      return res
    end
  end
  function client.request(method, url, options, _more)
    if _more ~= nil then too_many() end
    if type(method) ~= "string" then error("the method must be a string, not a " .. type(method), 2) end
    local status, ok, why, kind, packed, body = call(HTTP, method, url, options and slim(options, url), handle)
    local res = result(status, ok, why, kind, packed, body)
    return res
  end
  function client.batch(requests)
    local flat, mistake = call(HTTP, 0, gathered(requests), handle)
    local list = results(flat, mistake)
    return list
  end
  return client
end

---This user's cookies.
---@class HttpCookies
local cookies = {}
http.cookies = cookies

local function check_cookie(what, name, url)
  if type(name) ~= "string" then error("http.cookies." .. what .. ": the name must be a string, not a " .. type(name), 3) end
  if url ~= nil and type(url) ~= "string" then error("http.cookies." .. what .. ": the URL must be a string, not a " .. type(url), 3) end
end

---The value of a cookie, or of all of them by name, as a request to `url` would send them.
---@param name string?
---@param url string?  the user's host by default
---@return string|table<string, string>|nil
function cookies.get(name, url)
  check_cookie("get", name == nil and "" or name, url)
  local found, mistake
  if name == nil then
    found, mistake = native.cookie_all(url)
  else
    found, mistake = native.cookie_get(name, url)
  end
  if mistake then error("http.cookies.get: " .. mistake, 2) end
  return found
end

---Sets a cookie for all paths of a host.
---@param name string
---@param value string|number
---@param url string?  the user's host by default
function cookies.set(name, value, url)
  check_cookie("set", name, url)
  if type(value) ~= "string" and type(value) ~= "number" and type(value) ~= "cdata" then
    error("http.cookies.set: the value must be a string or a number, not a " .. type(value), 2)
  end
  value = engine.digits(value)
  local done, mistake = native.cookie_set(name, value, url)
  if not done then error("http.cookies.set: " .. mistake, 2) end
end

---Forgets a cookie, or several of one name, of a host, whatever their path: `http.cookies.delete("sid")`.
---@param name string
---@param url string?  the user's host by default
---@return boolean found
function cookies.delete(name, url)
  check_cookie("delete", name, url)
  local found, mistake = native.cookie_delete(name, url)
  if mistake then error("http.cookies.delete: " .. mistake, 2) end
  return found
end

---Forgets all cookies of this user.
function cookies.clear()
  local _, mistake = native.cookie_clear()
  if mistake then error("http.cookies.clear: " .. mistake, 2) end
end

engine.lock_library("http.cookies", cookies)

return http
