DROP TABLE realtime.leases;
