-- Warming up a new sending address: few deliveries an hour to each destination at first, and more from day to day, so
-- that receivers get to know it.
--
--   [rate.warmup]
--   plugin = "lua"
--   script = "/etc/mansio/warmup.lua"
--
--   [transport.smtp]
--   plugin = "transport-smtp"
--   destination_rate_limit = "1000/m"      # the script says less
--   destination_rate_burst = 100
--   destination_rate_plugin = "warmup"
--
-- What was done within the last hour is forgotten when Mansio is stopped.

local BEGIN = os.time{year = 2026, month = 1, day = 1, hour = 0}
local FIRST, GROWTH, MOST = 50, 1.5, 100000  -- deliveries an hour

local hourly = mansio.window("warmup", "1h")

mansio.provide("rate", "warmup", {
  lease = function(request)
    local day = math.max((os.time() - BEGIN) // 86400, 0)
    local most = math.min(FIRST * GROWTH ^ day, MOST)
    local free = math.floor(most - hourly:count(request.key))
    if free < 1 then return mansio.permits(0, {retry = "1m"}) end
    local given = math.min(free, request.want)
    hourly:add(request.key, given)
    return mansio.permits(given, {ttl = "5m"})
  end,
})
