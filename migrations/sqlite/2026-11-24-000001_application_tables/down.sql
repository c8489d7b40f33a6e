DROP TABLE notifications;
DROP TABLE tab_access_tokens;
DROP TABLE tab_items;
DROP TABLE tabs;
DROP TABLE tables;
DROP TABLE venue_staff;
DROP TABLE venues;
DROP TABLE users;
