-- Biscuit tokens that hold no longer: a block's signature, in hexadecimal digits, by which the token and
-- all that was made from it is known.
CREATE TABLE realtime.revocations (
  revocation_id text PRIMARY KEY CHECK (length(revocation_id) BETWEEN 32 AND 160),
  reason text,
  revoked_at timestamp(3) NOT NULL DEFAULT (now() AT TIME ZONE 'utc')
);
