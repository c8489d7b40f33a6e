//! The table: medians, and in brackets the range.

use std::fmt::Write as _;
use std::path::Path;

use crate::shapes::{ALL, Measured};

type Figure = (&'static str, fn(&Measured) -> Option<f64>);

const FIGURES: [Figure; 9] = [
    ("deliveries/s", |measured| measured.deliveries_per_s),
    ("server µs per delivery", |measured| measured.us_per_delivery),
    ("p50 ms", |measured| measured.p50_ms),
    ("p99 ms", |measured| measured.p99_ms),
    ("lost", |measured| measured.lost.map(|lost| lost as f64)),
    ("out of order", |measured| measured.out_of_order.map(|count| count as f64)),
    ("KiB each", |measured| measured.kib_each),
    ("connects and joins/s", |measured| measured.joins_per_s),
    ("server µs each", |measured| measured.us_per_join),
];

pub fn write(path: &Path, measured: &[Measured]) -> anyhow::Result<()> {
    let mut servers: Vec<&str> = Vec::new();
    for result in measured {
        if !servers.contains(&result.server.as_str()) {
            servers.push(&result.server);
        }
    }
    let mut text = String::from(
        "# Results\n\nMade by `make bench`: every server in turn, interleaved, in one run on one machine, the load\n\
         generator beside the server. Medians, and in brackets the range. Node and Bun answer database look-ups from\n\
         memory; expeditor reads its SQLite file. No setting is on for the benchmark that is not on by default.\n\n",
    );
    writeln!(text, "| shape | {} |", servers.join(" | "))?;
    writeln!(text, "| --- |{}", " --- |".repeat(servers.len()))?;
    for shape in &ALL {
        for (name, figure) in FIGURES {
            let cell = |server: &&str| {
                let of_server =
                    measured.iter().filter(|result| result.shape == shape.letter && result.server == *server);
                summary(of_server.filter_map(figure).collect())
            };
            let cells: Vec<String> = servers.iter().map(cell).collect();
            if cells.iter().any(|cell| !cell.is_empty()) {
                writeln!(text, "| **{}** {}: {name} | {} |", shape.letter, shape.what, cells.join(" | "))?;
            }
        }
    }
    std::fs::write(path, text)?;
    Ok(())
}

fn summary(mut values: Vec<f64>) -> String {
    values.sort_by(f64::total_cmp);
    match (values.first(), values.get(values.len() / 2), values.last()) {
        (Some(low), Some(median), Some(high)) if low == high => number(*median),
        (Some(low), Some(median), Some(high)) => format!("{} ({}–{})", number(*median), number(*low), number(*high)),
        _ => String::new(),
    }
}

fn number(value: f64) -> String {
    if value >= 1000.0 {
        let whole = format!("{value:.0}");
        let head = whole.len() % 3;
        let groups: Vec<&str> = [&whole[..head]]
            .into_iter()
            .chain((head..whole.len()).step_by(3).map(|at| &whole[at..at + 3]))
            .filter(|group| !group.is_empty())
            .collect();
        groups.join(",")
    } else if value >= 100.0 || value.fract() == 0.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.2}")
    }
}
