-- Who is logged in sends from addresses of his own: the table "sender_logins" says whose an address is, as Postfix's
-- smtpd_sender_login_maps does: logins, with blanks or commas between them, of an address or of "@" and a domain.
--
--   [policy.sender_login]
--   plugin = "lua"
--   script = "/etc/mansio/sender_login.lua"
--
--   [lookup.sender_logins]
--   plugin = "lookup-file"
--   path = "/etc/mansio/sender_logins"
--
-- An address that the table does not have is nobody's, and free. A table that cannot answer defers the mail.

-- What follows "+" in a local part does not count.
local function owners(sender)
  local localpart = sender.localpart:lower():match("^[^+]*")
  local found = mansio.lookup("sender_logins", localpart .. "@" .. sender.domain)
                or mansio.lookup("sender_logins", "@" .. sender.domain)
  if not found then return nil end
  local logins = {}
  for login in found:gmatch("[^%s,]+") do logins[login:lower()] = true end
  return logins
end

mansio.on("mail", function(transaction, sender)
  if sender.address == "" then return end
  local logins = owners(sender)
  if not logins then return end
  local user = transaction.session.auth_user
  if not user then
    if transaction.session.trusted then return end
    return mansio.reject("5.7.1", ("%s: not logged in"):format(sender.address))
  end
  if not logins[user:lower()] then
    return mansio.reject("5.7.1", ("%s: not owned by %s"):format(sender.address, user))
  end
end)
