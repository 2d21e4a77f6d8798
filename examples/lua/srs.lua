-- The Sender Rewriting Scheme: mail that is sent on to somewhere else goes out under an address of our own, so that SPF
-- holds there; and what comes back to such an address is sent to whom it was made of. Two tables:
--
--   [lookup.srs-forward]
--   plugin = "lua"
--   script = "/etc/mansio/srs.lua"
--   settings = { domain = ["srs.example.com"], own_domains = ["example.com"] }
--   secrets = { file = "/etc/mansio/srs.secrets" }  # which root alone reads: secret=...
--   [lookup.srs-reverse]
--   plugin = "lua"
--   script = "/etc/mansio/srs.lua"
--   settings = { domain = ["srs.example.com"], own_domains = ["example.com"] }
--   secrets = { file = "/etc/mansio/srs.secrets" }
--
--   sender_canonical_maps = ["srs-forward"]
--   sender_canonical_classes = ["envelope_sender"]
--   recipient_canonical_maps = ["srs-reverse"]
--   recipient_canonical_classes = ["envelope_recipient"]
--
-- Addresses have the scheme's usual form, "SRS0=hash=day=domain=user@ours" for a sender and
-- "SRS1=hash=domain==hash=day=domain=user@ours" for one that another server has rewritten already. The hash keeps
-- strangers from making such addresses; a day is good for three weeks, unless the
-- configuration says otherwise.

local SECRET = mansio.option("secret", {required = true, description = "a long text that nobody guesses"})
local OURS = mansio.option("domain", {default = "srs.example.com", description = "its mail comes here"})
local DAYS = mansio.option("days", {type = "integer", default = 21, description = "how long an address is good"})
local LOCAL = {}  -- domains of senders who need no other address
for _, domain in ipairs(mansio.option("own_domains", {type = "list", default = {"example.com"}})) do
  LOCAL[domain:lower()] = true
end

local DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
local CYCLE = 1024  -- days, after which the two digits of one come again

local function today() return math.floor(mansio.time.now() / 86400) % CYCLE end
local function day_text(day)
  local high, low = day // 32 + 1, day % 32 + 1
  return DIGITS:sub(high, high) .. DIGITS:sub(low, low)
end
local function day_number(text)
  local high, low = DIGITS:find(text:sub(1, 1), 1, true), DIGITS:find(text:sub(2, 2), 1, true)
  return high and low and (high - 1) * 32 + low - 1
end

-- Servers on the way may change case, so it counts for nothing.
local function hash(...)
  local text = table.concat({...}, "\0"):lower()
  return mansio.hash.hmac("sha256", SECRET, text):sub(1, 8)
end
local function is_hash(given, ...) return mansio.hash.equal(given:lower(), hash(...)) end

local function forward(address)
  local user, domain = address:match("^(.+)@([^@]+)$")
  if not user or LOCAL[domain:lower()] or domain:lower() == OURS then return nil end
  local kind, rest = user:match("^[Ss][Rr][Ss]([01])[-+=](.+)$")
  if kind == "0" then
    rest = "=" .. rest
    return ("SRS1=%s=%s=%s@%s"):format(hash(domain, rest), domain, rest, OURS)
  elseif kind == "1" then
    local first, inner = rest:match("^[^=]+=([^=]+)=(=.+)$")  -- the hash of the server before us means nothing here
    if first then return ("SRS1=%s=%s=%s@%s"):format(hash(first, inner), first, inner, OURS) end
  end
  local day = day_text(today())
  return ("SRS0=%s=%s=%s=%s@%s"):format(hash(day, domain, user), day, domain, user, OURS)
end

local function reverse(address)
  local user, domain = address:match("^(.+)@([^@]+)$")
  if not user or domain:lower() ~= OURS then return nil end
  local kind, given, rest = user:match("^[Ss][Rr][Ss]([01])[-+=](%x+)=(.+)$")
  if kind == "1" then
    local first, inner = rest:match("^([^=]+)=(=.+)$")
    if first and is_hash(given, first, inner) then return ("SRS0%s@%s"):format(inner, first) end
  elseif kind == "0" then
    local day, of, who = rest:match("^(%w%w)=([^=]+)=(.+)$")
    local made = day and day_number(day:upper())
    if made and (today() - made) % CYCLE <= DAYS and is_hash(given, day, of, who) then return who .. "@" .. of end
  end
  return nil
end

mansio.provide("lookup", "srs-forward", {lookup = function(key) return forward(key) end})
mansio.provide("lookup", "srs-reverse", {lookup = function(key) return reverse(key) end})
