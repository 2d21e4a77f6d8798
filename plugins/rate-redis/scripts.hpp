// The two scripts that run in the server, so that what they read and write is one step for all nodes. The time is the
// server's: the nodes' clocks do not matter.
//
// A limit is a bucket that fills by one each `interval` microseconds up to `burst`. Its state is when it will be full
// again, as in the generic cell rate algorithm; the interval stands beside it for what is given back, and how long it
// takes to fill an empty one (`most`), which tells when the server's clock has gone back: it counts as empty then. A
// bucket that is full is one that is not there, so the key goes by itself. (An expiry is some thousand years at most,
// which the server still takes for one.)
#pragma once

namespace mansio::rate {

// KEYS[1]: the limit. ARGV: interval (microseconds), burst, how many are wanted.
// Answers how many are given, and when there are fewer, in how many microseconds the next one is there.
inline constexpr const char *kTake = R"lua(
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval, burst, want = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local kept = redis.call('HMGET', KEYS[1], 'full', 'most')
local before = tonumber(kept[1] or now)
local full = math.max(before, now)
if kept[2] then
  full = math.min(full, now + kept[2])
end
local given = math.max(0, math.min(want, math.floor(burst - (full - now) / interval)))
if given > 0 then
  full = math.ceil(full + given * interval)
  redis.call('HSET', KEYS[1], 'interval', ARGV[1], 'most', string.format('%.0f', math.ceil(burst * interval) + 1))
end
if given > 0 or full < before then
  redis.call('HSET', KEYS[1], 'full', string.format('%.0f', full))
  redis.call('PEXPIRE', KEYS[1], math.min(math.ceil((full - now) / 1000) + 1, 1e14))
end
local wait = 0
if given < want then
  wait = math.max(1, math.ceil(full - (burst - 1) * interval - now))
end
return {given, wait}
)lua";

// KEYS[1]: the limit. ARGV: how many were not used.
inline constexpr const char *kGiveBack = R"lua(
local full = redis.call('HGET', KEYS[1], 'full')
if full then
  local time = redis.call('TIME')
  local now = time[1] * 1000000 + time[2]
  full = math.ceil(full - ARGV[1] * redis.call('HGET', KEYS[1], 'interval'))
  if full > now then
    redis.call('HSET', KEYS[1], 'full', string.format('%.0f', full))
    redis.call('PEXPIRE', KEYS[1], math.min(math.ceil((full - now) / 1000) + 1, 1e14))
  else
    redis.call('DEL', KEYS[1])
  end
end
return {0}
)lua";

}  // namespace mansio::rate
