-- What several instances on one database need.

-- Under which name an event went out before it could be stored: who had it by that name is not sent it again.
ALTER TABLE log_events ADD COLUMN held_as text;

-- What one instance at a time does for all. By the database's clock, in ms since 1970.
CREATE TABLE leases (
  name text PRIMARY KEY NOT NULL,
  holder text NOT NULL,
  expires_at bigint NOT NULL
);
