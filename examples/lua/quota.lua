-- Quotas: so many recipients an hour for each user and each tenant. What is too much is deferred, so that a client that
-- waits loses nothing; what comes to a full quota is not counted. The last word has what add() returns: it counts and
-- answers in one step, so that several processes together take no more than one would.
--
--   [policy.quota]
--   plugin = "lua"
--   script = "/etc/mansio/quota.lua"
--
-- The tenant is that of the listener (its option `tenant`), unless a plugin before this one has noted another one in the
-- message's metadata.

local USER, TENANT = 200, 5000

local users = mansio.window("quota.users", "1h")
local tenants = mansio.window("quota.tenants", "1h")
local refused = mansio.metric.counter("quota_refused", "Recipients that were over a quota.")

mansio.on("rcpt", function(transaction, rcpt)
  local session = transaction.session
  if not (session.trusted or session.auth_user) then return end
  local user = session.auth_user or session.client_address
  local tenant = transaction.meta.tenant or session.tenant
  local full = users:count(user) >= USER or (tenant and tenants:count(tenant) >= TENANT)
  if full or users:add(user) > USER or (tenant and tenants:add(tenant) > TENANT) then
    refused:add()
    mansio.log.warn("%s is over the hourly quota", user)
    return mansio.defer("4.7.1", "too many recipients within an hour, please wait")
  end
end)
