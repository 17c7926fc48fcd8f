-- Adds persons whose rows are committed and whom Redis does not know: their row came from before
-- Redis was rebuilt. The counter moves with them, since it is the hash's length. May exceed the
-- limit, where others were let in meanwhile: the guard in PostgreSQL refuses those.
--
-- KEYS     1 the state hash   2 the hash person -> number
-- ARGV     1 what `open` must be   2... the persons
-- Returns  how many were added, or 'closed' where Redis is not open for the caller
local open = redis.call('HGET', KEYS[1], 'open')
if not open or open ~= ARGV[1] then
  return 'closed'
end
local before = redis.call('HLEN', KEYS[2])
local count = before
for i = 2, #ARGV do
  count = count + redis.call('HSETNX', KEYS[2], ARGV[i], count + 1)
end
return count - before
