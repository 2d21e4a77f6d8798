// Scripts under test that know clients of AUTH, own rates or are told of events of the queue.
#include "plugins/lua/tool/library.hpp"

namespace mansio::lua::tool {

const char *const kKinds = R"lua(
local shared = ...
local Script, Result, guarded, only_fields, fail =
  shared.Script, shared.Result, shared.guarded, shared.only_fields, shared.fail

local function said_by(reply)
  if reply.status == "internal" then fail("the script failed: " .. reply.text) end
  return reply
end

-- AUTH -----------------------------------------------------------------------------------------------------------------

local Exchange = {}
Exchange.__index = Exchange

-- An exchange begins; its client is at 192.0.2.1 and has TLS unless told.
function Script:auth(mechanism, facts)
  facts = facts or {}
  only_fields("an exchange", facts, {"client_address", "helo_name", "tls_version"})
  self.exchanges = (self.exchanges or 0) + 1
  return setmetatable(
    {script = self, mechanism = mechanism, facts = facts, number = self.exchanges, steps = 0}, Exchange)
end

-- What the script says to the client's response, or to none: accept with `user`, perhaps `identity`; challenge; reject;
-- defer.
function Exchange:step(response)
  local facts = self.facts
  local fake = self.script.fake
  local reply = said_by(guarded(fake.auth_step, fake, {
    mechanism = self.mechanism, response = response, step = self.steps, exchange = self.number,
    client_address = facts.client_address or "192.0.2.1", helo_name = facts.helo_name or "client.example",
    tls_version = facts.tls_version == false and "" or facts.tls_version or "TLSv1.3"}))
  self.steps = self.steps + 1
  local result = {action = "accept", code = 235, enhanced = "2.7.0", text = "", edits = {}}
  if reply.status == "ok" then
    result.user, result.identity = reply.values[1], reply.values[2]
  elseif reply.status == "skip" then
    result.action, result.code, result.text = "challenge", 334, reply.values[1] or ""
  elseif reply.status == "fail" then
    result.action, result.code, result.enhanced, result.text = "reject", 535, "5.7.8", reply.text
  else
    result.action, result.code, result.enhanced, result.text = "defer", 454, "4.7.0", reply.text
  end
  return setmetatable(result, Result)
end

-- With PLAIN.
function Script:login(user, password, facts)
  return self:auth("PLAIN", facts):step("\0" .. user .. "\0" .. password)
end

-- Rates ----------------------------------------------------------------------------------------------------------------

-- What the script gives: `permits`, for `ttl` seconds, and not to be asked for `retry` seconds; or defer.
function Script:lease(request)
  request = request or {}
  only_fields("a request", request, {"limit", "key", "want", "per_second", "burst"})
  local reply = said_by(guarded(self.fake.lease, self.fake, request))
  if reply.status ~= "ok" then
    return setmetatable({action = "defer", code = 451, enhanced = "4.3.0", text = reply.text, edits = {}}, Result)
  end
  local permits = reply.values[1]
  return setmetatable({action = "permits", code = 0, enhanced = "", text = permits, edits = {},
                       permits = math.tointeger(tonumber(permits)), ttl = reply.ttl, retry = reply.retry}, Result)
end

function Script:give_back(limit, key, unused) guarded(self.fake.give_back, self.fake, limit, key, unused) end

-- Events of the queue --------------------------------------------------------------------------------------------------

-- Whether the script has a handler for it. One that sleeps goes on when the clock does.
function Script:tell(event, about)
  about = about or {}
  only_fields("an event", about, {"queue_id", "recipient", "fields"})
  return guarded(self.fake.tell, self.fake, event, about)
end
)lua";

}  // namespace mansio::lua::tool
