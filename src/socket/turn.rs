//! Connections are written once at the end of their thread's turn, so that
//! whatever was pushed by then leaves in one `write`.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::connection::Connection;

thread_local! {
    static LISTED: RefCell<Vec<Arc<Connection>>> = const { RefCell::new(Vec::new()) };
}

/// Lists a connection to be written. To be called on a thread that runs actors.
pub fn write_later(connection: &Arc<Connection>) {
    if connection.listed.swap(true, Ordering::AcqRel) {
        return;
    }
    let first = LISTED.with_borrow_mut(|listed| {
        listed.push(connection.clone());
        listed.len() == 1
    });
    if first {
        // Runs when the tasks that are ready now have had their turn.
        actix_rt::spawn(async { write_all() });
    }
}

fn write_all() {
    for connection in LISTED.take() {
        // Unlisted first: what is pushed from here on is written in the next turn.
        connection.listed.store(false, Ordering::Release);
        connection.write();
    }
}
