DROP TABLE notifications, tab_access_tokens, tab_items, tabs, tables, venue_staff, venues, users;
DROP TYPE "UserRole", "UserStatus", "StaffRole", "StaffStatus", "TableStatus", "TabStatus", "KitchenStatus",
  "NotificationType", "NotificationChannel";
