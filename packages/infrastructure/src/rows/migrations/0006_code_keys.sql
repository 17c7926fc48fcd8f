-- v3: the secret from which the codes of an event's coupons follow (HMAC of event and person); it leaves
-- the database for the transaction of a decider only. Drawn for every row, old ones too: two random UUIDs
-- have 244 random bits. A default, so that a build that does not know of it can still make events.
ALTER TABLE queues ADD COLUMN code_key text NOT NULL
  DEFAULT replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '')
  CONSTRAINT queues_code_key_form CHECK (code_key ~ '^[0-9a-f]{64}$');
