-- Rooms whose events are all gone are taken out of `log_rooms` in time. `forgotten_through`: up to where those may have
-- had events. It rises with each step of that, which tells whoever knows rooms by their numbers to look them up anew.
ALTER TABLE realtime.log_head ADD COLUMN forgotten_through bigint NOT NULL DEFAULT 0;
