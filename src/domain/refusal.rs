//! Why an event was not carried out, as the client sees it.

use serde::Serialize;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ErrorCode {
    InvalidData,
    Forbidden,
    NotFound,
    RateLimited,
    TokenExpired,
    TooLarge,
    TooManyRooms,
    Unavailable,
    Internal,
}

impl ErrorCode {
    pub const ALL: [Self; 9] = [
        Self::InvalidData,
        Self::Forbidden,
        Self::NotFound,
        Self::RateLimited,
        Self::TokenExpired,
        Self::TooLarge,
        Self::TooManyRooms,
        Self::Unavailable,
        Self::Internal,
    ];

    /// As it is on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidData => "INVALID_DATA",
            Self::Forbidden => "FORBIDDEN",
            Self::NotFound => "NOT_FOUND",
            Self::RateLimited => "RATE_LIMITED",
            Self::TokenExpired => "TOKEN_EXPIRED",
            Self::TooLarge => "TOO_LARGE",
            Self::TooManyRooms => "TOO_MANY_ROOMS",
            Self::Unavailable => "UNAVAILABLE",
            Self::Internal => "INTERNAL",
        }
    }

    /// Whether the service failed, rather than the client's event.
    pub const fn is_failure(self) -> bool {
        matches!(self, Self::Unavailable | Self::Internal)
    }
}

/// The `error` of an acknowledgement: `{code, message, field?, retryAfterMs?}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Refusal {
    pub code: ErrorCode,
    pub message: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

impl Refusal {
    pub const fn new(code: ErrorCode, message: &'static str) -> Self {
        Self { code, message, field: None, retry_after_ms: None }
    }

    /// `Invalid data`, with the field at fault.
    pub const fn invalid(field: &'static str) -> Self {
        Self { field: Some(field), ..Self::new(ErrorCode::InvalidData, "Invalid data") }
    }

    pub const fn forbidden(message: &'static str) -> Self {
        Self::new(ErrorCode::Forbidden, message)
    }

    pub const fn rate_limited(retry_after_ms: u64) -> Self {
        Self { retry_after_ms: Some(retry_after_ms), ..Self::new(ErrorCode::RateLimited, "Rate limit exceeded") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_has_one_name() {
        for code in ErrorCode::ALL {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
        }
    }
}
