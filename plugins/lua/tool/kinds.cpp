// Scripts under test that know clients of AUTH, own rates, are told of events of the queue or have a say in them; that
// submit mail, take permits and have commands.
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
shared.strict_methods("an exchange", Exchange)

-- An exchange begins; its client is at 192.0.2.1 and has TLS unless told.
function Script:auth(mechanism, facts)
  facts = facts or {}
  only_fields("an exchange", facts, {"client_address", "helo_name", "tls_version"})
  self.exchanges = self.exchanges + 1
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

-- What a script asks of the queue, and operators of it ------------------------------------------------------------------

-- What becomes of mail that it submits: nil: it is taken; a text: it is refused for that; test.down(why): not now.
function Script:submit(answer)
  if getmetatable(answer) == shared.Down then return guarded(self.fake.answer_submit, self.fake, nil, answer.why) end
  return guarded(self.fake.answer_submit, self.fake, answer)
end
-- What was taken.
function Script:submitted() return guarded(self.fake.submitted, self.fake) end

-- How many permits there are, by "LIMIT KEY"; of others there are enough.
function Script:permits(answers)
  for what, n in pairs(answers) do
    local limit, key = tostring(what):match("^(%S+) (.+)$")
    if not limit then
      fail(("\"%s\" is no limit with a key, expected one such as \"tenant_rate_limit gold\""):format(tostring(what)))
    end
    guarded(self.fake.set_permits, self.fake, limit, key, n)
  end
end

-- A command: done, with `lines`; or failed.
function Script:call(name, ...)
  local reply = said_by(guarded(self.fake.call_command, self.fake, name, ...))
  local lines = reply.values
  if reply.text ~= "" then table.insert(lines, 1, reply.text) end
  return setmetatable({action = reply.status == "ok" and "done" or "failed", code = 0, enhanced = "",
                       text = table.concat(lines, "\n"), edits = {}, lines = lines}, Result)
end

-- What the queue asks --------------------------------------------------------------------------------------------------

local MAIL = {"sender", "queue_id", "meta", "recipients", "to"}
for name in pairs(shared.mail_facts) do MAIL[#MAIL + 1] = name end
local DEFAULT_MAIL = {client_address = "192.0.2.1", client_name = "client.example", helo_name = "client.example",
                      protocol = "ESMTP", listener = "smtp", myhostname = "mail.example.test", transport = "smtp",
                      size = 1000, attempts = 0, priority = 0}

-- What the script says to that event; without a handler, nothing. A fact that is false is not known.
local function decide(script, event, mail, arguments, facts)
  only_fields("mail", mail, MAIL)
  local result = {action = "accept", code = 0, enhanced = "", text = "", edits = {}}
  if not guarded(script.fake.wants, script.fake, event) then return setmetatable(result, Result) end
  local macros = {sender = mail.sender or "sender@example.org", arrival = math.floor(script:now())}
  for _, known in ipairs{DEFAULT_MAIL, facts, mail} do
    for name, value in pairs(known) do
      if shared.mail_facts[name] then macros[shared.mail_facts[name]] = value ~= false and value or "" end
    end
  end
  if event == "bounce" then macros.to = mail.to or macros.sender end
  local reply = said_by(guarded(script.fake.stage, script.fake, {
    event = event, arguments = arguments, macros = macros, queue_id = mail.queue_id or "0123456789ABC",
    message_meta = mail.meta}))
  result.edits, result.enhanced = reply.edits, reply.enhanced
  if reply.status == "fail" then
    result.action, result.code, result.text = "reject", 550, reply.text
  elseif reply.status == "defer" then
    result.action, result.code, result.text, result.retry = "defer", 451, reply.text, reply.retry
  end
  for _, edit in ipairs(reply.edits) do
    local verb, text = edit:match("^([%l_]+) (.*)$")
    if verb == "hold" or verb == "discard" then
      result.action, result.text = verb, text
    elseif verb == "redirect" then
      result.action, result.text, result.address = verb, text, text
    elseif verb == "route" then
      result.action, result.text = verb, text
      result.transport, result.nexthop = text:match("^([^:]*):(.*)$")
    elseif verb == "source_pool" then
      if result.action ~= "route" then result.action, result.text = "route", "" end
      result.source_pool = text
    end
  end
  return setmetatable(result, Result)
end

-- Recipients as texts, or with what was said of them: {address =, code =, status =, text =}.
local function told(recipients, otherwise)
  local arguments = {}
  for _, recipient in ipairs(recipients or {otherwise}) do
    if type(recipient) ~= "table" then recipient = {address = recipient} end
    only_fields("a recipient", recipient, {"address", "code", "status", "text"})
    for _, name in ipairs{"address", "code", "status", "text"} do
      arguments[#arguments + 1] = tostring(recipient[name] or "")
    end
  end
  return arguments
end

function Script:route(recipient, mail) return decide(self, "route", mail or {}, {recipient}, {}) end
function Script:predelivery(mail)
  mail = mail or {}
  return decide(self, "predelivery", mail, mail.recipients or {"user@example.com"}, {})
end
function Script:retry(mail)
  mail = mail or {}
  local deferred = {address = "user@example.com", code = 451, status = "4.2.0", text = "try again later"}
  return decide(self, "retry", mail, told(mail.recipients, deferred), {attempts = 1, retry_after = 300})
end
function Script:bounce(mail)
  mail = mail or {}
  local failed = {address = "user@example.com", code = 550, status = "5.1.1", text = "no such user"}
  return decide(self, "bounce", mail, told(mail.recipients, failed), {attempts = false, transport = false, kind = "failure"})
end
)lua";

}  // namespace mansio::lua::tool
