local function load()
  return test.script("passwords.lua", {name = "users", tables = {passwords = {
    alice = "salt:bede90386d450cea8b77b822f8887065e4e5abf132c2f9dccfcc7fbd4cba5e35",  -- secret
    broken = "no hash",
  }}})
end

test.case("who knows the password is let in", function()
  local script = load()
  test.equal(script:login("alice", "secret").user, "alice")
  test.equal(script:login("alice", "Secret"), "535 5.7.8 wrong name or password")
  test.equal(script:login("bob", "secret"), "535 5.7.8 wrong name or password")
  test.equal(script:login("broken", "no hash").action, "reject")
end)

test.case("who guesses has to wait, and nobody else", function()
  local script = load()
  for _ = 1, 10 do test.equal(script:login("alice", "guess").action, "reject") end
  test.equal(script:login("alice", "secret"), "454 4.7.0 too many wrong passwords from there")
  test.equal(script:login("alice", "secret", {client_address = "192.0.2.7"}), "accept")
  script:advance("6m")
  test.equal(script:login("alice", "secret"), "accept")
end)

test.case("a table that is down refuses nobody", function()
  local script = load()
  script:table("passwords", {alice = test.down("the server is away")})
  test.equal(script:login("alice", "secret").action, "defer")
end)
