-- Replaces a record. KEYS[1]: where it is. ARGV: the version that it replaces (0: none, *: any), the record,
-- how many milliseconds to keep it, and the channel on which to announce it, or nothing. END: versions are less
-- than this.
local stored = redis.pcall('GET', KEYS[1])
if type(stored) == 'table' then return stored end
stored = stored and string.sub(stored, 1, LONGEST)
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

-- What no storage has written has version 0. A version has 53 bits, as a Lua number: enough until 2255. If the
-- server's clock was there once, the versions that come after the last one are those of now.
local version = tonumber(string.match(stored or '', '^(%d+) ') or '0')
if version >= END then version = 0 end
if ARGV[1] ~= '*' and version ~= tonumber(ARGV[1]) then return {now, stored, 0} end

if version + 1 >= END then version = 0 end
local value = string.format('%.0f', math.max(version + 1, now)) .. ' ' .. ARGV[2]
redis.call('SET', KEYS[1], value, 'PX', ARGV[3])
if ARGV[4] == '' then return {now, value, 1} end
-- An error would not take the write back, so it must not look as if nothing was written.
local told = redis.pcall('PUBLISH', ARGV[4], KEYS[1] .. ' ' .. value)
return {now, value, 1, type(told) == 'table' and told.err or nil}
