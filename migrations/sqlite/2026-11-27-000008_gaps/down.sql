DROP INDEX log_rooms_pruned;
