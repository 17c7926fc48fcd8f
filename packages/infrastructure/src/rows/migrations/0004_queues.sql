-- v3: where the decider of an event's log stands. It moves in the transaction that writes the rows.
CREATE TABLE queues (
  event_id text COLLATE "C" PRIMARY KEY REFERENCES events (id),
  topic text NOT NULL UNIQUE,
  -- The broker's id of the topic: a topic made again under the same name has another one.
  topic_id text NOT NULL,
  -- The number that a decider takes when it starts; a decider with an older one is fenced.
  epoch bigint NOT NULL DEFAULT 0 CHECK (epoch >= 0),
  next_offset bigint NOT NULL DEFAULT 0 CHECK (next_offset >= 0),
  last_winning_ticket bigint CHECK (last_winning_ticket >= 0),
  -- Why the event is not decided any more (the log lost records, was replaced, ...); for an operator.
  halted text
);

-- Records that are no claims, each with its place: they are decided too, never silently skipped.
CREATE TABLE rejected_records (
  event_id text COLLATE "C" NOT NULL REFERENCES events (id),
  ticket bigint NOT NULL,
  reason text NOT NULL,
  PRIMARY KEY (event_id, ticket)
);
