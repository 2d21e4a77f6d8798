-- With a Redis that counts, and knows no end of a key.
local function quota()
  local counts = {}
  local function count(command, _, keys, key)
    test.equal({command, keys}, {"EVAL", "1"})
    counts[key] = (counts[key] or 0) + 1
    return counts[key]
  end
  local script = test.script("quota-redis.lua", {options = {allow = "redis"}, clock = "2026-01-01T12:30:00Z",
                                                 redis = {["127.0.0.1"] = count}})
  return script, counts
end

local function sender(script, facts)
  local client = script:client(facts)
  client:mail("a@example.com")
  return client
end

test.case("a user has 200 recipients an hour", function()
  local script, counts = quota()
  local alice = sender(script, {auth_user = "alice"})
  for i = 1, 200 do test.equal(alice:rcpt("b@example.com"), "accept", "recipient " .. i) end
  test.equal(alice:rcpt("b@example.com"), "451 4.7.1 too many recipients within an hour, please wait")
  test.equal(sender(script, {auth_user = "bob"}):rcpt("b@example.com"), "accept")
  script:advance("30m")
  test.equal(alice:rcpt("b@example.com"), "accept")
  local keys = {}
  for key in pairs(counts) do keys[#keys + 1] = key:match("^quota:(%a+):%d+$") end
  table.sort(keys)
  test.equal(keys, {"alice", "alice", "bob"})
end)

test.case("strangers are not counted", function()
  local script, counts = quota()
  test.equal(sender(script):rcpt("b@example.com"), "accept")
  test.equal(counts, {})
end)

test.case("mail passes while Redis cannot be asked", function()
  for _, trouble in ipairs{test.down("Connection refused"), function() return test.down("LOADING it loads") end,
                           function() return test.lost() end} do
    local script = test.script("quota-redis.lua", {options = {allow = "redis"}, redis = {["127.0.0.1:6379"] = trouble}})
    test.equal(sender(script, {auth_user = "alice"}):rcpt("b@example.com"), "accept")
    test.equal(script:metric("quota_uncounted"), 1)
  end
end)
