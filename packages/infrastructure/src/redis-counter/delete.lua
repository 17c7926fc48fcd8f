-- Deletes all that Redis holds of one event, where that still is what the caller saw: whoever reserved
-- since then, or began another generation, is not lost. Repeating it is harmless: a stamp is never
-- used again.
--
-- KEYS     1 the state hash   2 the hash person -> number   3 the same, being built   4 the counter
-- ARGV     1 what `open` was ('' = nothing)   2 how many persons there were
-- Returns  1, or 'moved' where it is not what the caller saw: nothing is deleted then
if (redis.call('HGET', KEYS[1], 'open') or '') ~= ARGV[1] then
  return 'moved'
end
-- Persons only join: as many as before are the same ones.
if redis.call('HLEN', KEYS[2]) ~= tonumber(ARGV[2]) then
  return 'moved'
end
redis.call('UNLINK', KEYS[1], KEYS[2], KEYS[3], KEYS[4])
return 1
