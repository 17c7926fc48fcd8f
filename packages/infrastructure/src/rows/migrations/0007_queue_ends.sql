-- How a line ends. An operator ends one that is halted: whoever has no coupon then gets none. The halt
-- stays, so that no decider, of whatever build, decides anything after it.
ALTER TABLE events ADD COLUMN voided_at timestamptz;

ALTER TABLE queues
  -- Counts each halt and each clearing of one, by whatever hand: who watches is told of all of them.
  ADD COLUMN halt_changes integer NOT NULL DEFAULT 0,
  -- Since when everybody has a final answer; nothing before the decider has seen it.
  ADD COLUMN finished_at timestamptz,
  -- Since when its log is not needed any more: it is deleted soon after.
  ADD COLUMN retired_at timestamptz;

UPDATE queues SET halt_changes = 1 WHERE halted IS NOT NULL;

CREATE FUNCTION count_halt_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.halted IS DISTINCT FROM OLD.halted THEN
    -- Everybody was told that nothing of it will be decided any more.
    IF NEW.halted IS NULL
       AND EXISTS (SELECT FROM events WHERE id = NEW.event_id AND voided_at IS NOT NULL) THEN
      RAISE EXCEPTION 'event % is voided: its halt is for ever', NEW.event_id;
    END IF;
    NEW.halt_changes := OLD.halt_changes + 1;
  END IF;
  RETURN NEW;
END
$$;

CREATE TRIGGER queues_halt_changes BEFORE UPDATE OF halted ON queues
  FOR EACH ROW EXECUTE FUNCTION count_halt_change();

-- Topics that this database began to make and no queue names yet, or does not need any more. No other
-- topic is ever deleted: other installations may share the broker.
CREATE TABLE spare_topics (
  topic text PRIMARY KEY,
  begun_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  -- From then on no queue may name it.
  doomed boolean NOT NULL DEFAULT false
);
