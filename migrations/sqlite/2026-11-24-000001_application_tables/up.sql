-- The application's tables, with the names and columns of its PostgreSQL schema.
-- Enumerations are text with a check; a timestamp is text, UTC, `YYYY-MM-DD HH:MM:SS[.SSS]`.
CREATE TABLE users (
  id text PRIMARY KEY NOT NULL, name text, email text UNIQUE, phone text UNIQUE,
  role text NOT NULL DEFAULT 'CUSTOMER' CHECK (role IN ('CUSTOMER','SERVER','KITCHEN','MANAGER','ADMIN','SUPPORT')),
  status text NOT NULL DEFAULT 'ACTIVE' CHECK (status IN ('ACTIVE','SUSPENDED','BANNED','DELETED')),
  created_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP, updated_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE venues (
  id text PRIMARY KEY NOT NULL, name text NOT NULL, slug text NOT NULL UNIQUE, timezone text NOT NULL DEFAULT 'America/New_York',
  created_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP, updated_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE venue_staff (
  id text PRIMARY KEY NOT NULL,
  venue_id text NOT NULL REFERENCES venues(id) ON DELETE CASCADE,
  user_id text NOT NULL REFERENCES users(id) ON DELETE CASCADE,
  role text NOT NULL CHECK (role IN ('OWNER','MANAGER','ASSISTANT_MANAGER','SERVER','BARTENDER','HOST','KITCHEN_MANAGER','CHEF','LINE_COOK','PREP_COOK','DISHWASHER','BUSSER')),
  status text NOT NULL DEFAULT 'ACTIVE' CHECK (status IN ('ACTIVE','ON_LEAVE','TERMINATED')),
  hired_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP, terminated_at timestamp,
  UNIQUE (venue_id, user_id)
);
CREATE INDEX venue_staff_venue_id_status_idx ON venue_staff (venue_id, status);
CREATE INDEX venue_staff_user_id_idx ON venue_staff (user_id);
CREATE TABLE tables (
  id text PRIMARY KEY NOT NULL, venue_id text NOT NULL REFERENCES venues(id) ON DELETE CASCADE,
  number text NOT NULL, name text,
  status text NOT NULL DEFAULT 'AVAILABLE' CHECK (status IN ('AVAILABLE','OCCUPIED','RESERVED','DIRTY','OUT_OF_SERVICE')),
  UNIQUE (venue_id, number)
);
CREATE TABLE tabs (
  id text PRIMARY KEY NOT NULL,
  venue_id text NOT NULL REFERENCES venues(id) ON DELETE CASCADE,
  table_id text REFERENCES tables(id) ON DELETE SET NULL,
  server_id text NOT NULL REFERENCES users(id),
  customer_id text REFERENCES users(id) ON DELETE SET NULL,
  tab_number integer NOT NULL,
  status text NOT NULL DEFAULT 'PENDING_AUTH' CHECK (status IN ('PENDING_AUTH','OPEN','CLOSING','WALK_AWAY','AUTO_CLOSED','CLOSED','FAILED','CANCELED')),
  subtotal_cents integer NOT NULL DEFAULT 0, tax_cents integer NOT NULL DEFAULT 0,
  tip_cents integer NOT NULL DEFAULT 0, total_cents integer NOT NULL DEFAULT 0,
  access_token text UNIQUE,
  opened_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP, closed_at timestamp,
  updated_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP,
  UNIQUE (venue_id, tab_number)
);
CREATE INDEX tabs_venue_id_status_idx ON tabs (venue_id, status);
CREATE TABLE tab_items (
  id text PRIMARY KEY NOT NULL,
  tab_id text NOT NULL REFERENCES tabs(id) ON DELETE CASCADE,
  menu_item_id text NOT NULL, name text NOT NULL,
  quantity integer NOT NULL DEFAULT 1, unit_price_cents integer NOT NULL, total_price_cents integer NOT NULL,
  modifiers text, notes text,
  kitchen_status text NOT NULL DEFAULT 'PENDING' CHECK (kitchen_status IN ('PENDING','SENT','IN_PROGRESS','READY','DELIVERED','CANCELED')),
  course_number integer,
  ordered_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP, sent_to_kitchen_at timestamp,
  prepared_at timestamp, delivered_at timestamp
);
CREATE INDEX tab_items_tab_id_idx ON tab_items (tab_id);
CREATE INDEX tab_items_kitchen_status_idx ON tab_items (kitchen_status);
CREATE TABLE tab_access_tokens (
  id text PRIMARY KEY NOT NULL, token text NOT NULL UNIQUE, tab_id text NOT NULL, expires_at timestamp NOT NULL,
  created_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE notifications (
  id text PRIMARY KEY NOT NULL, user_id text NOT NULL,
  type text NOT NULL CHECK (type IN ('TAB_OPENED','TAB_CLOSED','WALK_AWAY_WARNING','TRUST_LEVEL_CHANGE','RESERVATION_CONFIRMED','REVIEW_RESPONSE','LOYALTY_REWARD','SYSTEM_ALERT')),
  title text NOT NULL, message text NOT NULL,
  channel text NOT NULL CHECK (channel IN ('IN_APP','EMAIL','SMS','PUSH')),
  entity_type text, entity_id text, action_url text,
  read boolean NOT NULL DEFAULT false, read_at timestamp, sent_at timestamp,
  delivered_at timestamp, failed_at timestamp, error_message text,
  created_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP
);
