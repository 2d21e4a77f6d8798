-- Quiet hours: at night, newsletters wait. They are taken at any time, and delivered in the morning; what is not bulk
-- goes on. `mansio queue why` says what a message waits for.
--
--   [policy.quiet_hours]
--   plugin = "lua"
--   script = "/etc/mansio/quiet_hours.lua"
--   isolation = "process"
--
--   [queue]
--   policies = ["quiet_hours"]
--
-- The hours are those of the machine's time zone.

local BEGIN, END = 22, 7  -- from ten in the evening to seven in the morning
local SENDERS = {"news.example.com", "offers.example.net"}

local bulk = {}
for _, domain in ipairs(SENDERS) do bulk[domain] = true end

-- Seconds until the morning; nil by day.
local function night_lasts()
  local now = os.date("*t")
  local evening = now.hour >= BEGIN
  if not evening and now.hour >= END then return nil end
  local morning = os.time{year = now.year, month = now.month, day = now.day + (evening and 1 or 0), hour = END}
  return morning - os.time()
end

mansio.on("predelivery", function(mail)
  local wait = bulk[mail.sender.domain] and night_lasts()
  if wait then return mansio.retry(wait, ("quiet hours until %02d:00"):format(END)) end
end)
