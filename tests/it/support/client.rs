//! Stock clients in a process of their own, steered by lines of JSON.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use super::Instance;

type Waiting = Arc<Mutex<HashMap<u64, Sender<Value>>>>;

/// A process that holds clients by name.
pub struct Driver {
    process: Child,
    input: Mutex<Option<ChildStdin>>,
    waiting: Waiting,
    next: AtomicU64,
}

/// An operation under way.
pub struct Pending(Receiver<Value>);

impl Pending {
    /// # Panics
    /// Where the operation failed.
    pub fn done(self) -> Value {
        let answer = self.outcome();
        assert_eq!(answer["ok"], true, "{answer}");
        answer
    }

    /// The answer, whether the operation failed or not.
    pub fn outcome(self) -> Value {
        self.0.recv_timeout(Duration::from_mins(3)).expect("the driver answers")
    }
}

impl Driver {
    /// socket.io-client on Node.
    pub fn node() -> Self {
        Self::start(Command::new("node").arg(folder().join("driver.mjs")))
    }

    /// The same, by a command that runs `node` elsewhere.
    pub fn node_by(mut node: Command) -> Self {
        Self::start(node.arg(folder().join("driver.mjs")))
    }

    /// python-socketio.
    pub fn python() -> Self {
        Self::start(Command::new(folder().join(".venv/bin/python")).arg(folder().join("driver.py")))
    }

    /// Chromium.
    pub fn browser() -> Self {
        Self::start(Command::new("node").arg(folder().join("browser.mjs")))
    }

    /// No clients: a Socket.IO server on Node with the Redis adapter, and an emitter.
    pub fn node_server() -> Self {
        Self::start(Command::new("node").arg(folder().join("node_server.mjs")))
    }

    /// No clients: the libraries that mint session tokens.
    pub fn minter() -> Self {
        Self::start(Command::new("node").arg(folder().join("mint.mjs")))
    }

    /// `SocketEmitter` of `clients/`.
    pub fn emitter() -> Self {
        Self::start(Command::new("node").arg(client_library().join("emitter.mjs")))
    }

    fn start(command: &mut Command) -> Self {
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the drivers are set up: `make test` does it");
        let input = process.stdin.take();
        let output = BufReader::new(process.stdout.take().unwrap());
        let waiting: Waiting = Arc::default();
        let answers = waiting.clone();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let answer: Value = serde_json::from_str(&line).expect("the driver writes JSON");
                let id = answer["id"].as_u64().expect("an answer has its request's id");
                if let Some(caller) = answers.lock().unwrap().remove(&id) {
                    // A caller that gave up needs no answer.
                    caller.send(answer).ok();
                }
            }
        });
        Self { process, input: Mutex::new(input), waiting, next: AtomicU64::new(1) }
    }

    /// Starts an operation; others may go on meanwhile.
    pub fn begin(&self, op: &str, mut request: Value) -> Pending {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (caller, answer) = channel();
        self.waiting.lock().unwrap().insert(id, caller);
        request["id"] = id.into();
        request["op"] = op.into();
        let mut input = self.input.lock().unwrap();
        writeln!(input.as_mut().unwrap(), "{request}").expect("the driver reads");
        Pending(answer)
    }

    /// Does one operation.
    pub fn call(&self, op: &str, request: Value) -> Value {
        self.begin(op, request).done()
    }

    pub fn try_connect(&self, instance: &Instance, name: &str, token: &str, transports: &[&str]) -> Value {
        let auth = json!({ "token": token });
        self.call("connect", json!({ "client": name, "url": instance.url(), "auth": auth, "transports": transports }))
    }

    /// # Panics
    /// Where the client is not let in.
    pub fn connect(&self, instance: &Instance, name: &str, token: &str) {
        let answer = self.try_connect(instance, name, token, &["websocket"]);
        assert_eq!(answer["outcome"], "connected", "{name}: {answer}");
    }

    /// Connects a bare websocket with this auth object, and returns the packet that answers it: `40{…}`, or `44{…}`.
    pub fn answer_to_connect(&self, instance: &Instance, name: &str, auth: &Value) -> String {
        self.call("rawWebsocket", json!({ "client": name, "url": instance.websocket_url() }));
        self.call("rawSend", json!({ "client": name, "text": format!("40{auth}") }));
        let frames = self.call("wait", json!({ "client": name, "event": "$frame", "count": 2 }));
        frames["events"][1]["args"][0].as_str().unwrap().to_owned()
    }

    /// Emits an event and returns what its acknowledgement says.
    pub fn ask(&self, client: &str, event: &str, payload: &Value) -> Value {
        let answer = self.call("emit", json!({ "client": client, "event": event, "args": [payload], "ack": true }));
        answer["ack"][0].clone()
    }

    /// # Panics
    /// Where the event is refused.
    pub fn ask_ok(&self, client: &str, event: &str, payload: &Value) -> Value {
        let answer = self.ask(client, event, payload);
        assert_eq!(answer["ok"], true, "{client} {event}: {answer}");
        answer
    }

    /// Waits for the first event of this name from the log's index `from` on, and returns its first argument.
    pub fn wait(&self, client: &str, event: &str, from: u64) -> Value {
        let answer = self.call("wait", json!({ "client": client, "event": event, "from": from, "count": 1 }));
        answer["events"][0]["args"][0].clone()
    }

    /// All events of a client so far, as `[name, arguments]`.
    pub fn events(&self, client: &str) -> Vec<(String, Vec<Value>)> {
        let answer = self.call("events", json!({ "client": client }));
        let read = |event: &Value| {
            (event["event"].as_str().unwrap().to_owned(), event["args"].as_array().cloned().unwrap_or_default())
        };
        answer["events"].as_array().unwrap().iter().map(read).collect()
    }
}

/// The first arguments of a client's events of one name.
pub fn event_args(driver: &Driver, client: &str, event: &str) -> Vec<Value> {
    let events = driver.events(client).into_iter().filter(|(name, _)| name == event);
    events.map(|(_, args)| args.into_iter().next().unwrap_or_default()).collect()
}

impl Drop for Driver {
    fn drop(&mut self) {
        // The end of its input ends it.
        self.input.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// Where `clients/` has built what the tests drive.
pub fn client_library() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/dist-harness")
}

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients")
}
