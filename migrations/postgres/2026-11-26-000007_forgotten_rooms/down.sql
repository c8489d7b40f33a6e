ALTER TABLE realtime.log_head DROP COLUMN forgotten_through;
