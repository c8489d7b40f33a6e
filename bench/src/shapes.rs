//! The shapes that are measured.

pub struct Shape {
    pub letter: char,
    pub what: &'static str,
    pub clients: usize,
    pub rooms: usize,
    /// The first so many of the rooms are published to.
    pub published: usize,
    pub drive: Drive,
    pub instances: usize,
    /// Whether operators read the metrics and the actors every second meanwhile.
    pub watched: bool,
    /// Who can take part.
    pub servers: &'static [&'static str],
}

#[derive(Clone, Copy)]
pub enum Drive {
    /// So many publishes are on their way at all times.
    InFlight(usize),
    /// Publishes a second.
    Rate(u64),
    /// So many publishes wait for their acknowledgement at all times.
    Acknowledged(usize),
    Idle,
    Join,
    /// One publish, as soon as a client has joined.
    Once,
}

const EVERYBODY: &[&str] = &["expeditor", "expeditor-volatile", "node", "bun", "bare", "floor"];
/// A program that only writes frames cannot stand for a server everywhere.
const SERVERS: &[&str] = &["expeditor", "node", "bun", "bare"];

pub const ALL: [Shape; 11] = [
    Shape {
        letter: 'A',
        what: "1,000 clients in one room, 8 publishes in flight",
        clients: 1_000,
        rooms: 1,
        published: 1,
        drive: Drive::InFlight(8),
        instances: 1,
        watched: false,
        servers: EVERYBODY,
    },
    Shape {
        letter: 'B',
        what: "100 rooms of 10, 8 publishes in flight",
        clients: 1_000,
        rooms: 100,
        published: 100,
        drive: Drive::InFlight(8),
        instances: 1,
        watched: false,
        servers: EVERYBODY,
    },
    Shape {
        letter: 'C',
        what: "one room of 1,000, 100 publishes/s",
        clients: 1_000,
        rooms: 1,
        published: 1,
        drive: Drive::Rate(100),
        instances: 1,
        watched: false,
        servers: EVERYBODY,
    },
    Shape {
        letter: 'D',
        what: "100 rooms of 10, 5,000 publishes/s",
        clients: 1_000,
        rooms: 100,
        published: 100,
        drive: Drive::Rate(5_000),
        instances: 1,
        watched: false,
        servers: EVERYBODY,
    },
    Shape {
        letter: 'E',
        what: "10,000 idle clients in 1,000 rooms",
        clients: 10_000,
        rooms: 1_000,
        published: 1_000,
        drive: Drive::Idle,
        instances: 1,
        watched: false,
        servers: SERVERS,
    },
    Shape {
        letter: 'F',
        what: "10,000 connects and joins at once",
        clients: 10_000,
        rooms: 1_000,
        published: 1_000,
        drive: Drive::Join,
        instances: 1,
        watched: false,
        servers: SERVERS,
    },
    Shape {
        letter: 'G',
        what: "two instances through Redis, 100 rooms of 10 over both, 8 publishes in flight",
        clients: 1_000,
        rooms: 100,
        published: 100,
        drive: Drive::InFlight(8),
        instances: 2,
        watched: false,
        // The others have no relay.
        servers: &["expeditor-postgresql", "node"],
    },
    Shape {
        letter: 'P',
        what: "100 rooms of one, 64 acknowledged publishes in flight from one backend",
        clients: 100,
        rooms: 100,
        published: 100,
        drive: Drive::Acknowledged(64),
        instances: 1,
        watched: false,
        // The others store nothing, and the specification's server does not acknowledge.
        servers: &["expeditor", "expeditor-postgresql"],
    },
    Shape {
        letter: 'S',
        what: "from the start of the process to the first delivery",
        clients: 1,
        rooms: 1,
        published: 1,
        drive: Drive::Once,
        instances: 1,
        watched: false,
        servers: SERVERS,
    },
    Shape {
        letter: 'W',
        what: "shape D with 9,000 idle clients more",
        clients: 10_000,
        rooms: 1_000,
        published: 100,
        drive: Drive::Rate(5_000),
        instances: 1,
        watched: false,
        servers: &["expeditor"],
    },
    Shape {
        letter: 'X',
        what: "the same, with metrics and actors read every second",
        clients: 10_000,
        rooms: 1_000,
        published: 100,
        drive: Drive::Rate(5_000),
        instances: 1,
        watched: true,
        servers: &["expeditor"],
    },
];

/// Tells which shapes are meant, such as `A,B` or `AB`.
pub fn named(letters: &str) -> impl Iterator<Item = &'static Shape> {
    const { &ALL }.iter().filter(move |shape| letters.to_ascii_uppercase().contains(shape.letter))
}
