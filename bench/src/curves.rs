//! How latency, memory and cost grow: each server in turn at each point, interleaved, and
//! the medians as plots and as a table.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use crate::Run;
use crate::load::Load;
use crate::measure::{Figures, driven};
use crate::plots::{self, Chart, Series};
use crate::process::Server;
use crate::report::{self, number};
use crate::restaurant::Restaurant;
use crate::shapes::Drive;

/// Publishes/s to 100 rooms of 10.
const RATES: [u64; 8] = [250, 500, 1_000, 2_000, 4_000, 8_000, 12_000, 16_000];
const CONNECTIONS: [usize; 6] = [100, 1_000, 2_500, 5_000, 7_500, 10_000];
const SESSIONS: [usize; 4] = [10, 100, 1_000, 10_000];
/// Deliveries/s at each number of sessions.
const DELIVERIES: u64 = 20_000;
const PER_ROOM: usize = 10;
/// Past this much less than what was published a server is saturated, and greater rates tell nothing.
const SATURATED: f64 = 0.95;
const ALL_JOINED: Duration = Duration::from_mins(1);

const LATENCY_P50: Chart =
    Chart { file: "latency-p50", title: "Median latency against load, 100 rooms of 10", x: "publishes/s", y: "ms" };
const LATENCY_P99: Chart =
    Chart { file: "latency-p99", title: "p99 latency against load, 100 rooms of 10", x: "publishes/s", y: "ms" };
const MEMORY: Chart = Chart {
    file: "memory",
    title: "Resident memory against idle connections, rooms of 10",
    x: "connections",
    y: "MiB",
};
const GROWTH_ROOMS: Chart = Chart {
    file: "growth-rooms",
    title: "Cost of a delivery, rooms of 10, 20,000 deliveries/s",
    x: "sessions",
    y: "server µs per delivery",
};
const GROWTH_ONE_ROOM: Chart = Chart {
    file: "growth-one-room",
    title: "Cost of a delivery, one room, 20,000 deliveries/s",
    x: "sessions",
    y: "server µs per delivery",
};
const CHARTS: [Chart; 5] = [LATENCY_P50, LATENCY_P99, MEMORY, GROWTH_ROOMS, GROWTH_ONE_ROOM];

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    chart: &'static str,
    server: &'static str,
    x: u64,
}

/// Every value that was measured at a place.
type Samples = BTreeMap<Place, Vec<f64>>;

pub fn measure(run: &Run, curves: &[String], output: &Path) -> anyhow::Result<()> {
    let (restaurant, servers) = (Restaurant::new()?, run.servers()?);
    let time = Duration::from_secs(run.seconds);
    let mut samples = Samples::new();
    for round in 1..=run.rounds {
        for server in &servers {
            for curve in curves {
                let mut keep = |chart: &Chart, x: u64, y: f64| {
                    println!("round {round} {server} {} {x}: {y:.2}", chart.file);
                    samples.entry(Place { chart: chart.file, server, x }).or_default().push(y);
                };
                let outcome = match curve.as_str() {
                    "latency" => latency(server, &restaurant, time, &mut keep),
                    "memory" if *server != "floor" => memory(server, &restaurant, &mut keep),
                    "growth" => growth(server, &restaurant, time, &mut keep),
                    "memory" => Ok(()),
                    other => anyhow::bail!("no curve {other}"),
                };
                // A server that fails lacks its points; the others' stand.
                if let Err(error) = outcome {
                    println!("round {round} {server} {curve}: failed: {error:#}");
                }
            }
        }
    }
    write(&samples, &servers, run.rounds, output)
}

type Keep<'a> = &'a mut dyn FnMut(&Chart, u64, f64);

fn latency(server: &str, restaurant: &Restaurant, time: Duration, keep: Keep<'_>) -> anyhow::Result<()> {
    let server = Server::start(server, restaurant, 1)?;
    let mut load = Load::connect(&server.addresses, restaurant, 1_000, 100)?;
    load.until_all_joined(ALL_JOINED)?;
    load.open_loop(1_000, Duration::from_secs(1))?;
    load.drain()?;
    for rate in RATES {
        let figures = driven(&mut load, &server, Drive::Rate(rate), time)?;
        if figure(&figures, "deliveries/s") < SATURATED * (rate * PER_ROOM as u64) as f64 {
            break;
        }
        keep(&LATENCY_P50, rate, figure(&figures, "p50 ms"));
        keep(&LATENCY_P99, rate, figure(&figures, "p99 ms"));
    }
    Ok(())
}

