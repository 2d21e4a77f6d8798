-- Routing by header: our own systems say by a field which way their mail goes, and mail of mailing lists takes that of
-- bulk mail by itself. The field is seen in the session, where the script notes the way with the message; the queue asks
-- for it when it looks for a route, and again whenever the message is routed anew.
--
--   [policy.routing]
--   plugin = "lua"
--   script = "/etc/mansio/routing.lua"
--   isolation = "process"
--
--   [smtpd]
--   policies = ["routing"]
--
--   [queue]
--   policies = ["routing"]
--
--   [transport.bulk]
--   plugin = "transport-smtp"
--
-- A way leads to a transport of the configuration; without a next hop it is delivered to the recipient's domain.

local FIELD = "x-route"
local WAYS = {
  bulk = {transport = "bulk"},
  partner = {transport = "smtp", nexthop = "[mx.partner.example]:25"},
}
local NOTE = "routing.way"

-- Who may choose: clients in mynetworks, and those that have logged in.
local function is_ours(session) return session.trusted or session.auth_user ~= nil end

mansio.on("header", function(transaction, name, value)
  name = name:lower()
  if name == FIELD and is_ours(transaction.session) then
    local way = value:match("^%s*(.-)%s*$"):lower()
    if not WAYS[way] then return mansio.reject("5.6.0", "X-Route names no way that there is") end
    transaction.meta[NOTE] = way
  elseif name == "list-id" and not transaction.meta[NOTE] then
    transaction.meta[NOTE] = "bulk"
  end
end)

mansio.on("route", function(mail)
  local way = WAYS[mail.meta[NOTE]]
  if way then return mansio.route(way) end
end)
