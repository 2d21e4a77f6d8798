-- Lists in the DNS: what each says of a client is added up, and too much is refused.
--
--   [policy.dnsbl]
--   plugin = "lua"
--   script = "/etc/mansio/dnsbl.lua"
--
-- Names are examples: use lists whose terms allow it. A list that does not answer counts nothing, so that its trouble
-- is not that of the mail.

local LISTS = {
  {zone = "bl.example.org", weight = 3},
  {zone = "dynamic.example.net", weight = 1},
  {zone = "good.example.com", weight = -4},
}
local LIMIT = 3

-- Clients come again and again: each is asked about once in ten minutes.
local score = mansio.memoize(function(address)
  local sum, said = 0, {}
  for _, list in ipairs(LISTS) do
    local answered, records = pcall(mansio.dns, mansio.ip.reverse(address) .. "." .. list.zone, "A")
    if answered and #records > 0 then
      sum = sum + list.weight
      said[#said + 1] = list.zone
    end
  end
  return sum, table.concat(said, ", ")
end, {ttl = "10m"})

mansio.on("connect", function(session)
  if session.trusted or not session.client_address then return end
  local sum, said = score(session.client_address)
  if sum >= LIMIT then
    return mansio.reject("5.7.1", ("%s is listed by %s"):format(session.client_address, said))
  end
end)
