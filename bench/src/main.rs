//! Measures expeditor beside its peers: the same shapes, one after the other and
//! interleaved, in one run, and writes the table of medians and ranges.

mod floor;
mod load;
mod process;
mod report;
mod restaurant;
mod shapes;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

#[derive(Parser)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
    /// How often each shape is measured on each server.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Seconds of measuring in shapes A to D.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Only these shapes, such as AD.
    #[arg(long, default_value = "ABCDEF")]
    shapes: String,
    /// Only these servers.
    #[arg(long, value_delimiter = ',', default_value = "expeditor,node,bun,floor")]
    servers: Vec<String>,
    /// Where the table goes.
    #[arg(long, default_value = "RESULTS.md")]
    output: PathBuf,
}

#[derive(Subcommand)]
enum Command {
    /// The floor: a server that only writes ready-made frames.
    Floor { port: u16 },
}

fn main() -> anyhow::Result<()> {
    let line = CommandLine::parse();
    if let Some(Command::Floor { port }) = line.command {
        return floor::serve(port);
    }
    let restaurant = restaurant::Restaurant::new()?;
    let mut measured = Vec::new();
    for round in 0..line.rounds {
        for shape in shapes::ALL.iter().filter(|shape| line.shapes.contains(shape.letter)) {
            for server in &line.servers {
                if server == "floor" && !shape.floor_can {
                    continue;
                }
                // A server that fails is left out of this round's row; the others' figures stand.
                match shapes::measure(shape, server, &restaurant, line.seconds) {
                    Ok(result) => {
                        println!("round {} shape {} {server}: {result}", round + 1, shape.letter);
                        measured.push(result);
                    }
                    Err(error) => println!("round {} shape {} {server}: failed: {error}", round + 1, shape.letter),
                }
            }
        }
    }
    report::write(&line.output, &measured)
}
