ALTER TABLE realtime.log_writers DROP COLUMN head_before;
