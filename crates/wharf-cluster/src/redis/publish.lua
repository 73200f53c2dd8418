-- Keeps a message, once, and publishes it: its epoch and its offset, 0 where it was kept before and is no longer.
local state, log = KEYS[1], KEYS[2]
local new_epoch, node, number, channel, envelope = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5]
local max_messages, max_age, lifetime = ARGV[6], tonumber(ARGV[7]), tonumber(ARGV[8])
local nodes_before_a_look, most_at_once = 64, 1000

local time = now()
local epoch = epoch_of(state, log, new_epoch, lifetime)
local own = 'n:' .. node
local known = redis.call('HGET', state, own)
local last_number = 0
-- Who published a message that is kept behind later ones of its node.
local late = 'late:' .. node

-- The offset of a message that this node has published again: nil, where it was lost though a later one was not.
local function offset_of_first(newest)
  local upto = newest
  while true do
    local entries = redis.call('XREVRANGE', log, upto, '-', 'COUNT', 100)
    if #entries == 0 then
      local oldest = redis.call('XRANGE', log, '-', '+', 'COUNT', 1)[1]
      -- Where nothing is missing from the stream, it was not there.
      return (not oldest or offset_of(oldest) > 1) and 0 or nil
    end
    for _, entry in ipairs(entries) do
      local by, other = entry[2][4], tonumber(entry[2][6])
      if (by == node or by == late) and other == number then
        return offset_of(entry)
      elseif by == node and other < number then
        return nil
      end
    end
    upto = '(' .. entries[#entries][1]
  end
end

if known then
  local last, offset = string.match(known, '^(%d+) (%d+)')
  last_number = tonumber(last)
  if number <= last_number then
    local first = offset_of_first(offset .. '-0')
    if first then
      return { epoch, first }
    end
  end
elseif redis.call('HLEN', state) > nodes_before_a_look then
  -- A node that has been silent for so long has no message left to publish again.
  local fields = redis.call('HGETALL', state)
  for index = 1, #fields, 2 do
    local at = string.match(fields[index + 1], '^%d+ %d+ (%d+)$')
    if string.sub(fields[index], 1, 2) == 'n:' and at and tonumber(at) < time - lifetime then
      redis.call('HDEL', state, fields[index])
    end
  end
end

local offset = redis.call('HINCRBY', state, 'last', 1)
redis.call('XADD', log, 'MAXLEN', '=', max_messages, identifier(offset),
  'at', string.format('%.0f', time), 'by', number > last_number and node or late, 'no', string.format('%.0f', number), 'e', envelope)
redis.call('HSET', state, own,
  string.format('%.0f %.0f %.0f', math.max(number, last_number), offset, time))
local oldest, young = first_since(log, offset, time - max_age)
if young > oldest then
  redis.call('XTRIM', log, 'MINID', '=', identifier(math.min(young, oldest + most_at_once)))
end
redis.call('PEXPIRE', log, max_age)
redis.call('PEXPIRE', state, lifetime)
redis.call('PUBLISH', channel, '\0wharf1 ' .. epoch .. '-' .. string.format('%.0f', offset) .. ' ' .. envelope)
return { epoch, offset }
