local function mail(facts, sender)
  local script = test.script("sender_login.lua", {tables = {sender_logins = {
    ["alice@example.com"] = "alice, Boss",
    ["@team.example.com"] = "bob",
    ["slow@example.com"] = test.down("the server is away"),
  }}})
  return script:client(facts):mail(sender)
end

test.case("an owner may use the address, with an extension too", function()
  test.equal(mail({auth_user = "alice"}, "alice@example.com"), "accept")
  test.equal(mail({auth_user = "boss"}, "Alice+lists@Example.com"), "accept")
  test.equal(mail({auth_user = "bob"}, "any@team.example.com"), "accept")
end)

test.case("others may not", function()
  test.equal(mail({auth_user = "bob"}, "alice@example.com"), "550 5.7.1 alice@example.com: not owned by bob")
  test.equal(mail({}, "alice@example.com"), "550 5.7.1 alice@example.com: not logged in")
  test.equal(mail({trusted = true}, "alice@example.com"), "accept")
end)

test.case("what nobody owns is free, and so is the null sender", function()
  test.equal(mail({auth_user = "bob"}, "bob@elsewhere.example"), "accept")
  test.equal(mail({}, ""), "accept")
end)

test.case("a table that is down defers", function()
  test.equal(mail({auth_user = "bob"}, "slow@example.com").action, "defer")
end)
