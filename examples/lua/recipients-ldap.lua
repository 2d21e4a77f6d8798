-- Recipients that the directory does not have are refused while the client is there, so that nobody is sent a bounce for
-- what a stranger made up.
--
--   [policy.recipients]
--   plugin = "lua"
--   script = "/etc/mansio/recipients-ldap.lua"
--
--   [lookup.directory]
--   plugin = "lookup-ldap"
--   server_host = ["ldaps://ldap1.example.com", "ldaps://ldap2.example.com"]
--   search_base = "ou=people,dc=example,dc=com"
--   query_filter = "(&(objectClass=inetOrgPerson)(mail=%s))"
--   result_attribute = ["mail"]
--   bind_dn = "cn=reader,dc=example,dc=com"
--   bind_pw = "secret"
--
--   [smtpd]
--   policies = ["recipients"]
--
-- While no server of the directory answers, clients hear 451 and come again. What it said is remembered for a minute, and
-- so is that it does not have somebody: a list of guesses costs it one question for each.

local DOMAINS = {["example.com"] = true}  -- whose recipients the directory has; others are not ours to judge

local unknown = mansio.metric.counter("recipients_unknown", "Recipients that the directory does not have.")

local exists = mansio.memoize(function(address) return mansio.lookup("directory", address) ~= nil end, {ttl = "1m"})

mansio.on("rcpt", function(transaction, rcpt)
  if not DOMAINS[rcpt.domain] then return end
  local user = rcpt.localpart:lower():match("^[^+]+") or ""  -- what follows "+" is the user's own business
  if user == "postmaster" then return end                    -- RFC 5321 section 4.5.1
  if user ~= "" and exists(user .. "@" .. rcpt.domain) then return end
  unknown:add()
  return mansio.reject("5.1.1", "no such user here")
end)
