-- $1 places, $2 now, $3 this instance, $25 the number of its batch, if that has rows; then columns of rows, whose `step`
-- counts from where the log stands.
-- $22: the newest position that this instance knows of. A copy that took the server's place may lack it, and it is not
-- given out again.
-- $26: whether other instances are told.
-- $24: rooms had been forgotten up to there when they were numbered. There is no row, and nothing is written, where
-- more have been since.
WITH taken AS (
  UPDATE realtime.log_head SET head = greatest(head, $22) + $1 WHERE $1 > 0 AND forgotten_through = $24
  RETURNING head - $1 AS before
), base AS (
  SELECT before FROM taken
  UNION ALL
  -- A batch without places waits for nobody.
  SELECT greatest(head, $22) FROM realtime.log_head WHERE $1 = 0
), events AS (
  INSERT INTO realtime.log_events (room_id, position, event, payload, stored_at, held_as)
  SELECT new.room_id, base.before + new.step, new.event, new.payload, $2, new.held_as
  FROM base, unnest($4, $5, $6, $7, $23) AS new (room_id, step, event, payload, held_as)
), publishes AS (
  INSERT INTO realtime.log_publishes (publisher, publish_id, digest, position, kept, stored_at)
  SELECT new.publisher, new.publish_id, new.digest, base.before + new.step, new.kept, $2
  FROM base, unnest($8, $9, $10, $11, $12) AS new (publisher, publish_id, digest, step, kept)
), entered AS (
  INSERT INTO realtime.session_rooms (session, room, entered_at, since, seen_at)
  SELECT new.session, new.room, base.before + new.step, base.before + new.step, $2
  FROM base, unnest($13, $14, $15) AS new (session, room, step)
  ON CONFLICT DO NOTHING
), entered_anew AS (
  INSERT INTO realtime.session_rooms (session, room, entered_at, since, seen_at)
  SELECT new.session, new.room, base.before + new.step, coalesce(new.since, base.before + new.step), $2
  FROM base, unnest($16, $17, $18, $19) AS new (session, room, step, since)
  ON CONFLICT (session, room) DO UPDATE
  SET entered_at = excluded.entered_at, since = excluded.since, seen_at = excluded.seen_at
), gone AS (
  DELETE FROM realtime.session_rooms AS old
  USING base, unnest($20, $21) AS away (session, room)
  WHERE old.session = away.session AND old.room = away.room AND base.before >= 0
), signed AS (
  INSERT INTO realtime.log_writers (writer, batch, written_at, head_before)
  SELECT $3, $25, $2, base.before FROM base WHERE $25 IS NOT NULL
  -- A batch that was given up has a newer one in its place, and comes too late: its column may not be null.
  ON CONFLICT (writer) DO UPDATE
  SET batch = CASE WHEN log_writers.batch < excluded.batch THEN excluded.batch END,
    written_at = excluded.written_at, head_before = excluded.head_before
)
SELECT base.before,
  CASE WHEN $1 > 0 AND $26 THEN pg_notify('expeditor', (base.before + $1)::text || ' ' || $3)::text END AS notified
FROM base
