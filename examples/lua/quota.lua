-- Quotas: so many recipients an hour for each user and each tenant. What is too much is deferred, so that a client that
-- waits loses nothing.
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
  if users:count(user) >= USER or (tenant and tenants:count(tenant) >= TENANT) then
    refused:add()
    mansio.log.warn("%s is over the hourly quota", user)
    return mansio.defer("4.7.1", "too many recipients within an hour, please wait")
  end
  users:add(user)
  if tenant then tenants:add(tenant) end
end)
