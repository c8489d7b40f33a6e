//! Reading one variable: what is wrong with it, in one line.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use super::ConfigError;

/// Where values come from. An empty value counts as absent, as deployment
/// platforms cannot unset a variable.
pub(super) struct Variables<'a>(pub &'a dyn Fn(&str) -> Option<String>);

impl Variables<'_> {
    pub fn get(&self, name: &str) -> Option<String> {
        (self.0)(name).filter(|value| !value.is_empty())
    }

    pub fn production(&self) -> Result<bool, ConfigError> {
        match self.get("NODE_ENV").as_deref() {
            None | Some("development" | "test") => Ok(false),
            Some("production") => Ok(true),
            Some(other) => Err(ConfigError {
                variable: "NODE_ENV",
                fault: format!("{other:?} is no environment"),
                takes: "production, development or test",
            }),
        }
    }

    pub fn parsed<T: std::str::FromStr>(
        &self,
        variable: &'static str,
        default: &str,
        takes: &'static str,
    ) -> Result<T, ConfigError>
    where
        T::Err: fmt::Display,
    {
        let value = self.get(variable).unwrap_or_else(|| default.to_owned());
        value.trim().parse().map_err(|error: T::Err| ConfigError {
            variable,
            fault: format!("{value:?}: {error}"),
            takes,
        })
    }

    pub fn whole(
        &self,
        variable: &'static str,
        range: std::ops::RangeInclusive<u64>,
        default: u64,
        takes: &'static str,
    ) -> Result<u64, ConfigError> {
        let value: u64 = self.parsed(variable, &default.to_string(), takes)?;
        if range.contains(&value) {
            return Ok(value);
        }
        Err(ConfigError { variable, fault: format!("{value} is out of range"), takes })
    }

    pub fn whole_or(
        &self,
        variable: &'static str,
        range: std::ops::RangeInclusive<u64>,
        default: usize,
        takes: &'static str,
    ) -> Result<usize, ConfigError> {
        // No range here goes past 32 bits.
        self.whole(variable, range, default as u64, takes).map(|value| value as usize)
    }

    pub fn list(&self, variable: &str) -> Vec<String> {
        let value = self.get(variable).unwrap_or_default();
        value.split(',').map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect()
    }

    pub fn origin(&self, variable: &'static str, default: &str) -> Result<String, ConfigError> {
        parse_origin(variable, &self.get(variable).unwrap_or_else(|| default.to_owned()))
    }
}

/// Keeps scheme, host and port: `NEXTAUTH_URL` may have a path, an origin has none.
pub(super) fn parse_origin(variable: &'static str, text: &str) -> Result<String, ConfigError> {
    let fault = || ConfigError {
        variable,
        fault: format!("{text:?} is no origin"),
        takes: "an origin such as https://pos.example.com",
    };
    let uri: http::Uri = text.parse().map_err(|_| fault())?;
    match (uri.scheme_str(), uri.authority()) {
        (Some(scheme @ ("http" | "https")), Some(authority)) => Ok(format!("{scheme}://{authority}").to_lowercase()),
        _ => Err(fault()),
    }
}

pub(super) fn parse_network(text: &str) -> Result<IpNet, ConfigError> {
    text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).map_err(|_| ConfigError {
        variable: "TRUSTED_PROXIES",
        fault: format!("{text:?} is neither an address nor a network"),
        takes: "addresses or networks with commas, such as 10.0.0.0/8",
    })
}
