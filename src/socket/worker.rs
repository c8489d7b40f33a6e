//! What belongs to a worker thread: its arbiter and its audience.

use std::cell::OnceCell;

use actix::ArbiterHandle;

use crate::actors::Audience;
use crate::actors::insight::Post;

#[derive(Clone)]
pub struct Worker {
    pub arbiter: ArbiterHandle,
    pub audience: Post<Audience>,
    pub index: usize,
}

thread_local! {
    static WORKER: OnceCell<Worker> = const { OnceCell::new() };
}

impl Worker {
    /// Makes this the worker of the current thread.
    pub fn settle(self) {
        WORKER.with(|worker| {
            worker.get_or_init(|| self);
        });
    }

    /// The current thread's worker. Connections only live on threads that have one.
    pub fn current() -> Self {
        WORKER.with(|worker| worker.get().cloned()).expect("a connection lives on a worker thread")
    }
}
