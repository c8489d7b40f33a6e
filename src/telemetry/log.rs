//! Log lines: readable in development, JSON with pino's members in production.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry};

use super::{Traces, spans};
use crate::config::TelemetryConfig;

/// Starts logging to standard output, for the whole process, and what spans there are.
///
/// # Errors
/// Where something in the process already logs.
pub fn init(config: TelemetryConfig, traces: &Traces) -> Result<(), tracing_subscriber::util::TryInitError> {
    subscriber(config, traces).try_init()
}

fn subscriber(config: TelemetryConfig, traces: &Traces) -> impl Subscriber + Send + Sync + use<> {
    // The libraries' own debug lines carry payloads and tokens (socketioxide logs the auth object),
    // so the operator's level is for this program alone.
    let level = LevelFilter::from_level(config.level);
    let filter = Targets::new()
        .with_default(LevelFilter::WARN)
        .with_target("expeditor", level)
        // Who did what is written whatever else is too much.
        .with_target("audit", level.max(LevelFilter::INFO))
        // One filter for all: one for each layer would have every span made that no layer takes.
        .with_target(spans::TARGET, if traces.are_sent() { LevelFilter::INFO } else { LevelFilter::OFF });
    let lines: Box<dyn Layer<Registry> + Send + Sync> = if config.json {
        let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let format = Pino { pid: std::process::id(), hostname: hostname.trim().to_owned() };
        tracing_subscriber::fmt::layer().event_format(format).boxed()
    } else {
        let colours = std::io::IsTerminal::is_terminal(&std::io::stdout());
        tracing_subscriber::fmt::layer().with_target(false).with_ansi(colours).boxed()
    };
    tracing_subscriber::registry().with(lines).with(traces.layer()).with(filter)
}

/// The line format of pino 9: `{"level":30,"time":<ms>,"pid":…,"hostname":…,"msg":…,…}`.
struct Pino {
    pid: u32,
    hostname: String,
}

impl Pino {
    fn level(level: Level) -> u8 {
        match level {
            Level::TRACE => 10,
            Level::DEBUG => 20,
            Level::INFO => 30,
            Level::WARN => 40,
            Level::ERROR => 50,
        }
    }
}

impl<S, N> FormatEvent<S, N> for Pino
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut line = Map::new();
        line.insert("level".into(), Self::level(*event.metadata().level()).into());
        line.insert("time".into(), u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX).into());
        line.insert("pid".into(), self.pid.into());
        line.insert("hostname".into(), self.hostname.clone().into());
        event.record(&mut Members(&mut line));
        writeln!(writer, "{}", Value::Object(line))
    }
}

/// Puts an event's fields into the line; tracing's `message` is pino's `msg`.
struct Members<'a>(&'a mut Map<String, Value>);

impl Members<'_> {
    fn put(&mut self, field: &Field, value: Value) {
        let name = match field.name() {
            "message" => "msg",
            // Rust cannot name a field `type`, which the specification's debug line has.
            "kind" => "type",
            name => name,
        };
        self.0.insert(name.to_owned(), value);
    }
}

impl Visit for Members<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}").into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_collector_no_log_level_makes_spans() {
        let config = TelemetryConfig { level: Level::TRACE, json: true };
        let traces = Traces::start(None).unwrap();
        tracing::subscriber::with_default(subscriber(config, &traces), || {
            assert!(tracing::enabled!(target: "expeditor", Level::TRACE), "the log is on");
            let publish = spans::publish("http");
            assert!(publish.is_disabled() && spans::fan_out(&publish, 0).is_disabled());
        });
    }
}
