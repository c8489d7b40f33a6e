DROP TABLE realtime.session_rooms, realtime.log_publishes, realtime.log_events, realtime.log_rooms, realtime.log_head;
