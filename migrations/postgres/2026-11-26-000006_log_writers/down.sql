DROP TABLE realtime.log_writers;
