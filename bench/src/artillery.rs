//! The specification's own load test: Artillery with its stock Socket.IO engine, against a
//! server that is started here. Writes Artillery's report and a summary with the server's side.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::process::{Server, root};
use crate::report::number;
use crate::restaurant::{MAX_CLIENTS, MAX_ROOMS, Restaurant, VENUE, tab};

/// The specification's phases: name, seconds, arrivals a second.
const PHASES: [(&str, u64, u64); 3] = [("Warm up", 60, 10), ("Ramp up", 120, 50), ("Sustained load", 300, 100)];
const COUNTERS: [&str; 5] =
    ["vusers.created", "vusers.completed", "vusers.failed", "socketio.emit", "errors.invalid arguments"];
/// Longer than the longest scenario lasts.
const ALL_GONE: Duration = Duration::from_secs(90);

/// `shorter` divides the duration of each phase; the arrival rates stay.
pub fn run(shorter: u64, output: &Path) -> anyhow::Result<()> {
    let folder = root().join("artillery");
    let restaurant = Restaurant::new()?;
    std::fs::write(folder.join("restaurant.csv"), people(&restaurant))?;
    let server = Server::start("expeditor", &restaurant, 1)?;
    let report = output.join("report.json");
    let mut artillery = Command::new(folder.join("node_modules/.bin/artillery"));
    artillery
        .args(["run", "--quiet", "--target", &format!("http://{}", server.addresses[0])])
        .arg("--output")
        .arg(std::path::absolute(&report)?)
        .env("ARTILLERY_DISABLE_TELEMETRY", "true");
    if shorter > 1 {
        artillery.args(["--overrides", &overrides(shorter).to_string()]);
    }
    let began = Instant::now();
    let status = artillery.arg("socket-artillery.yml").current_dir(&folder).status().context("artillery")?;
    ensure!(status.success(), "artillery ended with {status}");
    let took = began.elapsed();
    // Artillery has disconnected everybody; the server must have noticed.
    let deadline = Instant::now() + ALL_GONE;
    let metrics = loop {
        let metrics = metrics(&server)?;
        if metrics["connections"] == 0 || Instant::now() > deadline {
            break metrics;
        }
        std::thread::park_timeout(Duration::from_millis(200));
    };
    let report: Value = serde_json::from_slice(&std::fs::read(report)?)?;
    let text = summary(&report["aggregate"], shorter, took, &server, &metrics)?;
    print!("{text}");
    std::fs::write(output.join("RESULTS.md"), text)?;
    Ok(())
}

fn people(restaurant: &Restaurant) -> String {
    let mut lines = "token,tabId,venueId\n".to_owned();
    for index in 0..MAX_CLIENTS {
        // Writing to a String does not fail.
        writeln!(lines, "{},{},{VENUE}", restaurant.token(index), tab(index % MAX_ROOMS)).ok();
    }
    lines
}

fn overrides(shorter: u64) -> Value {
    let phases = PHASES.map(
        |(name, seconds, rate)| json!({ "name": name, "duration": (seconds / shorter).max(1), "arrivalRate": rate }),
    );
    json!({ "config": { "phases": phases } })
}

/// The service's own count of connections and rooms.
fn metrics(server: &Server) -> anyhow::Result<Value> {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(server.addresses[0])?;
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: bench\r\nAccept: application/json\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (_, body) = answer.split_once("\r\n\r\n").context("an answer")?;
    Ok(serde_json::from_str(body)?)
}

fn summary(
    aggregate: &Value,
    shorter: u64,
    took: Duration,
    server: &Server,
    metrics: &Value,
) -> anyhow::Result<String> {
    let mut text = "# The specification's load test\n\nMade by `make bench-artillery`: the specification's scenario, \
                    run by Artillery's stock engine beside the\nserver, which is a release build with its defaults"
        .to_owned();
    match shorter {
        1 => text += ".\n",
        _ => writeln!(text, "; here **with each phase {shorter} times shorter**, as a trial.")?,
    }
    text += "`report.json` is Artillery's own report. Its response times are those of sending: the scenario asks for\n\
             no acknowledgements.\n\n| what | figure |\n| --- | --- |\n";
    let counters = aggregate["counters"].as_object().context("counters")?;
    let errors: Vec<_> = counters.iter().filter(|(name, _)| name.starts_with("errors.")).collect();
    for name in COUNTERS {
        if let Some(value) = counters.get(name).and_then(Value::as_f64) {
            writeln!(text, "| {name} | {} |", number(value))?;
        }
    }
    for (name, value) in errors.iter().filter(|(name, _)| !COUNTERS.contains(&name.as_str())) {
        writeln!(text, "| {name} | {value} |")?;
    }
    if errors.is_empty() {
        writeln!(text, "| errors | none |")?;
    }
    for quantile in ["min", "median", "p95", "p99", "max"] {
        let value = aggregate["summaries"]["vusers.session_length"][quantile].as_f64().unwrap_or_default();
        writeln!(text, "| session length, {quantile}, ms | {} |", number(value))?;
    }
    writeln!(text, "| wall time, s | {} |", number(took.as_secs_f64()))?;
    writeln!(text, "| server's CPU time, s | {} |", number(server.cpu()?.as_secs_f64()))?;
    writeln!(text, "| server's peak of resident memory, MiB | {} |", number(server.peak_kib()? as f64 / 1024.0))?;
    writeln!(text, "| connections left on the server afterwards | {} |", metrics["connections"])?;
    Ok(text)
}
