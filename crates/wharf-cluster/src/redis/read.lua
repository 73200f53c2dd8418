-- Reads a page: the epoch, the first offset that is kept, the last that there was, and offsets and envelopes in turn.
local state, log = KEYS[1], KEYS[2]
local new_epoch, after = ARGV[1], tonumber(ARGV[2])
local max_age, lifetime = tonumber(ARGV[3]), tonumber(ARGV[4])
local page_messages, page_bytes = tonumber(ARGV[5]), tonumber(ARGV[6])
local step = 100

local epoch = epoch_of(state, log, new_epoch, lifetime)
local last = tonumber(redis.call('HGET', state, 'last') or '0')
local _, first = first_since(log, last, now() - max_age)
local page = {}
if after < 0 then
  return { epoch, first, last, page }
end
if after > last then
  -- Another history's offset: all of this one is behind it.
  after = 0
end
local messages, bytes, from = 0, 0, identifier(math.max(after + 1, first))
while messages < page_messages and bytes < page_bytes do
  local entries = redis.call('XRANGE', log, from, '+', 'COUNT', step)
  for _, entry in ipairs(entries) do
    local envelope = entry[2][8]
    page[#page + 1] = offset_of(entry)
    page[#page + 1] = envelope
    messages, bytes = messages + 1, bytes + #envelope
  end
  if #entries < step then
    break
  end
  from = '(' .. entries[#entries][1]
end
return { epoch, first, last, page }
