-- Reads a record. KEYS[1]: where it is.
local stored = redis.pcall('GET', KEYS[1])
-- Some other type is there: the error, with its code, which older servers would bury in a longer text.
if type(stored) == 'table' then return stored end
stored = stored and string.sub(stored, 1, LONGEST)
local time = redis.call('TIME')
return {time[1] * 1000000 + time[2], stored}
