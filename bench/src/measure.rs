//! Measuring one shape on one server.

use std::time::{Duration, Instant};

use crate::load::Load;
use crate::process::{Server, cpu_of};
use crate::restaurant::Restaurant;
use crate::shapes::{Drive, Shape};
use crate::watch::Watch;

/// What was measured, each with its name and unit.
pub type Figures = Vec<(&'static str, f64)>;

const WARM_UP: Duration = Duration::from_secs(1);
/// Timers and buffers of the first seconds are part of an idle connection.
const IDLE: Duration = Duration::from_secs(3);
const ALL_JOINED: Duration = Duration::from_mins(1);

pub fn measure(shape: &Shape, name: &str, restaurant: &Restaurant, time: Duration) -> anyhow::Result<Figures> {
    let server = Server::start(name, restaurant, shape.instances)?;
    let connect = || Load::connect(&server.addresses, restaurant, shape.clients, shape.rooms);
    match shape.drive {
        Drive::Join => {
            let (cpu_before, began) = (server.cpu()?, Instant::now());
            let mut load = connect()?;
            let (lost, ended) = load.until_joined()?;
            let cpu = server.cpu()?.saturating_sub(cpu_before);
            let joined = (shape.clients - lost) as f64;
            let took = ended.duration_since(began);
            Ok(vec![
                ("connects and joins/s", joined / took.as_secs_f64()),
                ("server µs each", us(cpu, joined)),
                ("joins lost", lost as f64),
            ])
        }
        Drive::Idle => {
            let empty = server.resident_kib()?;
            let mut load = connect()?;
            load.until_all_joined(ALL_JOINED)?;
            load.idle(IDLE)?;
            let grown = server.resident_kib()?.saturating_sub(empty);
            Ok(vec![("KiB each", grown as f64 / shape.clients as f64)])
        }
        Drive::Once => {
            let mut load = connect()?;
            load.until_all_joined(ALL_JOINED)?;
            load.publish();
            let lost = load.drain()?;
            Ok(vec![("ms", server.started.elapsed().as_secs_f64() * 1e3), ("lost", lost as f64)])
        }
        Drive::InFlight(_) | Drive::Rate(_) | Drive::Acknowledged(_) => {
            let mut load = connect()?;
            load.published = shape.published;
            load.volatile = name == "expeditor-volatile";
            load.until_all_joined(ALL_JOINED)?;
            let watch = if shape.watched { Some(Watch::start(server.addresses[0])) } else { None };
            drive(&mut load, shape.drive, WARM_UP)?;
            load.drain()?;
            let mut figures = driven(&mut load, &server, shape.drive, time)?;
            if let Some(watch) = watch {
                figures.extend(watch.end()?);
            }
            Ok(figures)
        }
    }
}

fn drive(load: &mut Load, drive: Drive, time: Duration) -> anyhow::Result<()> {
    match drive {
        Drive::InFlight(in_flight) => load.closed_loop(in_flight, time),
        Drive::Acknowledged(in_flight) => load.acknowledged_loop(in_flight, time),
        Drive::Rate(rate) => load.open_loop(rate, time),
        Drive::Idle | Drive::Join | Drive::Once => load.idle(time),
    }
}

/// Drives a load whose clients have all joined, and says what came of it.
pub fn driven(load: &mut Load, server: &Server, how: Drive, time: Duration) -> anyhow::Result<Figures> {
    load.seen.reset();
    let own = std::process::id();
    let (cpu, own_cpu, began) = (server.cpu()?, cpu_of(own)?, Instant::now());
    drive(load, how, time)?;
    let lost = load.drain()?;
    let took = began.elapsed().as_secs_f64();
    let (cpu, own_cpu) = (server.cpu()?.saturating_sub(cpu), cpu_of(own)?.saturating_sub(own_cpu));
    let seen = &load.seen;
    let quantile_ms = |quantile| seen.latency_us.value_at_quantile(quantile) as f64 / 1000.0;
    let deliveries = seen.deliveries as f64;
    let latency = [("p50 ms", quantile_ms(0.5)), ("p99 ms", quantile_ms(0.99))];
    let mut figures = Vec::new();
    if let Drive::Acknowledged(_) = how {
        let acknowledged = seen.acknowledged as f64;
        figures.extend([
            ("acknowledged publishes/s", acknowledged / took),
            ("server µs per publish", us(cpu, acknowledged)),
            ("p50 ms to the acknowledgement", latency[0].1),
            ("p99 ms to the acknowledgement", latency[1].1),
            ("% of them `durable: true`", 100.0 * seen.durable as f64 / acknowledged),
            ("refused", seen.refused as f64),
        ]);
    } else {
        figures.extend([("deliveries/s", deliveries / took), ("server µs per delivery", us(cpu, deliveries))]);
        figures.extend(latency);
    }
    figures.extend([
        ("lost", lost as f64),
        ("out of order", seen.out_of_order as f64),
        ("load generator's own µs per delivery", us(own_cpu, deliveries)),
    ]);
    Ok(figures)
}

fn us(cpu: Duration, count: f64) -> f64 {
    cpu.as_secs_f64() * 1e6 / count
}
