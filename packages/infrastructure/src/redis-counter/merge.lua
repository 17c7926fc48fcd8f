-- Adds persons whose rows are committed and whom Redis does not know: their row came from before
-- Redis was rebuilt. The counter moves with them. It may exceed the limit, where others were let in
-- meanwhile: the guard in PostgreSQL refuses those.
--
-- KEYS     1 the state hash   2 the hash person -> number   3 the counter
-- ARGV     1 what `open` must be   2... the persons
-- Returns  how many were added, or 'closed' where Redis is not open for the caller
local open = redis.call('HGET', KEYS[1], 'open')
if not open or open ~= ARGV[1] then
  return 'closed'
end
redis.call('GET', KEYS[3]) -- fails here, before any write, should the key be of another type
local added = 0
for i = 2, #ARGV do
  if redis.call('HEXISTS', KEYS[2], ARGV[i]) == 0 then
    redis.call('HSET', KEYS[2], ARGV[i], redis.call('INCR', KEYS[3]))
    added = added + 1
  end
end
return added
