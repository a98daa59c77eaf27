---@meta html

---Pages, read as browsers read them, however broken: elements by CSS, links, and forms that are filled in and sent.
---
---    local html = require "html"
---    local page = html.parse(http.get("/login"))
---    local res = page:form("#login"):submit { user = "ada", password = "secret" }   -- hidden fields go along
---    local price = html.parse(res):first(".price"):text()
---
---A page of 4 MiB at most, in UTF-8. Keep what you need of a page in `self`, not the page: it takes several times its text.
---@class htmllib
local html = {}

local native, engine = ...
local http = require "http"

local error, ipairs, next, pairs, pcall, rawget, setmetatable, tostring, type = error, ipairs, next, pairs, pcall, rawget, setmetatable, tostring, type
local find, gsub, lower, match, sub = string.find, string.gsub, string.lower, string.match, string.sub
local concat = table.concat

local LONGEST, CSS_MAX = 4 * 1024 * 1024, 4096

---@class html.Page
---@field url string?  where it is from, so that links and forms lead where they lead in a browser
local Page = {}

---@class html.Element
---@field name string  in lower case: "a", "input"
local Element = {}

---@class html.Form
---@field action string  where it goes
---@field method string  "get" or "post"
local Form = {}

local function class(methods, what)
  local names = {}
  for name in next, methods do names[#names + 1] = name end
  table.sort(names)
  return {
    __metatable = false,
    __index = function(_, key)
      if methods[key] then return methods[key] end
      if type(key) ~= "string" or sub(key, 1, 1) == "_" or key == "url" then return nil end
      local near = engine.nearest(key, names)
      error(what .. " has no `" .. key .. "`" .. (near and (", did you mean `" .. near .. "`?") or (": it has " .. concat(names, ", "))), 2)
    end,
  }
end

local function must_be(value, field, what)
  if type(value) ~= "table" or rawget(value, field) == nil then error(what .. ": call it with a colon", 3) end
end

local function check_css(css, what)
  if type(css) ~= "string" then error(what .. ": the selector must be a string, got " .. type(css), 4) end
  if #css > CSS_MAX then error(what .. ": a selector may have at most 4 KiB", 4) end
end

local ElementClass, FormClass

local function element_at(page, number)
  return setmetatable({ name = native.name(page._page, number), _of = page, _number = number }, ElementClass)
end

local function selected(page, from, css, is_first, what)
  check_css(css, what)
  local numbers, why = native.select(page._page, from, css, is_first)
  if not numbers then error(what .. ": " .. why, 3) end
  return numbers
end

local function elements(page, from, css, what)
  check_css(css, what)
  local numbers, why = native.select(page._page, from, css, false)
  if not numbers then error(what .. ": " .. why, 3) end
  for at, number in ipairs(numbers) do numbers[at] = element_at(page, number) end
  return numbers
end

---All elements that a CSS selector matches, in the order of the document: `for _, row in ipairs(page:select("table tr.item")) do ... end`.
---@param css string
---@return html.Element[]
function Page:select(css)
  must_be(self, "_page", "page:select")
  local list = elements(self, nil, css, "page:select")
  return list
end

---The first element that a CSS selector matches, or nil: `page:first("meta[name=csrf-token]"):attr("content")`.
---@param css string
---@return html.Element?
function Page:first(css)
  must_be(self, "_page", "page:first")
  local numbers = selected(self, nil, css, true, "page:first")
  return numbers[1] and element_at(self, numbers[1])
end

---The page's text as people read it: no scripts, no styles, each white space one space.
---@return string
function Page:text()
  must_be(self, "_page", "page:text")
  return (native.text(self._page, nil))
end

---What stands in the `title`, or nil.
---@return string?
function Page:title()
  must_be(self, "_page", "page:title")
  local numbers = native.select(self._page, nil, "title", true)
  return numbers and numbers[1] and native.text(self._page, numbers[1]) or nil
end

---The page as markup, put right.
---@return string
function Page:html()
  must_be(self, "_page", "page:html")
  return (native.markup(self._page, nil))
end

local function base_of(page)
  local base = rawget(page, "_base")
  if base ~= nil then return base end
  local numbers = native.select(page._page, nil, "base[href]", true)
  local href = numbers and numbers[1] and native.attribute(page._page, numbers[1], "href")
  base = page.url
  if href then base = (base and native.join(base, href)) or (not base and href) or base end
  page._base = base or false
  return page._base
end

---Where a reference leads; as it stands where the page's own URL is not known, nil where it leads nowhere.
local function resolved(page, reference)
  reference = gsub(gsub(reference, "^%s+", ""), "%s+$", "")
  local base = base_of(page)
  if not base then return reference end
  local joined = native.join(base, reference)
  return joined
end

---Where the links of the page lead, each once, without fragments; those of an area or of all `a[href]` that a selector names. Links of mail, telephones and
---scripts are none: `http.get(random.choice(page:links("nav a")))`.
---@param css? string  "a[href], area[href]" if left out
---@return string[]
function Page:links(css)
  must_be(self, "_page", "page:links")
  if css == nil then css = "a[href], area[href]" end
  local numbers = selected(self, nil, css, false, "page:links")
  local links, seen = {}, {}
  for _, number in ipairs(numbers) do
    local href = native.attribute(self._page, number, "href")
    local link = href and resolved(self, href)
    if link then
      link = gsub(link, "#.*$", "")
      local scheme = match(link, "^(%a[%w+.-]*):")
      if link ~= "" and (not scheme or lower(scheme) == "http" or lower(scheme) == "https") and not seen[link] then
        seen[link], links[#links + 1] = true, link
      end
    end
  end
  return links
end

---A form: the first that a selector matches (or the one around what it matches), the first of the page if left out; nil and why where there is none.
---@param css? string
---@return html.Form?
---@return string? why
function Page:form(css)
  must_be(self, "_page", "page:form")
  if css == nil then css = "form" end
  local numbers = selected(self, nil, css, true, "page:form")
  local number = numbers[1]
  if number and native.name(self._page, number) ~= "form" then
    number = native.form(self._page, number)
  end
  if not number then return nil, "there is no form `" .. css .. "` on the page" end
  local method = lower(native.attribute(self._page, number, "method") or "get")
  return setmetatable({
    action = resolved(self, native.attribute(self._page, number, "action") or "") or "",
    method = method == "post" and "post" or "get",
    _of = self,
    _number = number,
  }, FormClass)
end

---All elements in this one that a CSS selector matches, in the order of the document.
---@param css string
---@return html.Element[]
function Element:select(css)
  must_be(self, "_number", "element:select")
  local list = elements(self._of, self._number, css, "element:select")
  return list
end

---The first element in this one that a CSS selector matches, or nil.
---@param css string
---@return html.Element?
function Element:first(css)
  must_be(self, "_number", "element:first")
  local numbers = selected(self._of, self._number, css, true, "element:first")
  return numbers[1] and element_at(self._of, numbers[1])
end

---An attribute, or nil: `link:attr("href")`.
---@param name string  in any case
---@return string?
function Element:attr(name)
  must_be(self, "_number", "element:attr")
  if type(name) ~= "string" then error("element:attr: the name must be a string, got " .. type(name), 2) end
  return (native.attribute(self._of._page, self._number, name))
end

---The element's text as people read it: each white space one space.
---@return string
function Element:text()
  must_be(self, "_number", "element:text")
  return (native.text(self._of._page, self._number))
end

---The element as markup, itself included.
---@return string
function Element:html()
  must_be(self, "_number", "element:html")
  return (native.markup(self._of._page, self._number))
end

-- Forms.

local ONE_TEXT = { text = true, hidden = true }

local function fields_of(form, what)
  local fields, why = native.fields(form._of._page, form._number)
  if not fields then error(what .. ": " .. why, 3) end
  return fields
end

local function text_of(value, name)
  local kind = type(value)
  if kind == "string" then return value end
  if kind == "number" then return tostring(value) end
  error("form:submit: `" .. name .. "` takes a string or a number, got " .. kind, 0)
end

local function list_of(value)
  if type(value) == "table" and value.body == nil then return value end
  return { value }
end

---Checks those of a group of boxes whose values are given, and no others.
local function check_boxes(name, group, value)
  if type(value) == "boolean" then
    if #group > 1 then error("form:submit: " .. #group .. " boxes are called `" .. name .. "`: give the value of one, or a list of values", 0) end
    if group[1].kind == "radio" then error("form:submit: `" .. name .. "` takes the value of one of its buttons, got boolean", 0) end
    group[1].is_checked = value
    return
  end
  local wanted = list_of(value)
  if group[1].kind == "radio" and #wanted ~= 1 then error("form:submit: `" .. name .. "` takes one value", 0) end
  for _, field in ipairs(group) do field.is_checked = false end
  for _, each in ipairs(wanted) do
    local text, known, values = text_of(each, name), false, {}
    for _, field in ipairs(group) do
      values[#values + 1] = field.value
      if field.value == text and not known then field.is_checked, known = true, true end
    end
    if not known then error("form:submit: `" .. name .. "` has no `" .. text .. "`: there are " .. concat(values, ", ", 1, #values < 20 and #values or 20), 0) end
  end
end

local function choose(name, field, value)
  local wanted = list_of(value)
  if #wanted > 1 and not field.is_multiple then error("form:submit: `" .. name .. "` takes one value", 0) end
  for _, option in ipairs(field.options) do option.is_selected = false end
  for _, each in ipairs(wanted) do
    local text, known, values = text_of(each, name), false, {}
    for _, option in ipairs(field.options) do
      if not option.is_disabled then
        values[#values + 1] = option.value
        if option.value == text and not known then option.is_selected, known = true, true end
      end
    end
    if not known then error("form:submit: `" .. name .. "` has no option `" .. text .. "`: there are " .. concat(values, ", ", 1, #values < 20 and #values or 20), 0) end
  end
end

local function attach(name, field, value)
  local files = list_of(value)
  if #files > 1 and not field.is_multiple then error("form:submit: `" .. name .. "` takes one file", 0) end
  for _, file in ipairs(files) do
    if type(file) ~= "table" or type(file.body) ~= "string" then error('form:submit: `' .. name .. '` takes a file: { body = "...", filename = "a.txt" }', 0) end
    for key, part in pairs(file) do
      if key ~= "body" and key ~= "filename" and key ~= "content_type" then error("form:submit: a file has body, filename and content_type, not `" .. tostring(key) .. "`", 0) end
      if type(part) ~= "string" then error("form:submit: `" .. key .. "` of a file must be a string, got " .. type(part), 0) end
    end
  end
  field.files = files
end

---Puts the values that are given into the fields.
local function fill(fields, values)
  local groups, names = {}, {}
  for _, field in ipairs(fields) do
    if field.name ~= "" and field.kind ~= "submit" and field.kind ~= "image" then
      local group = groups[field.name]
      if not group then
        group = {}
        groups[field.name], names[#names + 1] = group, field.name
      end
      group[#group + 1] = field
    end
  end
  for name, value in pairs(values) do
    if type(name) ~= "string" then error("form:submit: the values are named by their fields, got a " .. type(name) .. " as a name", 0) end
    local group = groups[name]
    if not group then
      local near = engine.nearest(name, names)
      local hint = near and (", did you mean `" .. near .. "`?") or #names > 0 and (": it has " .. concat(names, ", ", 1, #names < 20 and #names or 20)) or ""
      error("form:submit: the form has no field `" .. name .. "`" .. hint .. "; what scripts of the page would add goes into the option `extra`", 0)
    end
    local kind = group[1].kind
    if kind == "checkbox" or kind == "radio" then
      check_boxes(name, group, value)
    elseif kind == "select" then
      choose(name, group[1], value)
    elseif kind == "file" then
      attach(name, group[1], value)
    else
      local texts = list_of(value)
      if #texts > #group then error("form:submit: the form has " .. #group .. " fields called `" .. name .. "`, and " .. #texts .. " values were given", 0) end
      for at, each in ipairs(texts) do group[at].value = text_of(each, name) end
    end
  end
end

---The button that sends the form: the one that is named, else the first, as when a person presses Enter.
local function button_of(fields, wanted)
  if wanted == false then return nil end
  if wanted ~= nil and type(wanted) ~= "string" then error("form:submit: `button` must be a name or a value, or false, got " .. type(wanted), 0) end
  local known = {}
  for _, field in ipairs(fields) do
    if field.kind == "submit" or field.kind == "image" then
      if wanted == nil then return not field.is_disabled and field or nil end
      known[#known + 1] = field.name ~= "" and field.name or field.value
      if field.name == wanted or field.value == wanted then return field end
    end
  end
  if wanted ~= nil then error("form:submit: the form has no button `" .. wanted .. "`" .. (#known > 0 and (": it has " .. concat(known, ", ")) or ""), 0) end
end

---Name, value, name, value, ... as a browser sends them; a value that is a table is a file.
local function entries_of(fields, button)
  local entries = {}
  local function add(name, value)
    entries[#entries + 1] = name
    entries[#entries + 1] = value
  end
  for _, field in ipairs(fields) do
    local kind, name = field.kind, field.name
    if kind == "image" then
      if field == button then
        local prefix = name ~= "" and (name .. ".") or ""
        add(prefix .. "x", "0")
        add(prefix .. "y", "0")
      end
    elseif field.is_disabled or name == "" then
      -- Neither is sent.
    elseif kind == "submit" then
      if field == button then add(name, field.value) end
    elseif kind == "checkbox" or kind == "radio" then
      if field.is_checked then add(name, field.value) end
    elseif kind == "select" then
      for _, option in ipairs(field.options) do
        if option.is_selected and not option.is_disabled then add(name, option.value) end
      end
    elseif kind == "file" then
      for _, file in ipairs(field.files or { { body = "", filename = "" } }) do add(name, file) end
    else
      add(name, field.value)
    end
  end
  return entries
end

---@class html.SubmitOptions: HttpOptions
---@field button? string|false  the name or value of the button that is pressed; the first one if left out, none if false
---@field extra? table<string, string|number>  what scripts of the page would add

local OURS = { button = true, extra = true }
local TAKEN = { body = true, json = true, form = true, multipart = true, params = true }

local function request_options(options, extra_headers)
  local out, headers = {}, {}
  for key, value in pairs(options) do
    if TAKEN[key] then error("form:submit: the form makes the body; `" .. key .. "` has no place here", 0) end
    if not OURS[key] then out[key] = value end
  end
  if options.headers ~= nil and type(options.headers) ~= "table" then return out end
  local given = {}
  for name, value in pairs(options.headers or {}) do
    headers[name] = value
    if type(name) == "string" then given[lower(name)] = true end
  end
  for name, value in pairs(extra_headers) do
    if not given[name] then headers[name] = value end
  end
  out.headers = headers
  return out
end

local function multipart_of(entries)
  local parts = {}
  for at = 1, #entries, 2 do
    local name, value = entries[at], entries[at + 1]
    if type(value) == "table" then
      parts[#parts + 1] = { name = name, body = value.body, filename = value.filename or "blob", content_type = value.content_type or "application/octet-stream" }
    else
      parts[#parts + 1] = { name = name, body = (gsub(gsub(value, "\r\n?", "\n"), "\n", "\r\n")) }
    end
  end
  return parts
end

---Lines end as the standard says; a file is its name.
local function flattened(entries)
  local flat = {}
  for at, value in ipairs(entries) do
    if type(value) == "table" then value = value.filename or "" end
    flat[at] = gsub(gsub(value, "\r\n?", "\n"), "\n", "\r\n")
  end
  return flat
end

local function plan_of(form, values, options)
  local page = form._of
  local fields = native.fields(page._page, form._number)
  if not fields then error("form:submit: it takes too long", 0) end
  fill(fields, values)
  local button = button_of(fields, options.button)
  local function of_button(name) return button and native.attribute(page._page, button.number, name) end
  local entries = entries_of(fields, button)
  if options.extra ~= nil then
    if type(options.extra) ~= "table" then error("form:submit: `extra` must be a table, got " .. type(options.extra), 0) end
    local names = {}
    for name in pairs(options.extra) do
      if type(name) ~= "string" then error("form:submit: the names of `extra` must be strings, got " .. type(name), 0) end
      names[#names + 1] = name
    end
    table.sort(names)
    for _, name in ipairs(names) do
      entries[#entries + 1] = name
      entries[#entries + 1] = text_of(options.extra[name], name)
    end
  end
  local own = native.attribute(page._page, form._number, "method") or "get"
  local method = lower(of_button("formmethod") or own) == "post" and "post" or "get"
  local action = of_button("formaction")
  action = action and resolved(page, action) or form.action
  local encoding = lower(of_button("formenctype") or native.attribute(page._page, form._number, "enctype") or "")
  return method, action, encoding, entries
end

---What the form would send now: names and values, a list where a name comes several times. Files are their names.
---@return table<string, string|string[]>
function Form:fields()
  must_be(self, "_number", "form:fields")
  local entries = flattened(entries_of(fields_of(self, "form:fields"), nil))
  local values = {}
  for at = 1, #entries, 2 do
    local name, value = entries[at], entries[at + 1]
    local known = values[name]
    if known == nil then
      values[name] = value
    elseif type(known) == "table" then
      known[#known + 1] = value
    else
      values[name] = { known, value }
    end
  end
  return values
end

---Fills fields in and sends the form as a browser would, hidden fields and the pressed button included: `form:submit { user = "ada", remember = true }`.
---A text field takes a string or a number, a check box true or false (or the value to check; a list of several), a radio button and a select the value of one
---of theirs, a file field `{ body = "...", filename = "a.png", content_type = "image/png" }`. What is not given stays as the page has it.
---@param values? table<string, any>  by the names of the fields
---@param options? html.SubmitOptions  as of any request, and `button`, `extra`
---@return HttpResult
function Form:submit(values, options)
  must_be(self, "_number", "form:submit")
  engine.must_run("form:submit()", 2)
  if values == nil then values = {} end
  if options == nil then options = {} end
  if type(values) ~= "table" then error("form:submit: the values must be a table, got " .. type(values), 2) end
  if type(options) ~= "table" then error("form:submit: the options must be a table, got " .. type(options), 2) end
  local ok, method, action, encoding, entries = pcall(plan_of, self, values, options)
  if not ok then error(method, 2) end
  local headers, parts, body = {}, nil, nil
  local page = self._of
  local referer, origin
  if page.url then referer, origin = native.origins(page.url, action) end
  headers.referer = referer
  local send = http.get
  if method == "get" then
    action = gsub(gsub(action, "#.*$", ""), "%?.*$", "") .. "?" .. native.encode(flattened(entries))
  else
    send, headers.origin = http.post, origin
    if encoding == "multipart/form-data" then
      parts = multipart_of(entries)
    elseif encoding == "text/plain" then
      local lines, flat = {}, flattened(entries)
      for at = 1, #flat, 2 do lines[#lines + 1] = flat[at] .. "=" .. flat[at + 1] .. "\r\n" end
      headers["content-type"], body = "text/plain", concat(lines)
    else
      headers["content-type"], body = "application/x-www-form-urlencoded", native.encode(flattened(entries))
    end
  end
  local made
  ok, made = pcall(request_options, options, headers)
  if not ok then error(made, 2) end
  made.body, made.multipart = body, parts
  -- A mistake in the options shall be raised at the caller's line.
  local res
  ok, res = pcall(send, action, made)
  if not ok then error(type(res) == "string" and gsub(res, "^%[lunamoth html%]:%d+: ", "") or res, 2) end
  return res
end

ElementClass, FormClass = class(Element, "an element"), class(Form, "a form")
local PageClass = class(Page, "a page")

---@class html.ParseOptions
---@field url? string  where the page is from, so that links and forms lead where they lead in a browser

---The page of a text or of an answer's body; or nil and why. Any text is a page: what is broken is put right as browsers do.
---@param source string|HttpResult
---@param options? html.ParseOptions
---@return html.Page? page
---@return string? why
function html.parse(source, options)
  local text, url = source, nil
  if type(source) == "table" and rawget(source, "_packed") ~= nil then
    text, url = source.body, source.url
    if text == nil then return nil, source.error or "the answer has no body" end
  end
  if type(text) ~= "string" then error("html.parse: a string or a result of http is needed, got " .. type(text), 2) end
  if options ~= nil then
    if type(options) ~= "table" then error("html.parse: the options must be a table, got " .. type(options), 2) end
    engine.check_keys(options, { "url" }, "html.parse", 2)
    if options.url ~= nil and type(options.url) ~= "string" then error("html.parse: `url` must be a string, got " .. type(options.url), 2) end
    url = options.url or url
  end
  if #text > LONGEST then error("html.parse: a page may have at most 4 MiB, this one has " .. #text .. " bytes", 2) end
  local page, why = native.parse(text)
  if not page then return nil, why end
  return setmetatable({ url = url, _page = page }, PageClass)
end

return html
