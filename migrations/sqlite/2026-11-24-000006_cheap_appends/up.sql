-- What makes an append cheap, and safe without waiting for the disk.

-- `boot`: the boot of the machine under which the log was last opened. After another one, what was not on the
-- disk when the machine went down is gone, and the positions that it had are not given out again.
-- `indexed`: the newest row of `log_events` that is in `log_index`.
ALTER TABLE log_head ADD COLUMN boot text NOT NULL DEFAULT '';
ALTER TABLE log_head ADD COLUMN indexed bigint NOT NULL DEFAULT 0;

-- Where a room's events stand. Filled a moment after the events are, many rows at a time: an append would
-- otherwise touch a page of the index for each room.
CREATE TABLE log_index (
  room_id bigint NOT NULL,
  position bigint NOT NULL,
  event_id bigint NOT NULL,
  PRIMARY KEY (room_id, position)
) WITHOUT ROWID;
INSERT INTO log_index (room_id, position, event_id) SELECT room_id, position, id FROM log_events;
UPDATE log_head SET indexed = (SELECT coalesce(max(id), 0) FROM log_events);
DROP INDEX log_events_room_id_position;
