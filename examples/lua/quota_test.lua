local function sender(script, facts, tenant)
  local client = script:client(facts)
  client:mail("a@example.com")
  client.message_meta.tenant = tenant
  return client
end

local function send(client, n)
  for i = 1, n do test.equal(client:rcpt("b@example.com"), "accept", "recipient " .. i) end
end

test.case("a user has 200 recipients an hour", function()
  local script = test.script("quota.lua")
  local alice = sender(script, {auth_user = "alice"})
  send(alice, 200)
  test.equal(alice:rcpt("b@example.com"), "451 4.7.1 too many recipients within an hour, please wait")
  test.equal(script:metric("quota_refused"), 1)
  test.contains(script:log(), "alice is over the hourly quota")
  send(sender(script, {auth_user = "bob"}), 1)
  script:advance("2h")
  send(alice, 1)
end)

test.case("a tenant has 5000, whoever sends", function()
  local script = test.script("quota.lua")
  for user = 1, 25 do send(sender(script, {auth_user = "user" .. user}, "gold"), 200) end
  local one_more = sender(script, {auth_user = "another"}, "gold")
  test.contains(one_more:rcpt("b@example.com"), "too many recipients")
  send(sender(script, {auth_user = "another"}, "silver"), 1)
end)

test.case("the tenant is the listener's, unless a plugin says otherwise", function()
  local script = test.script("quota.lua")
  for user = 1, 25 do send(sender(script, {auth_user = "user" .. user, tenant = "gold"}), 200) end
  test.contains(sender(script, {auth_user = "another", tenant = "gold"}):rcpt("b@example.com"), "too many recipients")
  send(sender(script, {auth_user = "another", tenant = "gold"}, "silver"), 1)
  send(sender(script, {auth_user = "another", tenant = "bronze"}), 1)
end)

test.case("clients without a login are counted by address, and strangers not at all", function()
  local script = test.script("quota.lua")
  local machine = sender(script, {client_address = "192.0.2.7", trusted = true})
  send(machine, 200)
  test.contains(machine:rcpt("b@example.com"), "too many recipients")
  send(sender(script, {client_address = "198.51.100.1"}), 300)
end)
