-- Adds outcomes of a closed circuit to its record, just as `Update::apply` does: a test compares the two.
--
-- It knows only records that are closed and plain: as this library writes them, with numbers that fit a Lua
-- number. At anything else it answers -1, and the caller applies the update by itself.
--
-- KEYS[1]: where the record is. ARGV: 1 the record to begin with if there is none, with the settings to
-- write; 2 the generation of the outcomes; 3 the failures before the first success; 4 whether there was one;
-- 5 the failures after the last; 6 all failures; 7 and 8 who writes, and the number of the update; 9 how many
-- milliseconds to keep it; 10 the channel. END: versions are less than this.
local stored = redis.pcall('GET', KEYS[1])
if type(stored) == 'table' then return stored end
stored = stored and string.sub(stored, 1, LONGEST)
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local unknown = {now, stored, -1}

local version, line = '0', ARGV[1]
if stored then version, line = string.match(stored, '^(%d+) (.*)$') end
if not version or tonumber(version) + 1 >= END then return unknown end
local generation, since, failures, settings, ring =
  string.match(line, '^1 C (%d+) (%d+) 0 (%d+) ([%d:]+) 0 %- ([%x:,-]+)$')
if not generation then return unknown end
local numbers = { generation, since, failures, string.match(settings, '^(%d+):(%d+):(%d+):(%d+):(%d+)$') }
-- The last timestamp there is, all failures that are counted, and the largest settings, of which none may be 0.
local most = {
  999999999999999, 4611686018427387, 4294967295,
  4294967295, 2147483647000000, 1000, 4294967295, 2147483647000000,
}
for i, limit in ipairs(most) do
  local wrong = i > 3 and '^0' or '^0%d'
  if not numbers[i] or tonumber(numbers[i]) > limit or string.find(numbers[i], wrong) then return unknown end
end

-- As numbers: in which order texts are depends on the server's locale. In halves, as a Lua number has 53 bits.
local function halves(hexadecimal)
  return tonumber(string.sub(hexadecimal, 1, -9), 16) or 0, tonumber(string.sub(hexadecimal, -8), 16)
end

local own_high, own_low = halves(ARGV[8])
local writers, others, duplicate = 0, {}, false
for last in string.gmatch(ring == '-' and '' or ring .. ',', '([^,]*),') do
  local writer, sequence = string.match(last, '^(%x+):(%x+)$')
  if not writer or #writer > 16 or #sequence > 16 or string.lower(last) ~= last
    or string.find(':' .. last, ':0%x') then return unknown end
  writers = writers + 1
  if writer ~= ARGV[7] then
    others[#others + 1] = last
  else
    local high, low = halves(sequence)
    duplicate = duplicate or own_high < high or own_high == high and own_low <= low
  end
end
if writers > 16 then return unknown end
if duplicate then return {now, stored, 0} end
others[#others + 1] = ARGV[7] .. ':' .. ARGV[8]
ring = table.concat(others, ',', math.max(1, #others - 15))

local own, threshold, ttl = string.match(ARGV[1], '^1 %u %d+ %d+ %d+ %d+ ((%d+):(%d+):%S+) ')
-- What the process would begin with is of the generation that it counted in.
local current = not stored or generation == ARGV[2]
local opened, before = false, tonumber(failures)
local after = before
if current then
  local head = tonumber(ARGV[3])
  opened = head > 0 and before + head >= tonumber(threshold)
  after = tonumber(ARGV[5])
  if ARGV[4] == '0' then after = before + head end
end
local counts = current and ARGV[6] ~= '0'
if stored and not (opened or counts) and before == after then return {now, stored, 0} end

local function digits(number) return string.format('%.0f', number) end
local record = { '1 C', generation, since, 0, digits(after), own, '0 -', ring }
if opened then record = { '1 O', digits(generation + 1), digits(now), ttl, 0, own, '0 -', ring } end
local value = digits(math.max(version + 1, now)) .. ' ' .. table.concat(record, ' ')
redis.call('SET', KEYS[1], value, 'PX', ARGV[9])
if not opened and (before == 0) == (after == 0) then return {now, value, 1} end
-- An error would not take the write back, so it must not look as if nothing was written.
local told = redis.pcall('PUBLISH', ARGV[10], KEYS[1] .. ' ' .. value)
return {now, value, 2, type(told) == 'table' and told.err or nil}
