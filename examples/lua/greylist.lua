-- Greylisting: the first mail from a network, for a sender and a recipient that are new together, has to come again.
-- Mail servers do that; much of what sends spam does not.
--
--   [policy.greylist]
--   plugin = "lua"
--   script = "/etc/mansio/greylist.lua"
--
-- What was seen is known to all processes, until Mansio is stopped: then mail has to come again once more.

-- A window is empty again after one to two of its lengths: the wait is five to ten minutes.
local new = mansio.window("greylist.new", "5m")
local known = mansio.window("greylist.known", "14d")

-- Servers of one sender take turns: the /24 of an IPv4 address stands for all of them.
local function network(address)
  return address:match("^(%d+%.%d+%.%d+)%.%d+$") or address
end

mansio.on("rcpt", function(transaction, rcpt)
  local session = transaction.session
  if session.trusted or session.auth_user then return end
  local key = table.concat({network(session.client_address or "?"), transaction.sender.address:lower(),
                            rcpt.address:lower()}, " ")
  if known:count(key) == 0 then
    known:add(key)
    new:add(key)
    return mansio.defer(450, "4.7.1", "greylisted, please come again in five minutes")
  end
  if new:count(key) > 0 then
    return mansio.defer(450, "4.7.1", "greylisted, please come again in some minutes")
  end
  known:add(key)
end)
