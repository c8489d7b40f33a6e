//! Measures expeditor beside its peers: the same shapes, one after the other and
//! interleaved, in one run, and writes the table of medians and ranges.

mod artillery;
mod bare;
mod curves;
mod floor;
mod frame;
mod load;
mod measure;
mod pace;
mod plots;
mod postgres;
mod process;
mod report;
mod restaurant;
mod shapes;
mod watch;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};

use report::Measured;
use restaurant::Restaurant;

#[derive(Parser)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The shapes of the table.
    Shapes {
        #[command(flatten)]
        run: Run,
        /// Only these shapes, such as A,D.
        #[arg(long, default_value = "A,B,C,D,E,F,G,P,S,W,X")]
        shapes: String,
        /// Where the table goes.
        #[arg(long, default_value = "RESULTS.md")]
        output: PathBuf,
    },
    /// How latency, memory and cost grow, as plots.
    Curves {
        #[command(flatten)]
        run: Run,
        /// Only these curves.
        #[arg(long, value_delimiter = ',', default_value = "latency,memory,growth")]
        curves: Vec<String>,
        /// The folder for the plots and their table.
        #[arg(long, default_value = "plots")]
        output: PathBuf,
    },
    /// The specification's own load test.
    Artillery {
        /// Divides the duration of each phase, for a trial.
        #[arg(long, default_value_t = 1)]
        shorter: u64,
        #[arg(long, default_value = "artillery")]
        output: PathBuf,
    },
    /// The floor: a server that only writes ready-made frames.
    Floor { port: u16 },
    /// A bare socketioxide server.
    Bare { port: u16 },
}

#[derive(Args)]
pub struct Run {
    /// How often each is measured on each server.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Seconds of measuring.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Only these servers.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "expeditor,expeditor-volatile,expeditor-postgresql,node,bun,bare,floor"
    )]
    servers: Vec<String>,
}

impl Run {
    fn servers(&self) -> anyhow::Result<Vec<&'static str>> {
        let known = |name: &String| process::ALL.into_iter().find(|known| known == name);
        self.servers.iter().map(|name| known(name).with_context(|| format!("no server {name}"))).collect()
    }
}

fn main() -> anyhow::Result<()> {
    match CommandLine::parse().command {
        Command::Shapes { run, shapes, output } => measure_shapes(&run, &shapes, &output),
        Command::Curves { run, curves, output } => curves::measure(&run, &curves, &output),
        Command::Artillery { shorter, output } => artillery::run(shorter, &output),
        Command::Floor { port } => floor::serve(port),
        Command::Bare { port } => bare::serve(port),
    }
}

fn measure_shapes(run: &Run, letters: &str, output: &std::path::Path) -> anyhow::Result<()> {
    let (restaurant, servers) = (Restaurant::new()?, run.servers()?);
    let mut measured = Vec::new();
    for round in 1..=run.rounds {
        for shape in shapes::named(letters) {
            for server in servers.iter().filter(|server| shape.servers.contains(server)) {
                let outcome = measure::measure(shape, server, &restaurant, Duration::from_secs(run.seconds));
                // A server that fails is left out of this round; the others' figures stand.
                let outcome = outcome.map_err(|error| format!("{error:#}"));
                println!("round {round} shape {} {server}: {}", shape.letter, told(&outcome));
                measured.push(Measured { shape: shape.letter, server, outcome });
            }
        }
    }
    report::write(output, &measured, run.rounds)
}

fn told(outcome: &Result<measure::Figures, String>) -> String {
    match outcome {
        Ok(figures) => figures
            .iter()
            .map(|(name, value)| format!("{name} {}", report::number(*value)))
            .collect::<Vec<_>>()
            .join(", "),
        Err(error) => format!("failed: {error}"),
    }
}
