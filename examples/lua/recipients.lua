-- A table of recipients made of another: what follows "+" in a local part does not count, and neither does case.
--
--   [lookup.recipients]
--   plugin = "lua"
--   script = "/etc/mansio/recipients.lua"
--
--   [lookup.users]             # the one that knows: LDAP, a database, a file
--   plugin = "lookup-file"
--   path = "/etc/mansio/users"
--
-- A table "users" that cannot answer makes this one "try later", without a line about it here.

mansio.provide("lookup", "recipients", {
  lookup = function(key)
    local localpart, domain = key:match("^([^@+]+)%+?[^@]*@(.+)$")
    if not localpart then return nil end
    return mansio.lookup("users", localpart:lower() .. "@" .. domain:lower())
  end,
})
