// @generated automatically by Diesel CLI.

diesel::table! {
    audit_log (id) {
        id -> BigInt,
        at -> BigInt,
        times -> BigInt,
        actor -> Nullable<Text>,
        action -> Text,
        outcome -> Text,
        cause -> Nullable<Text>,
        detail -> Nullable<Text>,
        room -> Nullable<Text>,
        tab -> Nullable<Text>,
        subject -> Nullable<Text>,
        session -> Nullable<Text>,
        address -> Nullable<Text>,
    }
}

diesel::table! {
    leases (name) {
        name -> Text,
        holder -> Text,
        expires_at -> BigInt,
    }
}

diesel::table! {
    log_events (id) {
        id -> BigInt,
        room_id -> BigInt,
        position -> BigInt,
        event -> Text,
        payload -> Text,
        stored_at -> BigInt,
        held_as -> Nullable<Text>,
    }
}

diesel::table! {
    log_head (id) {
        id -> BigInt,
        log -> BigInt,
        head -> BigInt,
        pid_secret -> Binary,
        boot -> Text,
        indexed -> BigInt,
        forgotten_through -> BigInt,
    }
}

diesel::table! {
    log_index (room_id, position) {
        room_id -> BigInt,
        position -> BigInt,
        event_id -> BigInt,
    }
}

diesel::table! {
    log_publishes (id) {
        id -> BigInt,
        publisher -> Text,
        publish_id -> Text,
        digest -> Binary,
        position -> BigInt,
        kept -> Bool,
        stored_at -> BigInt,
    }
}

diesel::table! {
    log_rooms (id) {
        id -> BigInt,
        name -> Text,
        pruned_through -> BigInt,
    }
}

diesel::table! {
    notifications (id) {
        id -> Text,
        user_id -> Text,
        #[sql_name = "type"]
        type_ -> Text,
        title -> Text,
        message -> Text,
        channel -> Text,
        entity_type -> Nullable<Text>,
        entity_id -> Nullable<Text>,
        action_url -> Nullable<Text>,
        read -> Bool,
        read_at -> Nullable<Timestamp>,
        sent_at -> Nullable<Timestamp>,
        delivered_at -> Nullable<Timestamp>,
        failed_at -> Nullable<Timestamp>,
        error_message -> Nullable<Text>,
        created_at -> Timestamp,
    }
}

diesel::table! {
    revocations (revocation_id) {
        revocation_id -> Text,
        reason -> Nullable<Text>,
        revoked_at -> Timestamp,
    }
}

diesel::table! {
    session_rooms (session, room) {
        session -> Text,
        room -> Text,
        entered_at -> BigInt,
        since -> BigInt,
        seen_at -> BigInt,
    }
}

diesel::table! {
    tab_access_tokens (id) {
        id -> Text,
        token -> Text,
        tab_id -> Text,
        expires_at -> Timestamp,
        created_at -> Timestamp,
    }
}

diesel::table! {
    tab_items (id) {
        id -> Text,
        tab_id -> Text,
        menu_item_id -> Text,
        name -> Text,
        quantity -> Integer,
        unit_price_cents -> Integer,
        total_price_cents -> Integer,
        modifiers -> Nullable<Text>,
        notes -> Nullable<Text>,
        kitchen_status -> Text,
        course_number -> Nullable<Integer>,
        ordered_at -> Timestamp,
        sent_to_kitchen_at -> Nullable<Timestamp>,
        prepared_at -> Nullable<Timestamp>,
        delivered_at -> Nullable<Timestamp>,
    }
}

diesel::table! {
    tables (id) {
        id -> Text,
        venue_id -> Text,
        number -> Text,
        name -> Nullable<Text>,
        status -> Text,
    }
}

diesel::table! {
    tabs (id) {
        id -> Text,
        venue_id -> Text,
        table_id -> Nullable<Text>,
        server_id -> Text,
        customer_id -> Nullable<Text>,
        tab_number -> Integer,
        status -> Text,
        subtotal_cents -> Integer,
        tax_cents -> Integer,
        tip_cents -> Integer,
        total_cents -> Integer,
        access_token -> Nullable<Text>,
        opened_at -> Timestamp,
        closed_at -> Nullable<Timestamp>,
        updated_at -> Timestamp,
    }
}

diesel::table! {
    users (id) {
        id -> Text,
        name -> Nullable<Text>,
        email -> Nullable<Text>,
        phone -> Nullable<Text>,
        role -> Text,
        status -> Text,
        created_at -> Timestamp,
        updated_at -> Timestamp,
    }
}

diesel::table! {
    venue_staff (id) {
        id -> Text,
        venue_id -> Text,
        user_id -> Text,
        role -> Text,
        status -> Text,
        hired_at -> Timestamp,
        terminated_at -> Nullable<Timestamp>,
    }
}

diesel::table! {
    venues (id) {
        id -> Text,
        name -> Text,
        slug -> Text,
        timezone -> Text,
        created_at -> Timestamp,
        updated_at -> Timestamp,
    }
}

diesel::joinable!(tab_items -> tabs (tab_id));
diesel::joinable!(tables -> venues (venue_id));
diesel::joinable!(tabs -> tables (table_id));
diesel::joinable!(tabs -> venues (venue_id));
diesel::joinable!(venue_staff -> users (user_id));
diesel::joinable!(venue_staff -> venues (venue_id));

diesel::allow_tables_to_appear_in_same_query!(
    audit_log,
    leases,
    log_events,
    log_head,
    log_index,
    log_publishes,
    log_rooms,
    notifications,
    revocations,
    session_rooms,
    tab_access_tokens,
    tab_items,
    tables,
    tabs,
    users,
    venue_staff,
    venues,
);
