// The two scripts that run in the server, so that what they read and write is one step for all nodes. The time is the
// server's: the nodes' clocks do not matter.
//
// A limit is a bucket that fills by one each `interval` microseconds up to `burst`. All of its state is when it will be
// full again, as in the generic cell rate algorithm; the interval stands beside it for what is given back. A bucket
// that is full is one that is not there, so the key goes by itself then.
#pragma once

namespace mansio::rate {

// KEYS[1]: the limit. ARGV: interval (microseconds), burst, how many are wanted.
// Answers how many are given, and when there are fewer, in how many microseconds the next one is there.
inline constexpr const char *kTake = R"lua(
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval, burst, want = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local full = math.max(tonumber(redis.call('HGET', KEYS[1], 'full') or now), now)
full = math.min(full, now + math.ceil(burst * interval))
local given = math.max(0, math.min(want, math.floor(burst - (full - now) / interval)))
if given > 0 then
  full = math.ceil(full + given * interval)
  redis.call('HSET', KEYS[1], 'full', string.format('%.0f', full), 'interval', ARGV[1])
  redis.call('PEXPIRE', KEYS[1], math.ceil((full - now) / 1000) + 1)
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
    redis.call('PEXPIRE', KEYS[1], math.ceil((full - now) / 1000) + 1)
  else
    redis.call('DEL', KEYS[1])
  end
end
return {0}
)lua";

}  // namespace mansio::rate
