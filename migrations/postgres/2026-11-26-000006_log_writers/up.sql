-- The newest batch of each instance, by which one whose commit was not answered finds out whether it was made. The
-- number of its transaction would not tell: a server that falls gives numbers out again of which it had written
-- nothing down. `written_at` is ms since 1970. The page has room for the row's next versions.
CREATE TABLE realtime.log_writers (
  writer text PRIMARY KEY,
  batch bigint NOT NULL,
  written_at bigint NOT NULL
) WITH (fillfactor = 10);
