// The scripts that run in the server, so that what they read and write is one step for all nodes. The time is the
// server's: the nodes' clocks do not matter.
//
// A limit of a rate is a bucket that fills by one each `interval` microseconds up to `burst`. Its state is when it will
// be full again, as in the generic cell rate algorithm; the interval stands beside it for what is given back, and how
// long it takes to fill an empty one (`most`), which tells when the server's clock has gone back: it counts as empty
// then. A bucket that is full is one that is not there, so the key goes by itself. (An expiry is some thousand years at
// most, which the server still takes for one.)
//
// A limit of deliveries at once is a hash with a field for each node (`n:` and its name): the places that it has at
// most, the number of its last question, when it counts as dead, the rest that its places have when they are given up,
// since when it waits for more and until when that counts, in microseconds. `rest` is when a place may be given again.
// A node that has more than its part while another has less is told to give up what is above; with fewer places than
// nodes they go round, and who has waited longest is next.
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

// KEYS[1]: the limit. ARGV: the node, the question's number, places that it holds, that it wants altogether, that there
// are, their rest, how long the node counts as alive without a word, and when to ask again (all times microseconds).
// Answers how many places the node may have, and when there are fewer than it wants, in how many microseconds to ask.
inline constexpr const char *kHold = R"lua(
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local own, number = 'n:' .. ARGV[1], tonumber(ARGV[2])
local held, want, capacity = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local rest, alive, again = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local free_at, taken, parties = 0, 0, 1
local before, since, waiting = 0, now, {}
local kept = redis.call('HGETALL', KEYS[1])
for i = 1, #kept, 2 do
  if kept[i] == 'rest' then
    free_at = math.max(free_at, math.min(tonumber(kept[i + 1]), now + rest))
  else
    local f = {}
    for word in string.gmatch(kept[i + 1], '%S+') do
      f[#f + 1] = tonumber(word)
    end
    local units, last, ends, its_rest, waits_since, waits_until = f[1], f[2], f[3], f[4], f[5], f[6]
    if kept[i] == own then
      if number < last or (number == last and ends > now) then
        return {units, 0}
      end
      if ends > now then
        before = units
      elseif units > 0 and its_rest > 0 then
        free_at = math.max(free_at, ends + its_rest)
      end
      if waits_until > now then
        since = waits_since
      end
    elseif ends <= now then
      if units > 0 and its_rest > 0 then
        free_at = math.max(free_at, ends + its_rest)
      end
      redis.call('HDEL', KEYS[1], kept[i])
    else
      taken = taken + units
      if waits_until > now then
        waiting[#waiting + 1] = {units, waits_since}
      end
      if units > 0 or waits_until > now then
        parties = parties + 1
      end
    end
  end
end
if rest > 0 and held < before then
  free_at = math.max(free_at, now + rest)
end
local left = math.max(0, capacity - taken - held)
local most, ahead = capacity, 0
if #waiting > 0 then
  local part, short = math.floor(capacity / parties), false
  for _, other in ipairs(waiting) do
    if other[1] < part then
      short = true
    end
    if other[2] < since then
      ahead = ahead + math.max(0, math.max(1, part) - other[1])
    end
  end
  if part == 0 then
    most = held == 0 and 1 or 0
  elseif short then
    most = part
  else
    most = math.ceil(capacity / parties)
  end
end
local given = math.min(want, most)
if given > held then
  given = held
  if free_at <= now then
    given = held + math.max(0, math.min(math.min(want, most) - held, left - ahead))
  end
end
local wait, waits_until = 0, 0
if given < want then
  wait = again
  if left > 0 and free_at > now then
    wait = free_at - now
  end
  if want > held then
    waits_until = now + wait + 10 * again
  end
end
if given > held or waits_until == 0 then
  since = now
end
redis.call('HSET', KEYS[1], own, string.format('%d %.0f %.0f %.0f %.0f %.0f', math.max(given, held), number, now + alive,
  rest, since, waits_until))
if free_at > now then
  redis.call('HSET', KEYS[1], 'rest', string.format('%.0f', free_at))
else
  redis.call('HDEL', KEYS[1], 'rest')
end
local lasts = math.ceil((math.max(alive, free_at - now) + rest) / 1000) + 1
redis.call('PEXPIRE', KEYS[1], math.max(lasts, redis.call('PTTL', KEYS[1])))
return {given, wait}
)lua";

}  // namespace mansio::rate
