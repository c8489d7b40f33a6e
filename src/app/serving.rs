//! One worker's way from an accepted connection to its HTTP service.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use actix_cors::Cors;
use actix_http::HttpService;
use actix_http::error::DispatchError;
use actix_rt::net::TcpStream;
use actix_service::{Service, ServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::dev::AppConfig;
use actix_web::web;
use ipnet::IpNet;

use super::house::House;
use crate::access::quota::one_client;
use crate::access::{Exhausted, Quota};
use crate::config::Config;
use crate::http::{self, HttpState, demo::Demo};
use crate::socket::guarded::{GuardedStream, HeadDeadline, Patience};
use crate::socket::handover;
use crate::telemetry::Metrics;

/// One worker's HTTP service; upgrades leave it for [`handover`].
pub fn serve_worker(
    config: &Config,
    state: HttpState,
    house: &House,
    demo: Option<Demo>,
) -> impl ServiceFactory<TcpStream, Config = (), Response = (), Error = DispatchError, InitError = ()> + use<> {
    let (state, demo) = (web::Data::new(state), demo.map(web::Data::new));
    let socket = house.socket.clone();
    let polling = web::Data::from(socket.clone());
    let app = actix_web::App::new()
        .wrap(cors(&config.server.allowed_origins))
        .wrap_fn(|request, next| {
            request.conn_data::<HeadDeadline>().into_iter().for_each(HeadDeadline::met);
            next.call(request)
        })
        .configure(move |routes| http::configure(routes, state, polling, demo));
    let upgrade = fn_service(move |(request, framed)| {
        let socket = socket.clone();
        async move {
            handover::hand_over(&socket, request, framed).await;
            Ok::<_, actix_http::Error>(())
        }
    });
    let patience = Patience::from(&config.limits);
    let http = HttpService::build()
        .keep_alive(patience.keep_alive())
        // Each connection has deadlines of its own, for every request and not the first alone.
        .client_request_timeout(Duration::ZERO)
        .on_connect_ext(|stream: &GuardedStream, extensions| {
            extensions.insert(stream.head_deadline());
        })
        .upgrade(upgrade)
        .h1(map_config(app, |()| AppConfig::default()));
    let (connections, proxies) = (house.connections.clone(), config.server.trusted_proxies.clone());
    let metrics = house.services.metrics.clone();
    fn_service(move |stream: TcpStream| {
        let admitted = admit(stream, &connections, &proxies, patience, &metrics);
        std::future::ready(admitted)
    })
    .and_then(http)
}

/// Takes a connection in, or closes it at once: its client comes back later.
fn admit(
    stream: TcpStream,
    connections: &Arc<Quota<IpAddr>>,
    proxies: &[IpNet],
    patience: Patience,
    metrics: &Arc<Metrics>,
) -> Result<(GuardedStream, Option<SocketAddr>), DispatchError> {
    send_at_once(&stream);
    let peer = stream.peer_addr().ok();
    // A proxy's connections are many clients'; each of those is counted by its session.
    let client = peer.map(|peer| peer.ip()).filter(|peer| !proxies.iter().any(|network| network.contains(peer)));
    let place = connections.take(client.map(one_client)).map_err(|met| {
        metrics.limited(match met {
            Exhausted::InAll => "connections",
            Exhausted::ForOne => "connections_per_address",
        });
        DispatchError::Io(std::io::Error::other(met))
    })?;
    Ok((GuardedStream::new(stream, place, patience, metrics.clone()), peer))
}

/// Without this the kernel holds a small frame back until the one before it is acknowledged,
/// up to 40 ms. (actix-http 3.20 takes a `tcp_nodelay` setting, and does not apply it to plain TCP.)
fn send_at_once(stream: &TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY could not be set");
    }
}

/// For pages of the allowed origins, with credentials; others get no CORS headers, as in the specification.
fn cors(allowed: &[String]) -> Cors {
    let cors = Cors::default()
        .allowed_methods(["GET", "POST"])
        .allow_any_header()
        .supports_credentials()
        .block_on_origin_mismatch(false)
        .max_age(3600);
    allowed.iter().fold(cors, |cors, origin| cors.allowed_origin(origin))
}
