-- Reserves coupons of one event for the persons who claim them, each answered in their order.
--
-- Steps, for each person:
--   1. Redis is not open for the caller's generation and server run -> 'closed' (instead of a list)
--   2. the person holds a number already                            -> minus that number
--   3. the counter is at the limit: the rows have to tell           -> 'wait'
--   4. otherwise INCR the counter and remember the person           -> the new number
--
-- Repeating a claim counts nobody twice: membership comes before the counter. Redis keeps what a
-- script wrote before it failed (fact F6), so whatever can fail is read before the first write: the
-- three keys' types here, and memory by Redis itself, which checks it before a script's first write.
--
-- KEYS  1 the state hash (open)   2 the hash person -> number   3 the counter
-- ARGV  1 what `open` must be            2 the limit, 1 or more   3... the persons
local limit = tonumber(ARGV[2])
if not limit or limit < 1 or limit % 1 ~= 0 then
  return redis.error_reply('ERR claim.lua wants the limit as a whole number from 1')
end
local open = redis.call('HGET', KEYS[1], 'open')
if not open or open ~= ARGV[1] then
  return 'closed'
end
local count = tonumber(redis.call('GET', KEYS[3]) or '0')
redis.call('HLEN', KEYS[2]) -- fails here, before any write, should the key be of another type

local answers = {}
for i = 3, #ARGV do
  local number = redis.call('HGET', KEYS[2], ARGV[i])
  if number then
    answers[i - 2] = -tonumber(number)
  elseif count >= limit then
    answers[i - 2] = 'wait'
  else
    count = redis.call('INCR', KEYS[3])
    redis.call('HSET', KEYS[2], ARGV[i], count)
    answers[i - 2] = count
  end
end
return answers
