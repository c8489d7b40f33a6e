-- Which rooms have lost events after a position: asked by an instance that was cut off, of all rooms.
CREATE INDEX log_rooms_pruned ON realtime.log_rooms (pruned_through);
