-- Quotas for several hosts together: so many recipients an hour for each user, counted in Redis.
--
--   [policy.quota]
--   plugin = "lua"
--   script = "/etc/mansio/quota-redis.lua"
--   allow = ["redis"]
--
-- While Redis cannot be asked nothing is counted and mail passes: to be down is not the users' fault.

local LIMIT = 200

local redis = mansio.redis("127.0.0.1:6379", {timeout = "2s"})
local uncounted = mansio.metric.counter("quota_uncounted", "Recipients that Redis could not count.")

-- The first to count a key gives it its end, in the same step: one that was forgotten would count for ever.
local COUNT = [[
  local n = redis.call("INCR", KEYS[1])
  if n == 1 then redis.call("EXPIRE", KEYS[1], 7200) end
  return n
]]

mansio.on("rcpt", function(transaction)
  local user = transaction.session.auth_user
  if not user then return end
  local key = ("quota:%s:%d"):format(user, mansio.time.now() // 3600)
  local answered, count = pcall(redis.call, redis, "EVAL", COUNT, 1, key)
  if not answered then
    uncounted:add()
  elseif count > LIMIT then
    return mansio.defer("4.7.1", "too many recipients within an hour, please wait")
  end
end)
