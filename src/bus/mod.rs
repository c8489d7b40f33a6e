//! The wire between instances: the frames of our own, those of Node servers, and the connection to
//! Redis that carries both. Used by the ClusterBridge alone. It knows no actors, and never decides what an event means.

pub mod adapter;
pub mod json;
pub mod redis;
pub mod relay;

/// Why something that came over Redis was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Garbage {
    /// Of another log: another house on the same Redis.
    #[error("another log's")]
    Foreign,
    #[error("of another version")]
    Version,
    /// Not sealed with this log's key.
    #[error("not sealed by an instance of this log")]
    Forged,
    #[error("not in its form")]
    Malformed,
    #[error("too large")]
    TooLarge,
    /// Nested too deep, or with more members than any peer sends.
    #[error("too deep")]
    TooDeep,
    /// For rooms of a form that this service has not, or for everybody.
    #[error("for no room of this service")]
    Room,
    #[error("of a reserved or unusable event name")]
    Event,
    /// An attachment: room events are JSON here.
    #[error("binary")]
    Binary,
    /// More than a payload.
    #[error("of several arguments")]
    Arguments,
    /// Not for so many besides that they are not taken along, or not for what is not known here.
    #[error("not for others that cannot be told")]
    Except,
    /// What is asked for is not known here.
    #[error("an unknown request")]
    Request,
}

impl Garbage {
    pub const ALL: [Self; 12] = [
        Self::Foreign,
        Self::Version,
        Self::Forged,
        Self::Malformed,
        Self::TooLarge,
        Self::TooDeep,
        Self::Room,
        Self::Event,
        Self::Binary,
        Self::Arguments,
        Self::Except,
        Self::Request,
    ];

    /// The value of the metric's label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Foreign => "foreign",
            Self::Version => "version",
            Self::Forged => "forged",
            Self::Malformed => "malformed",
            Self::TooLarge => "too_large",
            Self::TooDeep => "too_deep",
            Self::Room => "room",
            Self::Event => "event",
            Self::Binary => "binary",
            Self::Arguments => "arguments",
            Self::Except => "except",
            Self::Request => "request",
        }
    }
}
