//! The table: medians, and in brackets the range.

use std::fmt::Write as _;
use std::path::Path;

use crate::measure::Figures;
use crate::shapes::ALL;

pub struct Measured {
    pub shape: char,
    pub server: &'static str,
    /// The figures, or why there are none.
    pub outcome: Result<Figures, String>,
}

pub fn write(path: &Path, measured: &[Measured], rounds: usize) -> anyhow::Result<()> {
    std::fs::write(path, table(measured, rounds)?)?;
    Ok(())
}

fn table(measured: &[Measured], rounds: usize) -> anyhow::Result<String> {
    let servers: Vec<&str> = crate::process::ALL
        .into_iter()
        .filter(|server| measured.iter().any(|result| result.server == *server))
        .collect();
    let mut text = format!(
        "# Results\n\nMade by `make bench`: every server in turn, interleaved, {rounds} rounds in one run on one machine\n\
         ({}), the load generator beside the server. Medians, and in brackets the range. Node, Bun and\n\
         bare socketioxide answer database look-ups from memory; expeditor reads and writes its SQLite file, and\n\
         expeditor-postgresql a PostgreSQL server whose processes' time is not in its figures. expeditor-volatile is\n\
         expeditor with events that are not to be stored. No setting is on for the benchmark that is not on by default.\n\n",
        machine()
    );
    writeln!(text, "| shape | {} |", servers.join(" | "))?;
    writeln!(text, "| --- |{}", " --- |".repeat(servers.len()))?;
    for shape in &ALL {
        let of_shape: Vec<&Measured> = measured.iter().filter(|result| result.shape == shape.letter).collect();
        for name in names(&of_shape) {
            let cells: Vec<String> = servers.iter().map(|server| cell(&of_shape, server, name)).collect();
            writeln!(text, "| **{}** {}: {name} | {} |", shape.letter, shape.what, cells.join(" | "))?;
        }
    }
    let failures: Vec<String> = measured
        .iter()
        .filter_map(|result| Some((result, result.outcome.as_ref().err()?)))
        .map(|(result, why)| format!("- **{}** {}: {why}\n", result.shape, result.server))
        .collect();
    if !failures.is_empty() {
        write!(text, "\nWithout a figure, each in one round:\n{}", failures.concat())?;
    }
    Ok(text)
}

/// The figures' names, in the order in which they first come.
fn names(measured: &[&Measured]) -> Vec<&'static str> {
    let mut names = Vec::new();
    for (name, _) in measured.iter().filter_map(|result| result.outcome.as_ref().ok()).flatten() {
        if !names.contains(name) {
            names.push(*name);
        }
    }
    names
}

fn cell(measured: &[&Measured], server: &str, name: &str) -> String {
    let of_server = measured.iter().filter(|result| result.server == server);
    let figures = of_server.filter_map(|result| result.outcome.as_ref().ok()).flatten();
    summary(figures.filter(|(other, _)| *other == name).map(|(_, value)| *value).collect())
}

fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let kernel = kernel.trim().split('-').next().unwrap_or_default().to_owned();
    format!("{cores} cores, Linux {kernel}")
}

fn summary(mut values: Vec<f64>) -> String {
    values.sort_by(f64::total_cmp);
    match (values.first(), values.last()) {
        (Some(low), Some(high)) if low >= high => number(*low),
        (Some(low), Some(high)) => format!("{} ({}–{})", number(median(&values)), number(*low), number(*high)),
        _ => String::new(),
    }
}

/// Of at least one, in their order.
pub fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { f64::midpoint(sorted[middle - 1], sorted[middle]) }
}

pub fn number(value: f64) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_medians_and_ranges_and_a_failure_its_reason() {
        let of = |server, outcome| Measured { shape: 'A', server, outcome };
        let measured = [
            of("expeditor", Ok(vec![("deliveries/s", 1_234_567.0)])),
            of("expeditor", Ok(vec![("deliveries/s", 2_000.0)])),
            of("expeditor", Ok(vec![("deliveries/s", 3_000.0)])),
            of("bare", Err("closed".to_owned())),
        ];
        let text = table(&measured, 3).unwrap();
        assert!(text.contains("deliveries/s | 3,000 (2,000–1,234,567) |  |"), "{text}");
        assert!(text.contains("- **A** bare: closed"), "{text}");
    }
}
