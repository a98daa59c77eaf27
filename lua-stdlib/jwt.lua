---@meta jwt

---JSON Web Tokens (RFC 7519): signing, reading and verifying.
---
---    local jwt = require "jwt"
---    local token = jwt.sign({ sub = "u" .. self.index }, env("SECRET"), { expires = "1h" })
---    http.defaults { headers = { authorization = "Bearer " .. token } }
---
---Signing by HS costs some microseconds; by RS a millisecond or more, in which the lane's other users wait: sign once for each user, not for each request.
---@class jwtlib
local jwt = {}

local native, engine = ...
local json, time = require "json", require "time"

local error, floor, pairs, type = error, math.floor, pairs, type
local sub = string.sub

local CLAIMS_MAX, TOKEN_MAX, KEY_MAX = 1024 * 1024, 2 * 1024 * 1024, 64 * 1024

---@alias jwt.Algorithm "HS256"|"HS384"|"HS512"|"RS256"|"RS384"|"RS512"|"PS256"|"PS384"|"PS512"|"ES256"|"ES384"|"EdDSA"

---@class jwt.SignOptions
---@field alg? jwt.Algorithm       "HS256" if left out
---@field expires? number|string   `exp` so long from now, in whole seconds: a number or a text such as "1h"
---@field kid? string              which key it is, in the header
---@field header? table<string, any>  more of the header

---@class jwt.VerifyOptions
---@field alg? jwt.Algorithm      the only algorithm that is accepted; "HS256" if left out
---@field leeway? number|string   how far `exp` and `nbf` may be off: seconds or a text such as "1m"; 0 if left out

local function check_options(name, options, known)
  if options == nil then return {} end
  if type(options) ~= "table" then error("jwt." .. name .. ": the options must be a table, got " .. type(options), 3) end
  engine.check_keys(options, known, "jwt." .. name, 3)
  if options.alg ~= nil and type(options.alg) ~= "string" then error("jwt." .. name .. ": `alg` must be a string, got " .. type(options.alg), 3) end
  return options
end

local function check_key(name, key)
  if type(key) ~= "string" or key == "" then
    error("jwt." .. name .. ": the key must be a string that is not empty, got " .. (key == "" and "an empty one" or type(key)), 3)
  end
  if #key > KEY_MAX then error("jwt." .. name .. ": a key may have at most 64 KiB", 3) end
end

local function encoded(what, value)
  local ok, text = pcall(json.encode, value)
  if not ok then error("jwt.sign: the " .. what .. ": " .. text:gsub("^.-json%.encode: ", ""), 3) end
  if #text > CLAIMS_MAX then error("jwt.sign: the " .. what .. " may have at most 1 MiB", 3) end
  return text
end

---A signed token: `jwt.sign({ sub = "u1" }, "secret")`, `jwt.sign(claims, private_pem, { alg = "RS256", kid = "2026" })`. The secret of HS is any
---text; other algorithms take a private key in PEM.
---@param claims table|string  what the token says; a text is taken as JSON as it stands
---@param key string
---@param options? jwt.SignOptions
---@return string
function jwt.sign(claims, key, options)
  if type(claims) ~= "table" and type(claims) ~= "string" then error("jwt.sign: the claims must be a table or a JSON text, got " .. type(claims), 2) end
  check_key("sign", key)
  options = check_options("sign", options, { "alg", "expires", "kid", "header" })
  local alg, kid = options.alg or "HS256", options.kid
  if kid ~= nil and type(kid) ~= "string" then error("jwt.sign: `kid` must be a string, got " .. type(kid), 2) end
  local header = { alg = alg, typ = "JWT", kid = kid }
  if options.header ~= nil then
    if type(options.header) ~= "table" then error("jwt.sign: `header` must be a table, got " .. type(options.header), 2) end
    for name, value in pairs(options.header) do
      if name == "alg" then error("jwt.sign: the algorithm is the option `alg`, not a part of `header`", 2) end
      header[name] = value
    end
  end
  if options.expires ~= nil then
    local lives = engine.seconds(options.expires, "jwt.sign: expires", 2)
    if type(claims) ~= "table" then error("jwt.sign: `expires` goes with claims that are a table", 2) end
    if claims.exp ~= nil then error("jwt.sign: the claims have an `exp` of their own beside `expires`", 2) end
    local whole = {}
    for name, value in pairs(claims) do whole[name] = value end
    engine.must_run("jwt.sign() with `expires`", 2)
    whole.exp, claims = floor(time.unix() + lives), whole
  end
  local text = claims
  if type(claims) == "table" then
    text = encoded("claims", claims)
  elseif #text > CLAIMS_MAX then
    error("jwt.sign: the claims may have at most 1 MiB", 2)
  end
  local message = native.encode(encoded("header", header)) .. "." .. native.encode(text)
  local signature, why = native.sign(alg, key, message)
  if not signature then error("jwt.sign: " .. why, 2) end
  return message .. "." .. signature
