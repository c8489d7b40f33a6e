//! The bare peer: what an ordinary user of socketioxide would write, on axum with two
//! threads, and as far as `peers/restaurant.mjs` goes. Look-ups are answered from memory.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::serve::ListenerExt;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use socketioxide::SocketIo;
use socketioxide::extract::{AckSender, Data, SocketRef};
use socketioxide::handler::ConnectHandler;

use crate::restaurant::{SERVER_SECRET, USER_SECRET};

const THREADS: usize = 2;

#[derive(Deserialize)]
struct Auth {
    token: String,
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TabJoin {
    tab_id: String,
}

#[derive(Deserialize)]
struct Broadcast {
    room: String,
    event: String,
    payload: Box<RawValue>,
}

/// Who may publish.
#[derive(Clone)]
struct System;

pub fn serve(port: u16) -> anyhow::Result<()> {
    let threads = tokio::runtime::Builder::new_multi_thread().worker_threads(THREADS).enable_all().build()?;
    threads.block_on(run(port))
}

async fn run(port: u16) -> anyhow::Result<()> {
    let (layer, io) =
        SocketIo::builder().ping_interval(Duration::from_secs(25)).ping_timeout(Duration::from_mins(1)).build_layer();
    io.ns("/", (async |socket: SocketRef| serve_client(&socket)).with(admit));
    let app = Router::new().layer(layer);
    let listener = tokio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port))).await?;
    // The kernel would hold small frames back; Node and Bun switch that off as well.
    axum::serve(listener.tap_io(|stream| stream.set_nodelay(true).unwrap_or_default()), app).await?;
    Ok(())
}

async fn admit(socket: SocketRef, Data(auth): Data<Auth>) -> Result<(), jsonwebtoken::errors::Error> {
    if auth.token == SERVER_SECRET {
        socket.extensions.insert(System);
        return Ok(());
    }
    let key = DecodingKey::from_secret(USER_SECRET.as_bytes());
    let token = jsonwebtoken::decode::<Claims>(&auth.token, &key, &Validation::new(Algorithm::HS256))?;
    socket.join(format!("user:{}", token.claims.sub));
    Ok(())
}

fn serve_client(socket: &SocketRef) {
    socket.on("tab:join", async |socket: SocketRef, Data(TabJoin { tab_id }): Data<TabJoin>, ack: AckSender| {
        socket.join(format!("tab:{tab_id}"));
        // A client that is gone needs no answer.
        socket.emit("tab:joined", &json!({ "tabId": tab_id })).ok();
        ack.send(&json!({ "ok": true, "tabId": tab_id })).ok();
    });
    socket.on("broadcast", async |socket: SocketRef, io: SocketIo, Data(publish): Data<Broadcast>| {
        if socket.extensions.get::<System>().is_some() {
            io.to(publish.room).emit(publish.event, &publish.payload).await.ok();
        }
    });
}