fn memory(server: &str, restaurant: &Restaurant, keep: Keep<'_>) -> anyhow::Result<()> {
    for connections in CONNECTIONS {
        let server = Server::start(server, restaurant, 1)?;
        if connections == CONNECTIONS[0] {
            keep(&MEMORY, 0, server.resident_kib()? as f64 / 1024.0);
        }
        let mut load = Load::connect(&server.addresses, restaurant, connections, connections / PER_ROOM)?;
        load.until_all_joined(ALL_JOINED)?;
        load.idle(Duration::from_secs(1))?;
        keep(&MEMORY, connections as u64, server.resident_kib()? as f64 / 1024.0);
    }
    Ok(())
}

fn growth(name: &str, restaurant: &Restaurant, time: Duration, keep: Keep<'_>) -> anyhow::Result<()> {
    for sessions in SESSIONS {
        for (chart, rooms) in [(&GROWTH_ROOMS, sessions / PER_ROOM), (&GROWTH_ONE_ROOM, 1)] {
            let server = Server::start(name, restaurant, 1)?;
            let mut load = Load::connect(&server.addresses, restaurant, sessions, rooms)?;
            load.until_all_joined(ALL_JOINED)?;
            let rate = DELIVERIES / (sessions / rooms) as u64;
            load.open_loop(rate, Duration::from_secs(1))?;
            load.drain()?;
            let figures = driven(&mut load, &server, Drive::Rate(rate), time)?;
            keep(chart, sessions as u64, figure(&figures, "server µs per delivery"));
        }
    }
    Ok(())
}

fn figure(figures: &Figures, name: &str) -> f64 {
    figures.iter().find(|(other, _)| *other == name).map_or(0.0, |(_, value)| *value)
}

fn write(samples: &Samples, servers: &[&'static str], rounds: usize, output: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(output)?;
    let mut text = format!(
        "# Curves\n\nMade by `make bench-curves`: {rounds} rounds, interleaved, in one run; medians. A latency that is\n\
         not there is that of a load the server did not keep up with.\n"
    );
    for chart in CHARTS {
        let series: Vec<Series> = servers.iter().map(|server| of(samples, &chart, server)).collect();
        let series: Vec<Series> = series.into_iter().filter(|series| !series.points.is_empty()).collect();
        if !series.is_empty() {
            plots::draw(&output.join(chart.file).with_extension("svg"), &chart, &series)?;
            text += &section(&chart, &series);
        }
    }
    std::fs::write(output.join("CURVES.md"), text)?;
    Ok(())
}

fn of(samples: &Samples, chart: &Chart, server: &'static str) -> Series {
    let here = samples.iter().filter(|(place, _)| place.chart == chart.file && place.server == server);
    let points = here.map(|(place, values)| (place.x as f64, median(values))).collect();
    Series { server, points }
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    report::median(&values)
}

fn section(chart: &Chart, series: &[Series]) -> String {
    let mut xs: Vec<f64> = series.iter().flat_map(|series| &series.points).map(|(x, _)| *x).collect();
    xs.sort_by(f64::total_cmp);
    xs.dedup();
    let head: Vec<String> = xs.iter().map(|x| number(*x)).collect();
    let Chart { title, file, x, y } = chart;
    let mut text = format!(
        "\n## {title}\n\n![{title}]({file}.svg)\n\n| {x}: {y} | {} |\n| --- |{}\n",
        head.join(" | "),
        " --- |".repeat(xs.len())
    );
    for Series { server, points } in series {
        let cell = |x: &f64| {
            points.iter().find(|(other, _)| (other - x).abs() < 0.5).map_or(String::new(), |(_, y)| number(*y))
        };
        let cells: Vec<String> = xs.iter().map(cell).collect();
        text += &["| ", server, " | ", &cells.join(" | "), " |\n"].concat();
    }
    text
}
