-- The service's own tables: the log behind the rooms, and what sessions need to have themselves back.

-- One row. `log` tells this log from any other; `head` is the position of the newest event;
-- `pid_secret` signs the pids of sessions.
CREATE TABLE log_head (
  id INTEGER PRIMARY KEY NOT NULL CHECK (id = 1),
  log bigint NOT NULL,
  head bigint NOT NULL,
  pid_secret blob NOT NULL
);
INSERT INTO log_head (id, log, head, pid_secret) VALUES (1, abs(random() % 2147483647), 0, randomblob(32));

-- Rooms that have had an event. Those up to `pruned_through` may be gone.
CREATE TABLE log_rooms (
  id INTEGER PRIMARY KEY NOT NULL,
  name text NOT NULL UNIQUE,
  pruned_through bigint NOT NULL DEFAULT 0
);

-- A row for each room that an event has a place in; `position` is one order over all rooms.
-- `payload` is JSON, byte for byte as it was published; `stored_at` is ms since 1970.
CREATE TABLE log_events (
  id INTEGER PRIMARY KEY NOT NULL,
  room_id bigint NOT NULL,
  position bigint NOT NULL,
  event text NOT NULL,
  payload text NOT NULL,
  stored_at bigint NOT NULL
);
CREATE UNIQUE INDEX log_events_room_id_position ON log_events (room_id, position);

-- Publishes that their publisher gave a name: the same name again delivers nothing again.
CREATE TABLE log_publishes (
  id INTEGER PRIMARY KEY NOT NULL,
  publisher text NOT NULL,
  publish_id text NOT NULL,
  digest blob NOT NULL,
  position bigint NOT NULL,
  kept boolean NOT NULL,
  stored_at bigint NOT NULL
);
CREATE UNIQUE INDEX log_publishes_publisher_publish_id ON log_publishes (publisher, publish_id);

-- The rooms of each session, by the key in its pid. Everything after `entered_at` is its own, and
-- everything after `since` if it has seen nothing after `entered_at`; `seen_at` is ms since 1970.
CREATE TABLE session_rooms (
  session text NOT NULL,
  room text NOT NULL,
  entered_at bigint NOT NULL,
  since bigint NOT NULL,
  seen_at bigint NOT NULL,
  PRIMARY KEY (session, room)
) WITHOUT ROWID;
