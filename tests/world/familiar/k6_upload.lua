-- k6, "Data uploads": a form with fields and several files, in their order, two of them under one name.
local http, random = require "http", require "random"
return function()
  local image, text = random.string(2000), random.sentence()
  http.post("/upload", {
    multipart = {
      { name = "someTextField", body = "someValue" },
      { name = "aBinaryFile", body = image, filename = "logo.png", content_type = "image/png" },
      { name = "anotherTextField", body = "anotherValue" },
      { name = "images", body = image, filename = "image1.png", content_type = "image/png" },
      { name = "images", body = image, filename = "image2.jpg", content_type = "image/jpeg" },
      { name = "text", body = text, filename = "text.txt", content_type = "text/plain" },
    },
    expect = { status = 201, json = { ["files.5.filename"] = "text.txt" } },
  })
end
