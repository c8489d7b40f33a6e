DROP TABLE realtime.revocations;
