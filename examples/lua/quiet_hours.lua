-- Quiet hours: at night, newsletters wait. Mail of these senders is deferred until the morning, and their servers keep
-- it so long; what is not bulk goes on.
--
--   [policy.quiet_hours]
--   plugin = "lua"
--   script = "/etc/mansio/quiet_hours.lua"
--
-- The hours are those of the machine's time zone.

local BEGIN, END = 22, 7  -- from ten in the evening to seven in the morning
local SENDERS = {"news.example.com", "offers.example.net"}

local bulk = {}
for _, domain in ipairs(SENDERS) do bulk[domain] = true end

local function is_quiet()
  local hour = tonumber(os.date("%H"))
  return hour >= BEGIN or hour < END
end

mansio.on("mail", function(_, sender)
  if bulk[sender.domain] and is_quiet() then
    return mansio.defer(450, "4.7.1", ("quiet hours, please come again after %02d:00"):format(END))
  end
end)
