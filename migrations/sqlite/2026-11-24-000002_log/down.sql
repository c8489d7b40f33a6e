DROP TABLE session_rooms;
DROP TABLE log_publishes;
DROP TABLE log_events;
DROP TABLE log_rooms;
DROP TABLE log_head;
