-- Answers as data: parts of a JSON document, whole documents, and settings from outside.
--
--     lunamoth run scripts/documents.lua --set CURRENCY=EUR

local http = require "http"
local check = require "check"
local env = require "env"
local json = require "json"
local log = require "log"
local random = require "random"
local regex = require "regex"
local scenario = require "scenario"
local url = require "url"
local wait = require "wait"

-- Asked for at the top, the answer is the same on every machine: the master's.
local currency = env("CURRENCY", "EUR")

local Reader = scenario.user { name = "Reader", wait = wait.constant(0.5) }

Reader:task("read the list", function()
  local res = http.get("/products")
  -- One value by its path, counted from 0; the rest of the document costs no memory.
  local first = res:json("products.0.name")
  -- The whole document as a table, counted from 1 as all tables. Where the body is no JSON, `catalogue` is nil and `why` says why.
  local catalogue, why = res:json()
  if not catalogue then return res:fail(why) end
  check.that("the first is the first", catalogue.products[1].name == first)

  local product = random.choice(catalogue.products)
  http.get("/products/" .. product.id, { expect = { json = { price = product.price } } })
end)

Reader:task("search", function()
  -- Special characters are encoded, whatever they are.
  local res = http.get("/search?" .. url.query { q = "lamp & moth", currency = currency })
  -- A page is text: a regular expression finds the link in it.
  local link = regex.match(res.body, [[href="([^"]+)"]])
  if link then http.get(link) else res:fail("no link on the page") end
end)

Reader:task("send a document", function(self)
  -- An empty list has to be marked as one; `json.null` is JSON's null.
  local document = { user = self.number, tags = json.list(), note = json.null }
  local res = http.post("/echo", { json = document })
  local sent = json.decode(res:json("body") or "null")
  check.that("came back as it was", json.encode(sent) == json.encode(document))
  log.debug("sent", document)
end)

return scenario {
  host = "builtin:shop",
  users = { Reader },
  load = scenario.ramp { { users = 5, over = "1s" }, { hold = "9s" } },
  thresholds = { http_req_failed = { "rate < 1%" }, checks = { "rate > 99%" } },
}
