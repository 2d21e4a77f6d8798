// Servers that tests play, and deliveries by a transport of the script.
#include "plugins/lua/tool/library.hpp"

namespace mansio::lua::tool {

const char *const kServers = R"lua(
local shared = ...
local Script, Result, Down, guarded, only_fields, fail, content_of =
  shared.Script, shared.Result, shared.Down, shared.guarded, shared.only_fields, shared.fail, shared.content_of

local function is_down(value) return getmetatable(value) == Down end

-- HTTP -----------------------------------------------------------------------------------------------------------------

-- Status, body and headers of what a test gives for an answer.
local function response_of(answer, request)
  if type(answer) == "function" then answer = answer(request) end
  if is_down(answer) then return nil, answer.why, answer.heard end
  if math.type(answer) == "integer" then answer = {status = answer} end
  if type(answer) == "string" then answer = {body = answer} end
  if type(answer) ~= "table" then
    error(("the answer to %s %s is a %s, expected a status, a body, or {status =, body =, headers =}"):format(
      request.method, request.url, type(answer)), 0)
  end
  only_fields("an answer over HTTP", answer, {"status", "body", "headers"})
  local headers = {}
  for name, value in pairs(answer.headers or {}) do headers[name:lower()] = tostring(value) end
  return answer.status or 200, answer.body or "", headers
end

-- Answers by "METHOD URL", or "*" for all others.
function Script:http(answers)
  if not self.http_answers then
    self.http_answers = {}
    guarded(self.fake.answer_http, self.fake, function(method, url, body, headers)
      local request = {method = method, url = url, body = body, headers = headers}
      table.insert(self.requests, request)
      local answer = self.http_answers[method .. " " .. url]
      if answer == nil then answer = self.http_answers["*"] end
      if answer == nil then return nil, ("the test has no answer to %s %s"):format(method, url), false end
      return response_of(answer, request)
    end)
  end
  for question, answer in pairs(answers) do
    if question ~= "*" and not tostring(question):find("^%u+ https?://") then
      fail(("\"%s\" is no request, expected one such as \"POST https://api.example.com/check\""):format(tostring(question)))
    end
    self.http_answers[question] = answer
  end
end
-- What was asked: a list of {method =, url =, body =, headers =}.
function Script:http_requests() return {table.unpack(self.requests)} end

-- Connections ----------------------------------------------------------------------------------------------------------

-- What a server reads from and writes to; as a script has it on the other side.
local Peer = {}
Peer.__index = Peer
function Peer:read_line()
  while true do
    local first, last = self.unread:find("\r?\n")
    if first then
      local line = self.unread:sub(1, first - 1)
      self.unread = self.unread:sub(last + 1)
      return line
    end
    coroutine.yield()
  end
end
function Peer:read(n)
  while #self.unread < n do coroutine.yield() end
  local octets = self.unread:sub(1, n)
  self.unread = self.unread:sub(n + 1)
  return octets
end
function Peer:write(...) self.said = self.said .. table.concat({...}) end

-- A function (text) -> what the server says to it, whether that is all.
local function conversation(server)
  local peer = setmetatable({unread = "", said = ""}, Peer)
  local thread = coroutine.create(type(server) == "function" and server or function() peer:write(server) end)
  local over = false
  return function(text)
    peer.unread = peer.unread .. text
    if not over then
      local ok, result = coroutine.resume(thread, peer)
      if not ok then error(result, 0) end
      over = coroutine.status(thread) == "dead"
      if over and is_down(result) then peer.said = "" end  -- it breaks off
    end
    local said = peer.said
    peer.said = ""
    return said, over
  end
end

local function add_server(script, address, server)
  if not script.servers_by_address then
    script.servers_by_address = {}
    guarded(script.fake.answer_connections, script.fake, function(wanted)
      local found = script.servers_by_address[wanted]
      if found == nil then return nil, "the test has no server " .. wanted end
      if is_down(found) then return nil, found.why end
      return conversation(found)
    end)
  end
  script.servers_by_address[address] = server
end

-- Servers by address: a function that gets its end of a connection, what they say at once, or test.down("why").
function Script:servers(servers)
  for address, server in pairs(servers) do
    if type(server) ~= "function" and type(server) ~= "string" and not is_down(server) then
      fail(("the server %s is a %s, expected a function, or what it says"):format(tostring(address), type(server)))
    end
    add_server(self, address, server)
  end
end

-- Redis ----------------------------------------------------------------------------------------------------------------

local function encoded(value)
  if value == nil or value == false then return "$-1\r\n" end
  if is_down(value) then return "-" .. value.why .. "\r\n" end
  if math.type(value) == "integer" then return (":%d\r\n"):format(value) end
  if type(value) ~= "table" then
    local text = tostring(value)
    return ("$%d\r\n%s\r\n"):format(#text, text)
  end
  local parts = {("*%d\r\n"):format(#value)}
  for i = 1, #value do parts[i + 1] = encoded(value[i]) end
  return table.concat(parts)
end

local OF_CONNECTIONS = {AUTH = true, SELECT = true}

local function redis_server(answer)
  return function(peer)
    while true do
      local words = {}
      for i = 1, tonumber(peer:read_line():match("^%*(%d+)$")) do
        words[i] = peer:read(tonumber(peer:read_line():match("^%$(%d+)$")))
        peer:read(2)
      end
      local value = "OK"
      if not OF_CONNECTIONS[words[1]:upper()] then value = answer(table.unpack(words)) end
      if is_down(value) and value.heard then return value end
      peer:write(encoded(value))
    end
  end
end

-- Servers of Redis by address: a function (command, ...) -> the reply, or test.down("why").
function Script:redis(servers)
  for address, answer in pairs(servers) do
    if type(answer) ~= "function" and not is_down(answer) then
      fail(("the Redis %s is a %s, expected a function of a command"):format(tostring(address), type(answer)))
    end
    if not address:find("^unix:") and not address:find(":%d+$") then address = address .. ":6379" end
    add_server(self, address, is_down(answer) and answer or redis_server(answer))
  end
end

-- Deliveries -----------------------------------------------------------------------------------------------------------

local ENDS = {ok = "sent", fail = "bounce", defer = "defer", uncertain = "uncertain"}

-- What the transport does with a message: a result for each recipient, by address.
function Script:deliver(mail)
  mail = mail or {}
  only_fields("a delivery", mail, {"sender", "recipients", "message", "nexthop", "meta", "attempts", "envid", "source_pool"})
  local recipients = {}
  for i, recipient in ipairs(mail.recipients or {"b@example.com"}) do
    if type(recipient) == "string" then recipient = {address = recipient} end
    only_fields("a recipient", recipient, {"address", "original", "orcpt", "notify"})
    recipients[i] = recipient
  end
  if #recipients == 0 then fail("a delivery has a recipient or more") end
  local replies = guarded(self.fake.deliver, self.fake, {
    sender = mail.sender or "a@example.com", recipients = recipients, content = content_of(mail.message or "\r\n"),
    nexthop = mail.nexthop, meta = mail.meta, attempts = mail.attempts, envid = mail.envid,
    source_pool = mail.source_pool})
  local results = {}
  for i, reply in ipairs(replies) do
    if not ENDS[reply.status] then fail("the script failed: " .. reply.text) end
    results[recipients[i].address] = setmetatable({
      action = ENDS[reply.status], code = reply.code, enhanced = reply.enhanced, text = reply.text, edits = {},
      relay = reply.relay, retry = reply.retry, nexthop_failed = reply.nexthop_failed}, Result)
  end
  return results
end
)lua";

}  // namespace mansio::lua::tool
