//! A TCP proxy between clients and the service: it can be pointed at another instance, as a load balancer is,
//! and can stop forwarding without closing anything, as a network does that drops packets.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

struct State {
    target: SocketAddr,
    cut: bool,
}

pub struct Proxy {
    address: SocketAddr,
    state: Arc<(Mutex<State>, Condvar)>,
}

impl Proxy {
    pub fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new((Mutex::new(State { target, cut: false }), Condvar::new()));
        let own = state.clone();
        // Ends with the test's process.
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let target = own.0.lock().unwrap().target;
                // A service that is away refuses, and so does this.
                let Ok(server) = TcpStream::connect(target) else { continue };
                for (from, to) in [(&client, &server), (&server, &client)] {
                    let (from, to, state) = (from.try_clone().unwrap(), to.try_clone().unwrap(), own.clone());
                    to.set_nodelay(true).unwrap();
                    std::thread::spawn(move || forward(from, to, &state));
                }
            }
        });
        Self { address, state }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where connections go from now on.
    pub fn point_at(&self, target: SocketAddr) {
        self.state.0.lock().unwrap().target = target;
    }

    /// Forwards nothing more until it is mended. What was under way arrives late, as by TCP's own repetition.
    pub fn cut(&self, cut: bool) {
        self.state.0.lock().unwrap().cut = cut;
        self.state.1.notify_all();
    }
}

fn forward(mut from: TcpStream, mut to: TcpStream, state: &(Mutex<State>, Condvar)) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = from.read(&mut buffer).unwrap_or(0);
        // An end passes no cut network either.
        drop(state.1.wait_while(state.0.lock().unwrap(), |state| state.cut).unwrap());
        if count == 0 || to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    // Either may be gone.
    to.shutdown(Shutdown::Both).ok();
    from.shutdown(Shutdown::Both).ok();
}
