CREATE UNIQUE INDEX log_events_room_id_position ON log_events (room_id, position);
DROP TABLE log_index;
ALTER TABLE log_head DROP COLUMN indexed;
ALTER TABLE log_head DROP COLUMN boot;
