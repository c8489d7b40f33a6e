//! The command line.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

use expeditor::cli::token::{self, TokenCommand};
use expeditor::config::Config;
use expeditor::store::migrations;
use expeditor::telemetry::Traces;
use expeditor::{App, demo, telemetry};

/// Node's own habit for a process that a second signal ends.
const KILLED_BY_SECOND_SIGNAL: i32 = 130;

/// A real-time message broker for restaurants.
///
/// Configuration comes from the environment and a .env file; docs/OPERATIONS.md lists it.
#[derive(Parser)]
#[command(version)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server; what happens without a command.
    Serve {
        /// With a sample restaurant, its pages, and no secret needed.
        #[arg(long)]
        demo: bool,
    },
    /// Apply the migrations that the configured database still lacks.
    Migrate,
    /// Make, read and revoke biscuit tokens.
    #[command(subcommand)]
    Token(Box<TokenCommand>),
    /// Exit 0 when the local server is ready.
    Healthcheck,
}

fn main() -> ExitCode {
    let command = CommandLine::parse().command.unwrap_or(Command::Serve { demo: false });
    let outcome = match command {
        Command::Serve { demo } => serve(demo),
        Command::Migrate => migrate(),
        Command::Token(command) => token::run(*command),
        Command::Healthcheck => healthcheck(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("expeditor: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn serve(demo: bool) -> anyhow::Result<()> {
    let mut config = Config::from_env()?;
    if demo {
        demo::configure(&mut config)?;
    }
    let traces = Traces::start(config.traces.as_ref())?;
    telemetry::init_logging(config.telemetry, &traces)?;
    let app = App::build(config.clone(), demo)?;
    if demo {
        for (page, link) in demo::links(&config, app.address()?.port())? {
            println!("{page}: {link}");
        }
    }
    let outcome = actix_rt::System::new().block_on(async { app.run(stop_signal()?).await });
    traces.flush();
    outcome
}

/// Listens for SIGTERM and SIGINT from this call on, so that none that comes right after
/// the start ends the process unprepared. Resolves with the first; a second one ends the process at once.
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut any = async move || {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    Ok(async move {
        any().await;
        actix_rt::spawn(async move {
            any().await;
            tracing::warn!("a second signal: stopping at once");
            std::process::exit(KILLED_BY_SECOND_SIGNAL);
        });
    })
}

fn migrate() -> anyhow::Result<()> {
    let config = Config::from_env()?;
    let applied = migrations::run(&config.database).context("DATABASE_URL")?;
    if applied.is_empty() {
        println!("nothing to apply");
    }
    for migration in applied {
        println!("applied {migration}");
    }
    Ok(())
}

fn healthcheck() -> anyhow::Result<()> {
    let config = Config::from_env()?;
    let host = if config.server.host.is_unspecified() { "127.0.0.1".parse()? } else { config.server.host };
    let address = std::net::SocketAddr::new(host, config.server.port);
    let agent = ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(5))).build().new_agent();
    agent.get(format!("http://{address}/health/ready")).call().context("not ready")?;
    Ok(())
}
