-- The boot of the machine under which the log was last opened. After another one, what was not on the
-- disk when the machine went down is gone, and the positions that it had are not given out again.
ALTER TABLE log_head ADD COLUMN boot text NOT NULL DEFAULT '';
