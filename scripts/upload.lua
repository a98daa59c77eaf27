-- Files sent as a form does, and as a body of their own with a digest.
--
--     lunamoth run scripts/upload.lua

local hash, http, random, scenario, wait = require "hash", require "http", require "random", require "scenario", require "wait"

local Author = scenario.user { name = "Author", wait = wait.constant(0.5) }

Author:task("send a form with a picture", function()
  http.post("/upload", {
    multipart = {
      title = random.sentence(),
      picture = { body = random.string(20000), filename = "moth.png", content_type = "image/png" },
    },
    expect = { status = 201, json = { ["files.0.bytes"] = 20000, ["files.0.filename"] = "moth.png" } },
  })
end)

Author:task("send a document", function()
  local document = random.string(5000)
  http.post("/upload", {
    body = document,
    headers = { ["content-type"] = "text/plain", digest = "sha-256=" .. hash.sha256(document, "base64") },
    expect = { status = 201, json = { ["files.0.bytes"] = 5000 } },
  })
end)

return scenario {
  host = "builtin:shop",
  users = { Author },
  load = scenario.ramp { { users = 5, over = "1s" }, { hold = "3s" } },
  thresholds = { http_req_failed = { "rate < 1%" }, exceptions = { "count < 1" } },
}
