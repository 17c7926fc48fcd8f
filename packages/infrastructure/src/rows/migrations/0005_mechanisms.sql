-- Which mechanisms there are is told by the code's one list, and which of them have a line that can be
-- paced is a capability of theirs: the table holds the form of a name, and no list that a new mechanism
-- would have to open.
ALTER TABLE events
  DROP CONSTRAINT events_mechanism_check,
  ADD CONSTRAINT events_mechanism_form CHECK (mechanism ~ '^[a-z][a-z0-9-]{0,31}$'),
  DROP CONSTRAINT events_pace_of_queue,
  -- False: the shop's list leaves the event out (load tests, sales for a few).
  ADD COLUMN listed boolean NOT NULL DEFAULT true;
