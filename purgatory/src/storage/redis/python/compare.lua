-- One circuit of the Python package: reads its two values, or writes them if they are what they were.
--
-- KEYS: the record, the counter.
-- ARGV: nothing to read. To write: the record and the counter as they have to be, and as they become.
-- A value is '+' and its text, or '-': absent, or left as it is.
-- Answers: whether it was written (1) or not (0), the time in microseconds, the record, the counter.
local function value(text)
  return text and '+' .. text or '-'
end

-- Not MGET, to which a key of another type is absent: here that is an error, as in Python. It is returned, with
-- its code, which older servers would bury in a longer text.
local record, counter = redis.pcall('GET', KEYS[1]), redis.pcall('GET', KEYS[2])
if type(record) == 'table' then return record end
if type(counter) == 'table' then return counter end
record, counter = value(record), value(counter)

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
if record ~= ARGV[1] or counter ~= ARGV[2] then
  return {0, now, record, counter}
end

if ARGV[4] ~= '-' then
  counter = ARGV[4]
  if counter == '+0' then
    redis.call('SET', KEYS[2], '0')
  else
    -- Python increments, and that keeps an expiry that somebody has set.
    redis.call('SET', KEYS[2], string.sub(counter, 2), 'KEEPTTL')
  end
end
if ARGV[3] ~= '-' then
  record = ARGV[3]
  redis.call('SET', KEYS[1], string.sub(record, 2))
end
return {1, now, record, counter}
