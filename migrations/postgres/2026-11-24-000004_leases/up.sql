-- What one instance does for all: whoever holds the lease, until it expires.
CREATE TABLE realtime.leases (
  name text PRIMARY KEY,
  holder text NOT NULL,
  expires_at timestamptz NOT NULL
);
