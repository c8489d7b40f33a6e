-- The service's own tables: the log behind the rooms, and what sessions need to have themselves back.

-- One row. `log` tells this log from any other; `head` is the position of the newest event;
-- `pid_secret` signs the pids of sessions. Who appends holds the row's lock from then to its commit, so that
-- positions are given in the order of commits. The page has room for the row's next versions.
CREATE TABLE realtime.log_head (
  id integer PRIMARY KEY CHECK (id = 1),
  log bigint NOT NULL,
  head bigint NOT NULL,
  pid_secret bytea NOT NULL CHECK (length(pid_secret) = 32)
) WITH (fillfactor = 10);
INSERT INTO realtime.log_head (id, log, head, pid_secret) VALUES (
  1, floor(random() * 2147483647), 0,
  decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex')
);

-- Rooms that have had an event. Those up to `pruned_through` may be gone.
CREATE TABLE realtime.log_rooms (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text NOT NULL UNIQUE,
  pruned_through bigint NOT NULL DEFAULT 0
);

-- A row for each room that an event has a place in; `position` is one order over all rooms.
-- `payload` is JSON, byte for byte as it was published; `stored_at` is ms since 1970; `held_as` is under which name
-- an event went out before it could be stored.
CREATE TABLE realtime.log_events (
  room_id bigint NOT NULL,
  position bigint NOT NULL,
  event text NOT NULL,
  payload text NOT NULL,
  stored_at bigint NOT NULL,
  held_as text,
  PRIMARY KEY (room_id, position)
);
CREATE INDEX log_events_position ON realtime.log_events (position);

-- Publishes that their publisher gave a name: the same name again delivers nothing again.
CREATE TABLE realtime.log_publishes (
  publisher text NOT NULL,
  publish_id text NOT NULL,
  digest bytea NOT NULL,
  position bigint NOT NULL,
  kept boolean NOT NULL,
  stored_at bigint NOT NULL,
  PRIMARY KEY (publisher, publish_id)
);
CREATE INDEX log_publishes_stored_at ON realtime.log_publishes (stored_at);

-- The rooms of each session, by the key in its pid. Everything after `entered_at` is its own, and
-- everything after `since` if it has seen nothing after `entered_at`; `seen_at` is ms since 1970.
CREATE TABLE realtime.session_rooms (
  session text NOT NULL,
  room text NOT NULL,
  entered_at bigint NOT NULL,
  since bigint NOT NULL,
  seen_at bigint NOT NULL,
  PRIMARY KEY (session, room)
);
CREATE INDEX session_rooms_seen_at ON realtime.session_rooms (seen_at);
