-- Who did what to which ticket, and what was refused. Rows are only added, and let go by age and number.
-- What happened `times` times within a moment, alike in all columns, is one row; `at` is ms since 1970.
CREATE TABLE audit_log (
  id INTEGER PRIMARY KEY NOT NULL,
  at bigint NOT NULL,
  times bigint NOT NULL,
  actor text,
  action text NOT NULL,
  outcome text NOT NULL,
  cause text,
  detail text,
  room text,
  tab text,
  subject text,
  session text,
  address text
);
CREATE INDEX audit_log_actor ON audit_log (actor) WHERE actor IS NOT NULL;
CREATE INDEX audit_log_room ON audit_log (room) WHERE room IS NOT NULL;
CREATE INDEX audit_log_tab ON audit_log (tab) WHERE tab IS NOT NULL;
CREATE INDEX audit_log_subject ON audit_log (subject) WHERE subject IS NOT NULL;
