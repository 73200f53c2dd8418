-- Shared by both scripts. A topic's history is a hash, of the epoch, the last offset and the last number of each node, and a
-- stream, whose entries have the identifiers OFFSET-0 and the fields at (milliseconds), by (node), no (number) and e (what
-- the envelope has behind the position).

local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function identifier(offset)
  return string.format('%.0f-0', offset)
end

local function offset_of(entry)
  return tonumber(string.match(entry[1], '^(%d+)'))
end

local function came(entry)
  return tonumber(entry[2][2])
end

-- Begins another history where there is none: what a stream has of one that is over does not belong to it.
local function epoch_of(state, log, if_none, lifetime)
  local epoch = redis.call('HGET', state, 'epoch')
  if not epoch then
    epoch = if_none
    redis.call('DEL', log)
    redis.call('HSET', state, 'epoch', epoch)
    redis.call('PEXPIRE', state, lifetime)
  end
  return epoch
end

-- The offset of the oldest entry, and that of the oldest that came since then; one more than the last, where there is none.
-- Offsets are contiguous and times do not fall, so that a few entries tell.
local function first_since(log, last, since)
  local oldest = redis.call('XRANGE', log, '-', '+', 'COUNT', 1)[1]
  if not oldest then
    return last + 1, last + 1
  end
  local first = offset_of(oldest)
  if came(oldest) >= since then
    return first, first
  end
  local too_old, young = first, last + 1
  while young - too_old > 1 do
    local middle = math.floor((too_old + young) / 2)
    local entry = redis.call('XRANGE', log, identifier(middle), '+', 'COUNT', 1)[1]
    if entry and came(entry) < since then
      too_old = middle
    else
      young = middle
    end
  end
  return first, young
end

