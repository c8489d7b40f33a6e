ALTER TABLE log_head DROP COLUMN forgotten_through;
