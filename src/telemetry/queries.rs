//! How long the database takes to answer, by what it is asked. The store records it; batches of the log and of
//! the audit trail have metrics of their own.

use std::time::Duration;

use metrics::{Counter, Histogram, Key, Label, Metadata, Recorder};

/// What the database is asked: the values of `expeditor_store_seconds`' label `query`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Query {
    Users,
    Tabs,
    Tables,
    Item,
    Orders,
    OpenTabs,
    TabSheet,
    Revocations,
    SessionRooms,
    PrunedThrough,
    Events,
    Head,
    Audit,
    Ping,
    ReadNotification,
    AddItems,
    Revoke,
    Lease,
    Resume,
}

/// Why it gave no answer: the values of `expeditor_store_failures_total`'s label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreFailure {
    Timeout,
    Connection,
    Query,
}

impl Query {
    const ALL: [Self; 19] = [
        Self::Users,
        Self::Tabs,
        Self::Tables,
        Self::Item,
        Self::Orders,
        Self::OpenTabs,
        Self::TabSheet,
        Self::Revocations,
        Self::SessionRooms,
        Self::PrunedThrough,
        Self::Events,
        Self::Head,
        Self::Audit,
        Self::Ping,
        Self::ReadNotification,
        Self::AddItems,
        Self::Revoke,
        Self::Lease,
        Self::Resume,
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::Tabs => "tabs",
            Self::Tables => "tables",
            Self::Item => "item",
            Self::Orders => "orders",
            Self::OpenTabs => "open_tabs",
            Self::TabSheet => "tab_sheet",
            Self::Revocations => "revocations",
            Self::SessionRooms => "session_rooms",
            Self::PrunedThrough => "pruned_through",
            Self::Events => "events",
            Self::Head => "head",
            Self::Audit => "audit",
            Self::Ping => "ping",
            Self::ReadNotification => "read_notification",
            Self::AddItems => "add_items",
            Self::Revoke => "revoke",
            Self::Lease => "lease",
            Self::Resume => "resume",
        }
    }
}

impl StoreFailure {
    const ALL: [Self; 3] = [Self::Timeout, Self::Connection, Self::Query];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Connection => "connection",
            Self::Query => "query",
        }
    }
}

/// The handles of one database's metrics, each at its kind's own place.
pub struct QueryMetrics {
    times: [Histogram; Query::ALL.len()],
    failures: [Counter; StoreFailure::ALL.len()],
}

impl QueryMetrics {
    pub(super) fn new(backend: &'static str, recorder: &impl Recorder, metadata: &Metadata<'_>) -> Self {
        let backend = Label::new("backend", backend);
        Self {
            times: Query::ALL.map(|query| {
                let labels = vec![backend.clone(), Label::new("query", query.as_str())];
                recorder.register_histogram(&Key::from_parts("expeditor_store_seconds", labels), metadata)
            }),
            failures: StoreFailure::ALL.map(|cause| {
                let labels = vec![backend.clone(), Label::new("cause", cause.as_str())];
                recorder.register_counter(&Key::from_parts("expeditor_store_failures_total", labels), metadata)
            }),
        }
    }

    /// From the question to its answer, or to when it was given up.
    pub fn answered(&self, query: Query, took: Duration, failure: Option<StoreFailure>) {
        self.times[query as usize].record(took.as_secs_f64());
        if let Some(cause) = failure {
            self.failures[cause as usize].increment(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_at_its_own_place() {
        assert!(Query::ALL.into_iter().enumerate().all(|(index, query)| query as usize == index));
        assert!(StoreFailure::ALL.into_iter().enumerate().all(|(index, cause)| cause as usize == index));
    }
}
