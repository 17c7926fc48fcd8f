-- Operators' events. `issued` moves only under the row's lock, together with the rows it counts.
CREATE TABLE events (
  id text COLLATE "C" PRIMARY KEY CHECK (id ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
  name text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 100),
  mechanism text NOT NULL CHECK (mechanism IN ('row-lock', 'redis-counter', 'kafka-queue')),
  limit_quantity integer NOT NULL CHECK (limit_quantity BETWEEN 1 AND 1000000),
  issued integer NOT NULL DEFAULT 0,
  version integer NOT NULL DEFAULT 1 CHECK (version >= 1),
  paused boolean NOT NULL DEFAULT false,
  pace integer CHECK (pace BETWEEN 1 AND 1000000),
  opens_at timestamptz NOT NULL,
  closes_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  -- Orders the list: unlike a time it has no ties.
  created_seq bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
  CONSTRAINT events_issued_within_limit CHECK (issued BETWEEN 0 AND limit_quantity),
  CONSTRAINT events_window_not_empty CHECK (closes_at > opens_at),
  CONSTRAINT events_pace_of_queue CHECK (pace IS NULL OR mechanism = 'kafka-queue')
);
