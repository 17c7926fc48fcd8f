-- A coupon is issued when its row here is committed: the one table that all mechanisms end in.
CREATE TABLE coupon_issues (
  event_id text COLLATE "C" NOT NULL REFERENCES events (id),
  seq integer NOT NULL CHECK (seq >= 1),
  -- "C" compares byte by byte, so that two persons never fold into one.
  user_id text COLLATE "C" NOT NULL CHECK (user_id ~ '^[A-Za-z0-9._~@-]{1,64}$'),
  code text COLLATE "C" NOT NULL CHECK (code ~ '^[0-9A-HJKMNP-TV-Z]{26}$'),
  issued_at timestamptz NOT NULL,
  ticket bigint CHECK (ticket >= 0),
  PRIMARY KEY (event_id, seq),
  UNIQUE (event_id, user_id),
  UNIQUE (code)
);
