-- AUTH against a table of salted hashes, with a brake on guessing: so many wrong passwords an hour for each user and
-- address, and then nobody can tell who that client is for a while.
--
--   [auth.users]
--   plugin = "lua"
--   script = "/etc/mansio/passwords.lua"
--
--   [lookup.passwords]
--   plugin = "lookup-file"
--   path = "/etc/mansio/passwords"
--
-- In that file, which others may not read, a line for each user: "alice SALT:HASH", the hash being what
-- `printf '%s' SALTpassword | sha256sum` says. That hash is made to be fast, and so is guessing from a stolen file: it
-- is for long passwords that a program made. For those that people think of there is the plugin auth-table.

local TOO_MANY = "too many wrong passwords from there"

local wrong = mansio.rate("passwords.wrong", "10/h")

mansio.provide("auth", "users", {
  check = function(user, password, step)
    local salt, hash = (mansio.lookup("passwords", user) or ""):match("^([^:]+):(%x+)$")
    -- Nothing waits from here on, so that of guesses that come at once each process looks at one too many at most.
    local who = user .. " " .. (step.client_address or "")
    if wrong:free(who) == 0 then return mansio.defer(TOO_MANY) end
    local given = mansio.hash.sha256((salt or "nobody") .. password)
    if hash and mansio.hash.equal(given, hash:lower()) then return true end
    if not wrong:take(who) then return mansio.defer(TOO_MANY) end
    return mansio.reject("wrong name or password")
  end,
})
