-- v2: Redis may count for an event only while it shows this generation; another one, or none, means
-- that Redis lost or restored something and has to be rebuilt from the rows.
CREATE TABLE redis_generations (
  event_id text COLLATE "C" PRIMARY KEY REFERENCES events (id),
  generation text NOT NULL
);
