---@meta xml

---XML as Lua tables, and values by path.
---
---    local xml = require "xml"
---    local order = xml.parse(http.get("/order.xml"))
---    local first, skus = order:get("//item/price"), order:all("//item/@sku")
---
---A text of 8 MiB at most, elements nested at most 256 deep; entities that a DTD declares are not expanded.
---@class xmllib
local xml = {}

local native, engine = ...

local error, ipairs, pairs, rawget, tonumber, type = error, ipairs, pairs, rawget, tonumber, type
local find, match, sub = string.find, string.match, string.sub

local LONGEST, PATH_MAX = 8 * 1024 * 1024, 4096

---@class xml.Element
---@field name string        as it is written: "item", "soap:Body"
---@field attributes table<string, string>
---@field text string        its own text; without the layout around its elements where it has any
---@field [integer] xml.Element  the elements in it
local Element = {}

local METHODS = { "all", "attributes", "elements", "find", "get", "name", "text" }

local Class = {
  __metatable = false,
  __index = function(_, key)
    if Element[key] then return Element[key] end
    if type(key) ~= "string" then return nil end
    local near = engine.nearest(key, METHODS)
    error("an element has no `" .. key .. "`" .. (near and (", did you mean `" .. near .. "`?") or ": attributes are in `attributes`, elements by their position or by path"), 2)
  end,
}

local function must_be(value, name, path)
  if type(value) ~= "table" or type(rawget(value, "attributes")) ~= "table" then error("element:" .. name .. ": call it with a colon, on an element", 3) end
  if type(path) ~= "string" then error("element:" .. name .. ": the path must be a string, got " .. type(path), 3) end
  if path == "" then error("element:" .. name .. ": the path is empty", 3) end
  if #path > PATH_MAX then error("element:" .. name .. ": a path may have at most 4 KiB", 3) end
end

local function predicate_of(text)
  local position = match(text, "^%d+$")
  if position then
    if tonumber(position) < 1 then return nil, "positions count from 1" end
    return { position = tonumber(position) }
  end
  local at, name, quote, value = match(text, "^(@?)([^=%s]+)%s*=%s*(['\"])(.*)%3$")
  if name then return { is_attribute = at == "@", name = name, value = value } end
  name = match(text, "^@([^=%s'\"]+)$")
  if name then return { is_attribute = true, name = name } end
  return nil, "cannot read `[" .. text .. "]`: there are [2], [@name], [@name='value'] and [name='value']"
end

