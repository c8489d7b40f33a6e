-- The application's tables, as its own migrations make them; only where it has none yet, in its schema.
CREATE TYPE "UserRole"            AS ENUM ('CUSTOMER','SERVER','KITCHEN','MANAGER','ADMIN','SUPPORT');
CREATE TYPE "UserStatus"          AS ENUM ('ACTIVE','SUSPENDED','BANNED','DELETED');
CREATE TYPE "StaffRole"           AS ENUM ('OWNER','MANAGER','ASSISTANT_MANAGER','SERVER','BARTENDER','HOST','KITCHEN_MANAGER','CHEF','LINE_COOK','PREP_COOK','DISHWASHER','BUSSER');
CREATE TYPE "StaffStatus"         AS ENUM ('ACTIVE','ON_LEAVE','TERMINATED');
CREATE TYPE "TableStatus"         AS ENUM ('AVAILABLE','OCCUPIED','RESERVED','DIRTY','OUT_OF_SERVICE');
CREATE TYPE "TabStatus"           AS ENUM ('PENDING_AUTH','OPEN','CLOSING','WALK_AWAY','AUTO_CLOSED','CLOSED','FAILED','CANCELED');
CREATE TYPE "KitchenStatus"       AS ENUM ('PENDING','SENT','IN_PROGRESS','READY','DELIVERED','CANCELED');
CREATE TYPE "NotificationType"    AS ENUM ('TAB_OPENED','TAB_CLOSED','WALK_AWAY_WARNING','TRUST_LEVEL_CHANGE','RESERVATION_CONFIRMED','REVIEW_RESPONSE','LOYALTY_REWARD','SYSTEM_ALERT');
CREATE TYPE "NotificationChannel" AS ENUM ('IN_APP','EMAIL','SMS','PUSH');

CREATE TABLE users (
  id text PRIMARY KEY, name text, email text UNIQUE, phone text UNIQUE,
  role "UserRole" NOT NULL DEFAULT 'CUSTOMER', status "UserStatus" NOT NULL DEFAULT 'ACTIVE',
  created_at timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP, updated_at timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE venues (
  id text PRIMARY KEY, name text NOT NULL, slug text NOT NULL UNIQUE, timezone text NOT NULL DEFAULT 'America/New_York',
  created_at timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP, updated_at timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE venue_staff (
  id text PRIMARY KEY, venue_id text NOT NULL REFERENCES venues(id) ON DELETE CASCADE, user_id text NOT NULL REFERENCES users(id) ON DELETE CASCADE,
  role "StaffRole" NOT NULL, status "StaffStatus" NOT NULL DEFAULT 'ACTIVE',
  hired_at timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP, terminated_at timestamp(3),
  UNIQUE (venue_id, user_id)
);
CREATE INDEX venue_staff_venue_id_status_idx ON venue_staff (venue_id, status);
CREATE TABLE tables (
  id text PRIMARY KEY, venue_id text NOT NULL REFERENCES venues(id) ON DELETE CASCADE, number text NOT NULL, name text,
  status "TableStatus" NOT NULL DEFAULT 'AVAILABLE', UNIQUE (venue_id, number)
);
CREATE TABLE tabs (
  id text PRIMARY KEY, venue_id text NOT NULL REFERENCES venues(id) ON DELETE CASCADE, table_id text REFERENCES tables(id) ON DELETE SET NULL,
  server_id text NOT NULL REFERENCES users(id), customer_id text REFERENCES users(id) ON DELETE SET NULL,
  tab_number integer NOT NULL, status "TabStatus" NOT NULL DEFAULT 'PENDING_AUTH',
  subtotal_cents integer NOT NULL DEFAULT 0, tax_cents integer NOT NULL DEFAULT 0, tip_cents integer NOT NULL DEFAULT 0, total_cents integer NOT NULL DEFAULT 0,
  access_token text UNIQUE,
  opened_at timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP, closed_at timestamp(3), updated_at timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  UNIQUE (venue_id, tab_number)
);
CREATE INDEX tabs_venue_id_status_idx ON tabs (venue_id, status);
CREATE TABLE tab_items (
  id text PRIMARY KEY, tab_id text NOT NULL REFERENCES tabs(id) ON DELETE CASCADE, menu_item_id text NOT NULL,
  name text NOT NULL, quantity integer NOT NULL DEFAULT 1, unit_price_cents integer NOT NULL, total_price_cents integer NOT NULL,
  modifiers jsonb, notes text, kitchen_status "KitchenStatus" NOT NULL DEFAULT 'PENDING', course_number integer,
  ordered_at timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP, sent_to_kitchen_at timestamp(3), prepared_at timestamp(3), delivered_at timestamp(3)
);
CREATE INDEX tab_items_tab_id_idx ON tab_items (tab_id);
CREATE INDEX tab_items_kitchen_status_idx ON tab_items (kitchen_status);
CREATE TABLE tab_access_tokens (
  id text PRIMARY KEY, token text NOT NULL UNIQUE, tab_id text NOT NULL, expires_at timestamp(3) NOT NULL,
  created_at timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE notifications (
  id text PRIMARY KEY, user_id text NOT NULL, type "NotificationType" NOT NULL, title text NOT NULL, message text NOT NULL,
  channel "NotificationChannel" NOT NULL, entity_type text, entity_id text, action_url text,
  read boolean NOT NULL DEFAULT false, read_at timestamp(3), sent_at timestamp(3), delivered_at timestamp(3), failed_at timestamp(3), error_message text,
  created_at timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP
);
