-- Replaces the persons of one event by those of the committed rows, in steps small enough for any
-- number of rows. Claims are judged by the old persons until the last step swaps them in one go and
-- opens the new generation.
--
-- Steps (ARGV 1), with the builder's token (ARGV 2):
--   begin  ARGV 3 what `open` is, as the builder saw it ('' = nothing). Takes the building over from
--          any other builder. Refused where `open` changed: somebody else was quicker.
--   add    ARGV 3... persons whose rows are committed
--   open   ARGV 3 the new `open`   4 how many persons there are
--
-- KEYS     1 the state hash   2 the hash person -> number   3 the same, being built   4 the counter
-- Returns  the number of persons built so far, or 'superseded' where another builder took over, or
--          Redis lost some of what was built: nothing is opened then
local step, token = ARGV[1], ARGV[2]

if step == 'begin' then
  if (redis.call('HGET', KEYS[1], 'open') or '') ~= ARGV[3] then
    return 'superseded'
  end
  redis.call('UNLINK', KEYS[3])
  redis.call('HSET', KEYS[1], 'building', token)
  return 0
end

local building = redis.call('HGET', KEYS[1], 'building')
if not building or building ~= token then
  return 'superseded'
end
local count = redis.call('HLEN', KEYS[3])

if step == 'add' then
  for i = 3, #ARGV do
    count = count + redis.call('HSETNX', KEYS[3], ARGV[i], count + 1)
  end
  return count
end

if step ~= 'open' then
  return redis.error_reply('ERR rebuild.lua knows the steps begin, add and open')
end
if count ~= tonumber(ARGV[4]) then
  return 'superseded'
end
redis.call('UNLINK', KEYS[2])
if count > 0 then
  redis.call('RENAME', KEYS[3], KEYS[2])
end
redis.call('SET', KEYS[4], count)
redis.call('HDEL', KEYS[1], 'building')
redis.call('HSET', KEYS[1], 'open', ARGV[3])
return count