---One step from `from` on, and where the next begins; or nil and why.
local function step_of(path, from)
  local to = find(path, "[%[/]", from) or #path + 1
  local step = { name = sub(path, from, to - 1), predicates = {} }
  while sub(path, to, to) == "[" do
    -- A bracket inside of quotes is no end.
    local quote = match(path, "^%[[^%]'\"]*(['\"])", to)
    local closing
    if quote then
      local _, opened = find(path, quote, to, true)
      local _, closed = find(path, quote, opened + 1, true)
      closing = closed and find(path, "]", closed, true)
    else
      closing = find(path, "]", to, true)
    end
    if not closing then return nil, "`[` has no end" end
    local predicate, why = predicate_of(sub(path, to + 1, closing - 1))
    if not predicate then return nil, why end
    step.predicates[#step.predicates + 1] = predicate
    to = closing + 1
  end
  if sub(path, to, to) ~= "/" and to <= #path then return nil, "a slash is missing behind `]`" end
  return step, to
end

---The steps of a path; or nil and why.
local function steps_of(path)
  local steps, from = {}, 1
  local axis = "child"
  if sub(path, 1, 2) == "//" then
    axis, from = "any", 3
  elseif sub(path, 1, 1) == "/" then
    axis, from = "self", 2
  end
  while true do
    if from > #path then return nil, "it ends with a slash" end
    local step, to = step_of(path, from)
    if not step then return nil, to end
    if step.name == "" then return nil, "a step has no name" end
    step.axis = axis
    local attribute = match(step.name, "^@(.+)$")
    if attribute then
      step.attribute, step.name = attribute, nil
    elseif step.name == "text()" then
      step.is_text = true
    end
    steps[#steps + 1] = step
    if to > #path then return steps end
    if step.attribute or step.is_text then return nil, "an attribute is the last step" end
    axis, from = "child", to + 1
    if sub(path, from, from) == "/" then axis, from = "any", from + 1 end
  end
end

---A name without a prefix stands for any prefix.
local function is_named(name, wanted)
  return wanted == "*" or name == wanted or (not find(wanted, ":", 1, true) and match(name, ":(.*)$") == wanted)
end

local function attribute_of(element, name)
  local value = element.attributes[name]
  if value ~= nil or find(name, ":", 1, true) then return value end
  for key, other in pairs(element.attributes) do
    if is_named(key, name) then return other end
  end
end

local function holds(element, predicate)
  if predicate.is_attribute then
    local value = attribute_of(element, predicate.name)
    return value ~= nil and (predicate.value == nil or value == predicate.value)
  end
  for _, child in ipairs(element) do
    if is_named(child.name, predicate.name) and child.text == predicate.value then return true end
  end
  return false
end

---Those of one element's children that a step means: a position counts among them.
local function picked(children, step, into)
  local kept = {}
  for _, child in ipairs(children) do
    if is_named(child.name, step.name) then kept[#kept + 1] = child end
  end
  for _, predicate in ipairs(step.predicates) do
    local left = {}
    for position, child in ipairs(kept) do
      if predicate.position == position or (not predicate.position and holds(child, predicate)) then left[#left + 1] = child end
    end
    kept = left
  end
  for _, child in ipairs(kept) do into[#into + 1] = child end
end

local function descend(element, visit)
  visit(element)
  for _, child in ipairs(element) do descend(child, visit) end
end

---The elements that a path means, and its last step where that is an attribute or the text. `level` is that of the script's line, seen from here.
local function walk(element, path, name, level)
  local steps, why = steps_of(path)
  if not steps then error("element:" .. name .. ": `" .. path .. "`: " .. why, level) end
  local here = { element }
  for _, step in ipairs(steps) do
    if step.axis == "any" then
      -- Each element once, though several of those before may contain it.
      local all, seen = {}, {}
      for _, from in ipairs(here) do
        descend(from, function(inner)
          if not seen[inner] then seen[inner], all[#all + 1] = true, inner end
        end)
      end
      here = all
    end
    if step.attribute or step.is_text then return here, step end
    local next_ones = {}
    -- `//item` from the top means the top itself as well.
    if step.axis == "any" and step == steps[1] then picked({ element }, step, next_ones) end
    for _, from in ipairs(here) do picked(step.axis == "self" and { from } or from, step, next_ones) end
    here = next_ones
  end
  return here
end

---The text of the first thing at a path, or nil: `doc:get("order/item[2]/name")`, `doc:get("//item[@sku='A1']/price")`, `doc:get("order/@id")`. Steps are
---names with slashes between, `*` for any name, `//` for any depth, `@name` for an attribute at the end; a path that begins with a slash names this element
---first. A name without a prefix stands for any prefix.
---@param path string
---@return string?
function Element:get(path)
  must_be(self, "get", path)
  local elements, last = walk(self, path, "get", 3)
  for _, element in ipairs(elements) do
    local text = element.text
    if last and last.attribute then text = attribute_of(element, last.attribute) end
    if text ~= nil then return text end
  end
  return nil
end

---The texts of all things at a path, in the order of the document: `doc:all("//item/@sku")`.
---@param path string
---@return string[]
function Element:all(path)
  must_be(self, "all", path)
  local elements, last = walk(self, path, "all", 3)
  local texts = {}
  for _, element in ipairs(elements) do
    local text = element.text
    if last and last.attribute then text = attribute_of(element, last.attribute) end
    if text ~= nil then texts[#texts + 1] = text end
  end
  return texts
end

local function elements_at(element, path, name)
  local elements, last = walk(element, path, name, 4)
  if last then error("element:" .. name .. ": a path to elements ends with a name, not with an attribute or text(): `" .. path .. "`", 3) end
  return elements
end

---The first element at a path, or nil: `doc:find("//item[2]")`.
---@param path string
---@return xml.Element?
function Element:find(path)
  must_be(self, "find", path)
  local elements = elements_at(self, path, "find")
  return elements[1]
end

---All elements at a path, in the order of the document: `for _, item in ipairs(doc:elements("//item")) do ... end`.
---@param path string
---@return xml.Element[]
function Element:elements(path)
  must_be(self, "elements", path)
  local elements = elements_at(self, path, "elements")
  return elements
end

---The root element of an XML text or of an answer's body; or nil and what is wrong with it, with line and column.
---@param source string|HttpResult
---@return xml.Element? root
---@return string? why
function xml.parse(source)
  local text = source
  if type(source) == "table" and rawget(source, "_packed") ~= nil then
    text = source.body
    if text == nil then return nil, source.error or "the answer has no body" end
  end
  if type(text) ~= "string" then error("xml.parse: a string or a result of http is needed, got " .. type(text), 2) end
  if #text > LONGEST then error("xml.parse: a text may have at most 8 MiB, this one has " .. #text .. " bytes", 2) end
  local root, why = native.parse(text, Class)
  return root, why
end

return xml
