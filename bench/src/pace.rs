//! An even pace finer than a millisecond, which is all that waiting for sockets can do by
//! itself; turning in a circle instead would take a core away from the server.

use std::os::fd::{AsRawFd, OwnedFd};

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

/// Wakes a poll at a rate, as one of its sources.
pub struct Pace(OwnedFd);

impl Pace {
    /// More wake-ups a second than this cost more than evenness is worth.
    const MAX_RATE: u64 = 10_000;

    pub fn new() -> anyhow::Result<Self> {
        Ok(Self(timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?))
    }

    pub fn register(&self, registry: &Registry, token: Token) -> anyhow::Result<()> {
        Ok(registry.register(&mut SourceFd(&self.0.as_raw_fd()), token, Interest::READABLE)?)
    }

    pub fn start(&self, rate: u64) -> anyhow::Result<()> {
        let nanoseconds = 1_000_000_000 / rate.clamp(1, Self::MAX_RATE);
        let (seconds, rest) = (nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000);
        self.set(Timespec { tv_sec: seconds.cast_signed(), tv_nsec: rest.cast_signed() })
    }

    /// To be called after each wake-up: the kernel counts on only then.
    pub fn woken(&self) {
        // Nothing to read is nothing to wait for.
        rustix::io::read(&self.0, &mut [0; 8]).ok();
    }

    pub fn stop(&self) -> anyhow::Result<()> {
        self.set(Timespec { tv_sec: 0, tv_nsec: 0 })
    }

    fn set(&self, every: Timespec) -> anyhow::Result<()> {
        timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &Itimerspec { it_interval: every, it_value: every })?;
        Ok(())
    }
}
