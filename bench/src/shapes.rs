//! The shapes that are measured.

use std::fmt;
use std::time::{Duration, Instant};

use crate::load::Load;
use crate::process::Server;
use crate::restaurant::Restaurant;

pub struct Shape {
    pub letter: char,
    pub what: &'static str,
    clients: usize,
    rooms: usize,
    drive: Drive,
    /// Whether a program that only writes frames can stand for a server here.
    pub floor_can: bool,
}

enum Drive {
    InFlight(usize),
    Rate(u64),
    Idle,
    Join,
}

pub const ALL: [Shape; 6] = [
    Shape {
        letter: 'A',
        what: "1,000 clients in one room, 8 publishes in flight",
        clients: 1_000,
        rooms: 1,
        drive: Drive::InFlight(8),
        floor_can: true,
    },
    Shape {
        letter: 'B',
        what: "100 rooms of 10, 8 publishes in flight",
        clients: 1_000,
        rooms: 100,
        drive: Drive::InFlight(8),
        floor_can: true,
    },
    Shape {
        letter: 'C',
        what: "one room of 1,000, 100 publishes/s",
        clients: 1_000,
        rooms: 1,
        drive: Drive::Rate(100),
        floor_can: true,
    },
    Shape {
        letter: 'D',
        what: "100 rooms of 10, 5,000 publishes/s",
        clients: 1_000,
        rooms: 100,
        drive: Drive::Rate(5_000),
        floor_can: true,
    },
    Shape {
        letter: 'E',
        what: "10,000 idle clients in 1,000 rooms",
        clients: 10_000,
        rooms: 1_000,
        drive: Drive::Idle,
        floor_can: false,
    },
    Shape {
        letter: 'F',
        what: "10,000 connects and joins at once",
        clients: 10_000,
        rooms: 1_000,
        drive: Drive::Join,
        floor_can: false,
    },
];

pub struct Measured {
    pub shape: char,
    pub server: String,
    pub deliveries_per_s: Option<f64>,
    pub us_per_delivery: Option<f64>,
    pub p50_ms: Option<f64>,
    pub p99_ms: Option<f64>,
    pub lost: Option<u64>,
    pub out_of_order: Option<u64>,
    pub kib_each: Option<f64>,
    pub joins_per_s: Option<f64>,
    pub us_per_join: Option<f64>,
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in [
            ("deliveries/s", self.deliveries_per_s),
            ("µs each", self.us_per_delivery),
            ("p50 ms", self.p50_ms),
            ("p99 ms", self.p99_ms),
            ("lost", self.lost.map(|lost| lost as f64)),
            ("out of order", self.out_of_order.map(|count| count as f64)),
            ("KiB each", self.kib_each),
            ("joins/s", self.joins_per_s),
            ("µs per join", self.us_per_join),
        ] {
            if let Some(value) = value {
                write!(f, "{name} {value:.2}  ")?;
            }
        }
        Ok(())
    }
}

pub fn measure(shape: &Shape, name: &str, restaurant: &Restaurant, seconds: u64) -> anyhow::Result<Measured> {
    let server = Server::start(name, restaurant)?;
    let mut measured = Measured {
        shape: shape.letter,
        server: name.to_owned(),
        deliveries_per_s: None,
        us_per_delivery: None,
        p50_ms: None,
        p99_ms: None,
        lost: None,
        out_of_order: None,
        kib_each: None,
        joins_per_s: None,
        us_per_join: None,
    };
    let (empty_kib, cpu_before, began) = (server.resident_kib()?, server.cpu()?, Instant::now());
    let mut load = Load::connect(server.address, restaurant, shape.clients, shape.rooms)?;
    load.until_joined(Duration::from_secs(60))?;
    let (joining, clients) = (began.elapsed(), shape.clients as f64);
    let time = Duration::from_secs(seconds);
    match shape.drive {
        Drive::Join => {
            measured.joins_per_s = Some(clients / joining.as_secs_f64());
            measured.us_per_join = Some((server.cpu()? - cpu_before).as_secs_f64() * 1e6 / clients);
        }
        Drive::Idle => {
            // Pings and timers of the first seconds are part of an idle connection.
            load.open_loop(0, Duration::ZERO)?;
            std::thread::park_timeout(Duration::from_secs(3));
            measured.kib_each = Some((server.resident_kib()? - empty_kib) as f64 / clients);
        }
        Drive::InFlight(_) | Drive::Rate(_) => {
            let run = |load: &mut Load, time| match shape.drive {
                Drive::InFlight(in_flight) => load.closed_loop(in_flight, time),
                Drive::Rate(rate) => load.open_loop(rate, time),
                _ => Ok(()),
            };
            run(&mut load, Duration::from_secs(1))?;
            load.drain()?;
            load.seen.latency_us.reset();
            let (deliveries_before, out_before) = (load.seen.deliveries, load.seen.out_of_order);
            let (cpu_before, began) = (server.cpu()?, Instant::now());
            run(&mut load, time)?;
            let lost = load.drain()?;
            let took = began.elapsed();
            let deliveries = (load.seen.deliveries - deliveries_before) as f64;
            measured.deliveries_per_s = Some(deliveries / took.as_secs_f64());
            measured.us_per_delivery = Some((server.cpu()? - cpu_before).as_secs_f64() * 1e6 / deliveries);
            measured.p50_ms = Some(load.seen.latency_us.value_at_quantile(0.5) as f64 / 1000.0);
            measured.p99_ms = Some(load.seen.latency_us.value_at_quantile(0.99) as f64 / 1000.0);
            measured.lost = Some(lost);
            measured.out_of_order = Some(load.seen.out_of_order - out_before);
        }
    }
    Ok(measured)
}
