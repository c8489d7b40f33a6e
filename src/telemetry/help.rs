//! What each metric says.

use metrics::Recorder;
use metrics_exporter_prometheus::PrometheusRecorder;

pub(super) fn describe(recorder: &PrometheusRecorder) {
    let gauges = [
        ("socket_connections", "Current number of socket connections"),
        ("expeditor_connections", "Sessions on this instance, by transport"),
        (
            "expeditor_mailbox_depth",
            "The deepest that the mailbox of an actor that all sessions share was in the last 5 seconds",
        ),
        (
            "expeditor_last_look_timestamp_seconds",
            "When rights and revocations were last read without a failure, by actor; 0 if they have not been yet",
        ),
        ("expeditor_log_waiting", "Events, entries and leavings that wait to be stored"),
        ("expeditor_sessions_behind", "Sessions that take less than comes, and read their events from the log"),
        ("expeditor_rooms", "Rooms that are running on this instance"),
        ("expeditor_bridge_connected", "Whether what this instance relays comes back to it through Redis"),
        (
            "expeditor_bridge_lag_seconds",
            "For how long other instances have been ahead, or the relay has not been known to be open",
        ),
        ("expeditor_bridge_node_servers", "Node servers that share rooms through Redis"),
        ("expeditor_bridge_lease", "Whether this instance takes in what Node servers publish"),
        (
            "expeditor_worker_lag_seconds",
            "How late a worker thread came to its work at the worst in the last 5 seconds, by worker",
        ),
        ("expeditor_log_outage_seconds", "For how long the database has not taken what is published; 0 while it does"),
        ("expeditor_index_lag_seconds", "How long ago the embedded database's index by room had all events"),
        ("expeditor_log_held", "Writes that are held back because the database does not answer"),
    ];
    let counters = [
        ("expeditor_relayed_events_total", "Events that went to and came from other instances through Redis"),
        ("expeditor_bridge_gaps_total", "Times that the log was read for what other instances had stored"),
        ("expeditor_bridge_lost_total", "Frames that Redis did not take, or that came faster than they could be taken"),
        ("expeditor_bridge_ignored_total", "What came through Redis and was not taken, by cause"),
        ("expeditor_node_events_total", "Events of Node servers that were taken in, and numbered"),
        ("socket_events_total", "Total socket events processed"),
        ("expeditor_publishes_total", "Publishes that took their place in their rooms"),
        ("expeditor_deliveries_total", "Events handed to a session's connection"),
        ("expeditor_room_restarts_total", "Rooms that were started again after a panic"),
        ("expeditor_actor_restarts_total", "Panics that the bridge and the monitor of revocations went on after"),
        ("expeditor_lane_takeovers_total", "Sessions that were upgraded from polling and go on by the lane"),
        ("expeditor_slow_sessions_total", "Sessions whose transport was closed because they did not read"),
        ("expeditor_log_writes_total", "Events, entries and leavings that were stored"),
        ("expeditor_joins_total", "Joins that clients asked for, by outcome"),
        ("expeditor_store_failures_total", "Questions that the database gave no answer to, by cause"),
        ("expeditor_recoveries_total", "Clients that showed a pid to have their session back, by outcome"),
        ("expeditor_admin_refusals_total", "Requests to /admin that were refused, by cause"),
        ("expeditor_limited_total", "Connections, requests and events that met a limit, by limit"),
        ("expeditor_audit_rows_total", "Rows of the audit trail that were stored"),
        ("expeditor_audit_dropped_total", "Records of the audit trail that there was no room for"),
        ("expeditor_connect_refusals_total", "Connections that were refused, by cause"),
    ];
    for (name, help) in gauges {
        recorder.describe_gauge(name.into(), None, help.into());
    }
    for (name, help) in counters {
        recorder.describe_counter(name.into(), None, help.into());
    }
    recorder.describe_histogram(
        "expeditor_log_commit_seconds".into(),
        None,
        "From a batch's start until it was stored".into(),
    );
    recorder.describe_histogram(
        "expeditor_store_seconds".into(),
        None,
        "From a question to the database until its answer, with what it waited before, by query".into(),
    );
    recorder.describe_histogram(
        "expeditor_delivery_seconds".into(),
        None,
        "From an event's receipt until it was handed to its sessions' connections; one event in sixteen".into(),
    );
    recorder.describe_histogram(
        "socket_event_duration_seconds".into(),
        None,
        "Socket event processing duration".into(),
    );
}
