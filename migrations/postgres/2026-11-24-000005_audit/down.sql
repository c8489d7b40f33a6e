DROP TABLE realtime.audit_log;
