//! An event of a room, before it has its place in the log.

use std::sync::Arc;

use serde::Serialize;
use serde_json::value::RawValue;

use super::packet;

/// Name and payload; cheap to clone.
#[derive(Clone, Debug)]
pub struct Event(Arc<Content>);

#[derive(Debug)]
struct Content {
    name: Box<str>,
    payload: Box<RawValue>,
}

impl Event {
    /// The payload's bytes are kept as they are.
    pub fn new(name: &str, payload: Box<RawValue>) -> Self {
        Self(Arc::new(Content { name: name.into(), payload }))
    }

    /// An event whose payload is made here.
    pub fn of<T: Serialize>(name: &str, payload: &T) -> Self {
        Self::new(name, packet::raw(payload))
    }

    /// Whether they are one and the same event, rather than two that say the same.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// JSON.
    pub fn payload(&self) -> &str {
        self.0.payload.get()
    }
}
