-- What one instance does for all: whoever holds the lease, until it expires; `expires_at` is ms since 1970.
CREATE TABLE leases (
  name text PRIMARY KEY NOT NULL,
  holder text NOT NULL,
  expires_at bigint NOT NULL
);
