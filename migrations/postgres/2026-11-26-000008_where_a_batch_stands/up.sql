-- Where the log stood before the batch: whoever asks what became of one has it from here, as no answer came.
ALTER TABLE realtime.log_writers ADD COLUMN head_before bigint;
