// Scripts under test, and the clients that talk to them, in the words of SMTP.
#include "plugins/lua/tool/library.hpp"

namespace mansio::lua::tool {

const char *const kSessions = R"lua(
local shared = ...
local LIBRARY = debug.getinfo(1, "S").source
local EPOCH = "2026-01-01T00:00:00Z"

-- An error that tells of the test's line, and not of one in here.
function shared.fail(message)
  local level, info = 2, nil
  repeat
    info = debug.getinfo(level, "Sl")
    level = level + 1
  until not info or (info.source ~= LIBRARY and info.what ~= "C")
  error((info and ("%s:%d: "):format(info.short_src, info.currentline) or "") .. message, 0)
end
local fail = shared.fail

-- What a function in C finds fault with is the test's.
local function guarded(f, ...)
  local results = table.pack(pcall(f, ...))
  if not results[1] then fail(tostring(results[2])) end
  return table.unpack(results, 2, results.n)
end

function shared.no_such(where, name, known)
  fail(("%s has no \"%s\"%s"):format(where, tostring(name), shared.suggestion(tostring(name), known)))
end

local function only_fields(where, given, known)
  for name in pairs(given) do
    local found = false
    for _, field in ipairs(known) do found = found or field == name end
    if not found then shared.no_such(where, name, known) end
  end
end

-- Of objects that have fields of their own from the beginning, and besides these methods alone.
function shared.strict_methods(where, methods)
  methods.__index = function(_, name)
    local method = rawget(methods, name)
    if method then return method end
    local known = {}
    for key in pairs(methods) do
      if not key:find("^__") then known[#known + 1] = key end
    end
    shared.no_such(where, name, known)
  end
end

-- Seconds since 1970 of "2026-01-31T12:00:00Z", or such a number.
local function seconds_at(clock)
  if math.type(clock) == "integer" then return clock end
  local year, month, day, hour, minute, second =
    tostring(clock):match("^(%d%d%d%d)-(%d%d)-(%d%d)T(%d%d):(%d%d):(%d%d)Z$")
  if not year then fail(("the clock is \"%s\", expected a time such as \"%s\""):format(tostring(clock), EPOCH)) end
  year, month, day = tonumber(year), tonumber(month), tonumber(day)
  if month <= 2 then year, month = year - 1, month + 12 end  -- a year begins in March
  local days = 365 * year + year // 4 - year // 100 + year // 400 + (153 * (month - 3) + 2) // 5 + day - 1 - 719468
  return ((days * 24 + tonumber(hour)) * 60 + tonumber(minute)) * 60 + tonumber(second)
end

-- Results --------------------------------------------------------------------------------------------------------------

local Result = {}
Result.__index = Result
function Result:__tostring()
  if self.relay then return ("%s %s %s"):format(self.action, self.enhanced, self.text) end  -- of a delivery
  if self.action == "reject" or self.action == "defer" then
    return ("%d %s %s"):format(self.code, self.enhanced, self.text)
  end
  return self.action .. (self.text ~= "" and ": " .. self.text or "")
end
shared.Result = Result

-- A fake that cannot answer: a table, the DNS or a server.
local Down = {}
Down.__index = Down
local function is_down(value) return getmetatable(value) == Down end

-- Messages -------------------------------------------------------------------------------------------------------------

local function canonical(text)
  text = text:gsub("\r?\n", "\r\n")
  if text ~= "" and text:sub(-2) ~= "\r\n" then text = text .. "\r\n" end
  return text
end

-- A text, or a list of header lines with a body: {"Subject: x", body = "text"}.
local function content_of(message)
  if type(message) == "string" then return canonical(message) end
  if type(message) ~= "table" then fail("a message is a text, or a list of header lines with a body") end
  local head = {}
  for i, line in ipairs(message) do
    if type(line) ~= "string" then fail("header line " .. i .. " of the message is no text") end
    head[i] = canonical(line)
  end
  for name in pairs(message) do
    if math.type(name) ~= "integer" and name ~= "body" then only_fields("a message", {[name] = true}, {"body"}) end
  end
  return table.concat(head) .. "\r\n" .. canonical(message.body or "")
end

-- The header as a list of {name, value as it stands there}, and the body.
local function parts_of(content)
  local head, body
  if content:sub(1, 2) == "\r\n" then
    head, body = "", content:sub(3)
  else
    local first, last = content:find("\r\n\r\n", 1, true)
    head, body = content:sub(1, first and first + 1 or -1), first and content:sub(last + 1) or ""
  end
  local fields = {}
  for line in head:gmatch("([^\n]*)\r\n") do
    local name, value = line:match("^([^%s:]+):(.*)$")
    if name then
      fields[#fields + 1] = {name = name, value = value}
    elseif #fields > 0 and line:find("^[ \t]") then
      fields[#fields].value = fields[#fields].value .. "\r\n" .. line
    end
  end
  return fields, body
end

local Message = {}
Message.__index = Message
-- The value of the nth field of that name, unfolded; nil when there is none.
function Message:header(name, nth)
  local left = nth or 1
  for _, field in ipairs(self.fields) do
    if field.name:lower() == name:lower() then
      left = left - 1
      if left == 0 then return (field.value:gsub("\r\n", ""):gsub("^%s+", ""):gsub("%s+$", "")) end
    end
  end
  return nil
end
function Message:__tostring()
  local lines = {"MAIL FROM:<" .. self.sender .. ">"}
  for _, recipient in ipairs(self.recipients) do lines[#lines + 1] = "RCPT TO:<" .. recipient .. ">" end
  lines[#lines + 1] = ""
  for _, field in ipairs(self.fields) do lines[#lines + 1] = field.name .. ":" .. field.value end
  lines[#lines + 1] = ""
  return table.concat(lines, "\r\n") .. "\r\n" .. self.body
end
shared.Message = Message

local function place_of(fields, name, nth)
  local left = nth
  for i, field in ipairs(fields) do
    if field.name:lower() == name:lower() then
      left = left - 1
      if left == 0 then return i end
    end
  end
  return nil
end

local apply = {
  add_header = function(message, text)
    local name, value = text:match("^([^:]+): (.*)$")
    table.insert(message.fields, {name = name, value = " " .. value})
  end,
  insert_header = function(message, text)
    local position, name, value = text:match("^(%d+) ([^:]+): (.*)$")
    table.insert(message.fields, math.min(tonumber(position), #message.fields) + 1, {name = name, value = " " .. value})
  end,
  change_header = function(message, text)
    local nth, name, value = text:match("^(%d+) ([^:]+): (.*)$")
    local place = place_of(message.fields, name, tonumber(nth)) or #message.fields + 1
    message.fields[place] = {name = name, value = " " .. value}
  end,
  delete_header = function(message, text)
    local nth, name = text:match("^(%d+) (.*)$")
    local place = place_of(message.fields, name, tonumber(nth))
    if place then table.remove(message.fields, place) end
  end,
  set_sender = function(message, text) message.sender = text end,
  add_recipient = function(message, text) table.insert(message.recipients, text) end,
  delete_recipient = function(message, text)
    for i = #message.recipients, 1, -1 do
      if message.recipients[i]:lower() == text:lower() then table.remove(message.recipients, i) end
    end
  end,
  redirect = function(message, text) message.recipients = {text} end,
  replace_body = function(message, text)
    message.body = (message.replaced and message.body or "") .. text
    message.replaced = true
  end,
}

-- Edits that versions of the message have in common with it.
local of_all = {
  set_sender = apply.set_sender,
  delete_recipient = apply.delete_recipient,
  redirect = function(message) message.recipients = {} end,
}
-- A version, yet without recipients, that begins as the message is.
local function version_of(message)
  local fields = {}
  for i, field in ipairs(message.fields) do fields[i] = {name = field.name, value = field.value} end
  return setmetatable({sender = message.sender, recipients = {}, fields = fields, body = message.body}, Message)
end

-- Clients --------------------------------------------------------------------------------------------------------------

local Client = {}
shared.strict_methods("a client", Client)

local KNOWN_FACTS = {}
for name in pairs(shared.facts) do KNOWN_FACTS[#KNOWN_FACTS + 1] = name end
local DEFAULT_FACTS = {client_address = "192.0.2.1", client_name = "client.example", client_port = 25025,
                       protocol = "ESMTP", listener = "smtp", myhostname = "mail.example.test"}

local function macros_of(client, event)
  local macros = {}
  for name, value in pairs(client.facts) do
    if value ~= false then macros[shared.facts[name]] = value end
  end
  if client.sender or event == "mail" then
    if client.sender then macros.sender = client.sender end
    macros.recipient_count = #client.recipients
  end
  return macros
end

local QUEUE_ID = "0123456789ABC"
local OF_CONTENT = {header = true, eoh = true, body = true, ["end-of-message"] = true}
local BEFORE_CONTENT = {mail = true, rcpt = true, data = true}

-- The message comes to nothing, which a script is told that has seen something of it.
local function abort(client)
  local saw = client.saw
  client.saw = false
  if saw then guarded(client.script.fake.abort, client.script.fake, client.id, QUEUE_ID) end
end

local function merge(into, set)
  for name, value in pairs(set) do into[name] = value ~= "" and value or nil end
end

-- One event: what the script says to it. Without a handler for it, it has no objection.
function Client:event(event, arguments, content)
  local script = self.script
  if not guarded(script.fake.wants, script.fake, event) then
    return setmetatable({action = "accept", code = 250, enhanced = "", text = "", edits = {}}, Result)
  end
  if BEFORE_CONTENT[event] or OF_CONTENT[event] then self.saw = true end
  local said = guarded(script.fake.stage, script.fake, {
    event = event, arguments = arguments, macros = macros_of(self, event), content = content,
    session = self.id, queue_id = (self.sender or event == "mail") and QUEUE_ID or "",
    session_meta = self.session_meta, message_meta = self.message_meta})
  if said.status == "internal" then fail("the script failed: " .. said.text) end
  merge(self.session_meta, said.session_meta)
  merge(self.message_meta, said.message_meta)
  local result = {action = "accept", code = 250, enhanced = said.enhanced, text = "", edits = said.edits}
  if said.status == "fail" or said.status == "defer" then
    result.action = said.status == "fail" and "reject" or "defer"
    result.code = said.code ~= 0 and said.code or (said.status == "fail" and 550 or 451)
    result.text = said.text
    if event == "mail" or OF_CONTENT[event] then self.saw = false end  -- it knows, as it has refused the message itself
  end
  for _, edit in ipairs(said.edits) do
    local verb, text = edit:match("^(%l+) (.*)$")
    if verb == "hold" or verb == "discard" or verb == "redirect" then result.action, result.text = verb, text end
    if verb == "redirect" then result.address = text end
    if verb == "redirect" and event ~= "end-of-message" then self.redirected = text end
  end
  return setmetatable(result, Result)
end

local function refused(result) return result.action == "reject" or result.action == "defer" end

function Client:connect()
  return self:event("connect", {self.facts.client_address or "", self.facts.client_name or "unknown",
                                tostring(self.facts.client_port or 0)})
end
function Client:helo(name)
  local result = self:event("helo", {name})
  if not refused(result) then self.facts.helo_name = name end
  return result
end
function Client:starttls() return self:event("starttls", {}) end
function Client:auth(mechanism, user)
  local result = self:event("auth", {mechanism, user})
  if not refused(result) then self.facts.auth_user = user end
  return result
end
function Client:mail(address, ...)
  self:reset()
  local result = self:event("mail", {address, ...})
  if refused(result) then
    self:reset()
  else
    self.sender = address
  end
  return result
end
function Client:rcpt(address, ...)
  if not self.sender then fail("there is no sender yet: client:mail() comes before client:rcpt()") end
  local result = self:event("rcpt", {address, ...})
  if not refused(result) then table.insert(self.recipients, address) end
  return result
end
function Client:data()
  if #self.recipients == 0 then fail("there is no recipient that the script took") end
  return self:event("data", {})
end
-- What was said of the recipients before counts now.
local function redirect(client)
  if client.redirected then client.recipients, client.redirected = {client.redirected}, false end
end
-- All events from data on; the first objection, or what the end of the message brought, with the message as it became.
function Client:message(message)
  local content = content_of(message)
  local fields, body = parts_of(content)
  local function all()
    local kept = nil
    -- The result when it is a refusal, else nil; and the result.
    local function ask(event, arguments, text)
      local result = self:event(event, arguments, text)
      if refused(result) then return result, result end
      if result.action ~= "accept" then kept = kept or result end
      return nil, result
    end
    if #self.recipients == 0 then fail("there is no recipient that the script took") end
    local no = ask("data", {})
    redirect(self)
    for _, field in ipairs(fields) do no = no or ask("header", {field.name, field.value}) end
    no = no or ask("eoh", {})
    if body ~= "" then no = no or ask("body", {body}) end
    if no then return no end
    local refusal, last = ask("end-of-message", {table.unpack(self.recipients)}, content)
    if refusal then return refusal end
    redirect(self)
    local result = kept or last
    local edited = setmetatable({sender = self.sender, recipients = {table.unpack(self.recipients)}, fields = fields,
                                 body = body}, Message)
    local versions = {}
    for _, edit in ipairs(last.edits) do
      local verb, text = edit:match("^([%l_]+) (.*)$")
      if verb == "version" then
        local number, recipient = text:match("^(%d+) (.*)$")
        number = tonumber(number)
        versions[number] = versions[number] or version_of(edited)
        apply.delete_recipient(edited, recipient)
        apply.add_recipient(versions[number], recipient)
      elseif verb == "of_version" then
        local number, its_verb, its_text = text:match("^(%d+) ([%l_]+) (.*)$")
        apply[its_verb](versions[tonumber(number)], its_text)
      elseif apply[verb] then
        apply[verb](edited, text)
        for _, version in ipairs(versions) do
          if of_all[verb] then of_all[verb](version, text) end
        end
      end
    end
    edited.replaced = nil
    for _, version in ipairs(versions) do version.replaced = nil end
    result.edits, result.message, result.versions = last.edits, edited, versions
    return result
  end
  local result = all()
  if not refused(result) then self.saw = false end
  self:reset(true)
  return result
end
-- As RSET, or a new message: what belongs to the message is gone. (After a message its notes can still be looked at.)
function Client:reset(keep_meta)
  abort(self)
  self.sender, self.recipients, self.redirected = false, {}, false
  if not keep_meta then self.message_meta = {} end
end
function Client:disconnect()
  self:reset(true)
  return self:event("disconnect", {})
end

-- Scripts --------------------------------------------------------------------------------------------------------------

local Script = {}
shared.strict_methods("a script", Script)

function Script:client(facts)
  facts = facts or {}
  only_fields("a client", facts, KNOWN_FACTS)
  local all = {}
  for name, value in pairs(DEFAULT_FACTS) do all[name] = value end
  for name, value in pairs(facts) do all[name] = value end
  self.clients = self.clients + 1
  return setmetatable({script = self, facts = all, id = "test." .. self.clients, sender = false, recipients = {},
                       redirected = false, saw = false, session_meta = {}, message_meta = {}}, Client)
end
-- Answers of a table: text, a list of texts, or test.down("why"). Keys without an answer are not found.
function Script:table(name, answers)
  guarded(self.fake.know_table, self.fake, name)
  for key, answer in pairs(answers or {}) do
    if is_down(answer) then
      guarded(self.fake.set_table, self.fake, name, key, nil, answer.why)
    else
      guarded(self.fake.set_table, self.fake, name, key, type(answer) == "table" and answer or {tostring(answer)})
    end
  end
end
-- Answers of the DNS, by "NAME TYPE": text, a list of texts or of {data =, preference =}, or test.down("why").
function Script:dns(answers)
  for question, answer in pairs(answers) do
    local name, kind = tostring(question):match("^(%S+) (%u+)$")
    if not name then fail(("\"%s\" is no question, expected one such as \"example.com MX\""):format(tostring(question))) end
    if is_down(answer) then
      guarded(self.fake.set_dns, self.fake, name, kind, nil, answer.why)
    else
      local records = {}
      for i, record in ipairs(type(answer) == "table" and answer or {answer}) do
        records[i] = type(record) == "table" and record or {data = tostring(record)}
      end
      guarded(self.fake.set_dns, self.fake, name, kind, records)
    end
  end
end
-- What a table of the script says: the first value or nil; a result when it says "try later".
local function ask(self, name, key)
  local said = guarded(self.fake.lookup, self.fake, name, key)
  if said.status == "internal" then fail("the script failed: " .. said.text) end
  if said.status == "ok" then return said.values end
  if said.status == "not found" then return {} end
  return setmetatable({action = "defer", code = 451, enhanced = "4.3.0", text = said.text, edits = {}}, Result)
end
function Script:lookup(name, key)
  local found = ask(self, name, key)
  if getmetatable(found) == Result then return found end
  return found[1]
end
function Script:lookup_all(name, key) return ask(self, name, key) end
function Script:dns_queries() return guarded(self.fake.dns_queries, self.fake) end
function Script:advance(time) return guarded(self.fake.advance, self.fake, time) end
function Script:now() return guarded(self.fake.now, self.fake) end
function Script:log() return guarded(self.fake.log, self.fake) end
function Script:metric(name) return guarded(self.fake.metric, self.fake, name) end

shared.Script, shared.guarded, shared.only_fields = Script, guarded, only_fields
shared.Down, shared.content_of = Down, content_of

local test = {}
shared.test = test
function test.down(why) return setmetatable({why = why or "it is down"}, Down) end
function test.lost(why) return setmetatable({why = why or "no answer", heard = true}, Down) end

-- Options with settings of the script's own: lines of `secrets`, whose values may have commas.
local function with_settings(options, settings)
  local all, lines = {}, {}
  for name, value in pairs(options or {}) do all[name] = value end
  if all.secrets then lines[1] = tostring(all.secrets) end
  for name, value in pairs(settings) do
    for _, one in ipairs(type(value) == "table" and value or {value}) do
      local text = tostring(one)
      if text:find("[\r\n]") then fail(("the setting \"%s\" has more than one line"):format(tostring(name))) end
      lines[#lines + 1] = tostring(name) .. "=" .. text
    end
  end
  all.secrets = table.concat(lines, "\n")
  return all
end

-- A script that runs, for the case that asks for it; outside of one, for all of the file. The path is from the test file.
function test.script(path, settings)
  settings = settings or {}
  only_fields("test.script", settings, {"options", "settings", "tables", "dns", "clock", "name", "http", "servers",
                                          "redis"})
  if path:sub(1, 1) ~= "/" then path = shared.directory .. path end
  local options = settings.settings and with_settings(settings.options, settings.settings) or settings.options
  local fake = guarded(shared.script, {path = path, name = settings.name or "test", options = options},
                       seconds_at(settings.clock or EPOCH))
  local script = setmetatable({fake = fake, clients = 0, exchanges = 0, http_answers = false, requests = {},
                               servers_by_address = false}, Script)
  table.insert(shared.open or shared.kept, script)
  for name, answers in pairs(settings.tables or {}) do script:table(name, answers) end
  for _, kind in ipairs{"dns", "http", "servers", "redis"} do
    if settings[kind] then script[kind](script, settings[kind]) end
  end
  return script
end
)lua";

}  // namespace mansio::lua::tool