end

---The parts of a token: claims, header, what was signed, the signature; or nil and why.
local function parts_of(token)
  if #token > TOKEN_MAX then return nil, "the token has more than 2 MiB" end
  local first = token:find(".", 1, true)
  local second = first and token:find(".", first + 1, true)
  if not second or token:find(".", second + 1, true) then return nil, "a token has three parts with dots between" end
  local texts = {}
  for at, part in ipairs { sub(token, 1, first - 1), sub(token, first + 1, second - 1) } do
    local name = at == 1 and "header" or "claims"
    local text, why = native.decode(part)
    if not text then return nil, "the " .. name .. ": " .. why end
    local value
    value, why = json.decode(text, { big_integers = "string" })
    if type(value) ~= "table" then return nil, "the " .. name .. ": " .. (why or "it is no JSON object") end
    texts[at] = value
  end
  return texts[2], texts[1], sub(token, 1, second - 1), sub(token, second + 1)
end

---What a token says, whoever signed it, and its header; or nil and why. Integers beyond 2^53 arrive as texts.
---@param token string
---@return table? claims
---@return table|string header  or why
function jwt.read(token)
  if type(token) ~= "string" then error("jwt.read: a string is needed, got " .. type(token), 2) end
  local claims, header = parts_of(token)
  return claims, header
end

---What a token says, where its signature fits the key, and `exp` and `nbf` the time; or nil and why: `jwt.verify(res:json("token"), public_pem, { alg = "RS256" })`.
---@param token string
---@param key string  the secret of HS; a public key in PEM of other algorithms
---@param options? jwt.VerifyOptions
---@return table? claims
---@return table|string header  or why
function jwt.verify(token, key, options)
  if type(token) ~= "string" then error("jwt.verify: the token must be a string, got " .. type(token), 2) end
  check_key("verify", key)
  options = check_options("verify", options, { "alg", "leeway" })
  local leeway = options.leeway ~= nil and engine.seconds(options.leeway, "jwt.verify: leeway", 2) or 0
  local alg = options.alg or "HS256"
  local claims, header, message, signature = parts_of(token)
  -- An algorithm or a key that cannot be used is the caller's mistake, whatever the token is.
  local holds, why = native.verify(alg, key, message or "", signature or "")
  if holds == nil then error("jwt.verify: " .. why, 2) end
  if not claims then return nil, header end
  if header.alg ~= alg then return nil, "the token is signed by " .. tostring(header.alg) .. ", not by " .. alg end
  if not holds then return nil, "the signature does not fit" end
  local now = time.unix()
  for _, name in ipairs { "exp", "nbf" } do
    if claims[name] ~= nil and type(claims[name]) ~= "number" then return nil, "`" .. name .. "` is no time" end
  end
  if claims.exp and now >= claims.exp + leeway then return nil, "the token has expired" end
  if claims.nbf and now < claims.nbf - leeway then return nil, "the token is not valid yet" end
  return claims, header
end

return jwt
