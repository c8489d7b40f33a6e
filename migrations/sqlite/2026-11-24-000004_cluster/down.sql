DROP TABLE leases;
ALTER TABLE log_events DROP COLUMN held_as;
