DROP INDEX realtime.log_rooms_pruned;
