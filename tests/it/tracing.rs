//! The spans of a publish, as a collector gets them from the program itself.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::json;

use crate::support::cluster::Cluster;
use crate::support::collector::{Collector, number, text};
use crate::support::house::{House, Server, free_port};
use crate::support::people::{BISTRO, CHEF};
use crate::support::redis::RedisServer;
use crate::support::stock::{Backend, connect};
use crate::support::{Driver, SERVER_SECRET, eventually, token};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn serve(house: &House, endpoint: &str, own: &[(&str, &str)]) -> Server {
    let mut variables = vec![("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint), ("OTEL_BSP_SCHEDULE_DELAY", "50")];
    variables.extend(own);
    house.serve_with(free_port(), &variables)
}

fn stop(server: &mut Server) {
    server.program.signal("TERM");
    assert_eq!(server.program.exit_code(), Some(0));
}

/// The span of the publish with this id, and the names of the spans right below it with them.
fn tree(spans: &[Span], id: &str) -> (Span, Vec<Span>) {
    let publish = spans.iter().find(|span| text(&span.attributes, "messaging.message.id") == id);
    let publish = publish.unwrap_or_else(|| panic!("no span of {id}: {spans:?}")).clone();
    let below = spans.iter().filter(|span| span.parent_span_id == publish.span_id);
    let mut below: Vec<Span> = below.cloned().collect();
    below.sort_by(|one, other| one.name.cmp(&other.name));
    (publish, below)
}

#[test]
fn a_publish_leaves_spans_below_its_caller_s_own() {
    let (house, collector, driver) = (House::new(&[]), Collector::start(), Driver::node());
    let own = [
        ("OTEL_SERVICE_NAME", "kitchen-pass"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%20key"),
        // Spans are none of the log's.
        ("LOG_LEVEL", "error"),
    ];
    let mut variables = vec![("OTEL_BSP_SCHEDULE_DELAY", "60000"), ("DRAIN_SECS", "1")];
    variables.extend(own);
    let endpoint = format!("http://{}", collector.address);
    variables.push(("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()));
    let mut server = house.spawn(free_port(), &variables);
    let backend = Backend::new(&server.url());
    eventually("an answer", || backend.post("wrong", "{}"));
    let chef = token(CHEF);
    connect(&driver, &server.url(), "chef", &chef, &["websocket"]);
    connect(&driver, &server.url(), "pos", SERVER_SECRET, &["websocket"]);
    driver.ask_ok("chef", "kitchen:join", &json!({ "venueId": BISTRO }));
    let publish = |id: &str| {
        json!({
            "rooms": [format!("kitchen:{BISTRO}"), format!("venue:{BISTRO}")],
            "event": "kitchen:new-order", "payload": "two oysters", "id": id,
        })
    };
    let traceparent = format!("00-{TRACE}-{CALLER}-01");
    let answer = backend.ask_with(&[("traceparent", traceparent.as_str())], &publish("over-http"));
    assert_eq!(answer["durable"], true, "{answer}");
    driver.ask_ok("pos", "broadcast", &publish("over-a-socket"));
    let refused = backend.ask(&json!({ "room": "nowhere", "event": "e", "payload": 1 }));
    assert_eq!(refused["ok"], false);
    // What is left when it stops is sent as well.
    stop(&mut server);

    let exports = collector.exports();
    assert!(exports.iter().all(|export| export.path == "/v1/traces" && export.api_key == "a key"));
    for hidden in ["oysters", SERVER_SECRET, &chef] {
        let shows = |body: &[u8]| body.windows(hidden.len()).any(|part| part == hidden.as_bytes());
        assert!(!exports.iter().any(|export| shows(&export.body)), "{hidden}");
    }
    let spans: Vec<Span> = collector.spans().into_iter().map(|(_, span)| span).collect();
    assert!(collector.spans().iter().all(|(service, _)| service == "kitchen-pass"));

    let (over_http, below) = tree(&spans, "over-http");
    assert_eq!((hex(&over_http.trace_id).as_str(), hex(&over_http.parent_span_id).as_str()), (TRACE, CALLER));
    let said = |name| text(&over_http.attributes, name);
    assert_eq!(over_http.name, "publish");
    assert_eq!((said("expeditor.publisher"), said("expeditor.event")), ("http".into(), "kitchen:new-order".into()));
    assert_eq!(
        (said("expeditor.outcome").as_str(), number(&over_http.attributes, "expeditor.rooms")),
        ("durable", Some(2))
    );
    is_stored_and_fanned_out(&over_http, &below);

    let (over_a_socket, below) = tree(&spans, "over-a-socket");
    assert!(over_a_socket.parent_span_id.is_empty() && hex(&over_a_socket.trace_id) != TRACE);
    assert_eq!(text(&over_a_socket.attributes, "expeditor.publisher"), "session");
    is_stored_and_fanned_out(&over_a_socket, &below);
    let refused = spans.iter().find(|span| text(&span.attributes, "expeditor.outcome") == "INVALID_DATA");
    assert_eq!(refused.expect("a refused publish").name, "publish");
    assert_eq!(spans.len(), 7, "{spans:?}");
}

/// The chef is the one member.
fn is_stored_and_fanned_out(publish: &Span, below: &[Span]) {
    let [fan_out, store] = below else { panic!("{below:?}") };
    assert_eq!((fan_out.name.as_str(), store.name.as_str()), ("fan_out", "store"));
    assert_eq!(number(&fan_out.attributes, "expeditor.members"), Some(1));
    assert_eq!(number(&store.attributes, "messaging.batch.message_count"), Some(1));
    for span in [fan_out, store] {
        assert_eq!(span.trace_id, publish.trace_id);
        assert!(publish.start_time_unix_nano <= span.start_time_unix_nano, "{publish:?} {span:?}");
        assert!(span.end_time_unix_nano <= publish.end_time_unix_nano, "{publish:?} {span:?}");
    }
    assert!(store.end_time_unix_nano <= fan_out.start_time_unix_nano, "stored first");
}

#[test]
fn the_caller_decides_whether_its_publish_leaves_spans() {
    let (house, collector) = (House::new(&[]), Collector::start());
    let sampler = [("OTEL_TRACES_SAMPLER", "parentbased_always_off")];
    let mut server = serve(&house, &format!("http://{}", collector.address), &sampler);
    let backend = Backend::new(&server.url());
    for (id, flags) in [("sampled", "01"), ("not-sampled", "00")] {
        let traceparent = format!("00-{TRACE}-{CALLER}-{flags}");
        let publish = json!({ "room": format!("kitchen:{BISTRO}"), "event": "e", "payload": 1, "id": id });
        assert_eq!(backend.ask_with(&[("traceparent", traceparent.as_str())], &publish)["ok"], true);
    }
    backend.publish(&format!("kitchen:{BISTRO}"), 0);
    stop(&mut server);
    let spans = collector.spans();
    let ids: Vec<String> = spans
        .iter()
        .map(|(_, span)| text(&span.attributes, "messaging.message.id"))
        .filter(|id| !id.is_empty())
        .collect();
    assert_eq!(ids, ["sampled"]);
}

/// The spans with this name below the other, at the instance of that name.
fn below<'a>(spans: &'a [(String, Span)], above: &Span, instance: &str, name: &str) -> Option<&'a Span> {
    let is_it = |(service, span): &&(String, Span)| {
        service == instance && span.name == name && span.parent_span_id == above.span_id
    };
    spans.iter().find(is_it).map(|(_, span)| span)
}

#[test]
fn a_trace_goes_on_at_the_instance_that_an_event_is_relayed_to() {
    let (redis, collector, driver) = (RedisServer::start(), Collector::start(), Driver::node());
    let redis_url = redis.url();
    let house = House::new(&[("REDIS_URL", redis_url.as_str()), ("DRAIN_SECS", "2")]);
    let endpoint = format!("http://{}", collector.address);
    let servers = ["here", "there"].map(|name| serve(&house, &endpoint, &[("OTEL_SERVICE_NAME", name)])).into();
    let cluster = Cluster { house, redis, servers };
    cluster.relays();
    let (backend, room) = (Backend::new(&cluster.url(0)), format!("kitchen:{BISTRO}"));
    connect(&driver, &cluster.url(1), "chef", &token(CHEF), &["websocket"]);
    driver.ask_ok("chef", "kitchen:join", &json!({ "venueId": BISTRO }));
    for volatile in [false, true] {
        // One that its peer finds in the log before the relay brings it leaves no span there; so there may be more than one.
        let mut attempts = 0;
        let trace = eventually("a trace of both", || {
            attempts += 1;
            let trace = format!("{:032x}", 0x1000 * attempts + u128::from(volatile));
            let traceparent = format!("00-{trace}-{CALLER}-01");
            let publish = json!({ "room": room, "event": "e", "payload": 1, "volatile": volatile });
            backend.ask_with(&[("traceparent", traceparent.as_str())], &publish);
            let deadline = Instant::now() + Duration::from_secs(2);
            while Instant::now() < deadline {
                let of_trace = collector.spans().into_iter().filter(|(_, span)| hex(&span.trace_id) == trace);
                let of_trace: Vec<_> = of_trace.collect();
                // The publish ends last here, the fan-out there.
                let has =
                    |instance: &str, name: &str| of_trace.iter().any(|(at, span)| at == instance && span.name == name);
                if has("here", "publish") && has("there", "fan_out") && has("there", "relayed") {
                    return Some(of_trace);
                }
                std::thread::park_timeout(Duration::from_millis(20));
            }
            None
        });
        let publish = &trace.iter().find(|(_, span)| span.name == "publish").unwrap().1;
        assert_eq!(hex(&publish.parent_span_id), CALLER);
        let relay = below(&trace, publish, "here", "relay").expect("relay");
        let relayed = below(&trace, relay, "there", "relayed").expect("relayed");
        let fan_out = below(&trace, relayed, "there", "fan_out").expect("fan_out");
        assert_eq!(number(&fan_out.attributes, "expeditor.members"), Some(1), "the chef");
        assert_eq!(text(&relayed.attributes, "expeditor.event"), "e");
        assert!(relay.start_time_unix_nano <= relayed.start_time_unix_nano, "{relay:?} {relayed:?}");
        assert!(relayed.start_time_unix_nano <= fan_out.start_time_unix_nano, "{relayed:?} {fan_out:?}");
    }
    // A caller that does not sample has no span at either.
    let traceparent = format!("00-{TRACE}-{CALLER}-00");
    let quiet = json!({ "room": room, "event": "quiet", "payload": 1 });
    backend.ask_with(&[("traceparent", traceparent.as_str())], &quiet);
    driver.wait("chef", "quiet", 0);
    let Cluster { mut servers, .. } = cluster;
    servers.iter_mut().for_each(stop);
    assert!(!collector.spans().iter().any(|(_, span)| hex(&span.trace_id) == TRACE));
}

/// Two hundred publishes and a stop, with a collector that fails.
fn goes_on_without(endpoint: &str, before_the_stop: impl FnOnce(&Server)) {
    let house = House::new(&[]);
    let mut server = serve(&house, endpoint, &[("DRAIN_SECS", "2"), ("OTEL_BSP_MAX_QUEUE_SIZE", "64")]);
    let backend = Backend::new(&server.url());
    let began = Instant::now();
    for n in 0..200 {
        assert_eq!(backend.publish(&format!("kitchen:{BISTRO}"), n)["durable"], true);
    }
    // One batch that hangs would take ten seconds.
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    before_the_stop(&server);
    let stopping = Instant::now();
    stop(&mut server);
    assert!(stopping.elapsed() < Duration::from_secs(5), "{:?}", stopping.elapsed());
    let complaints = server.program.lines().iter().filter(|line| line.contains("does not take spans")).count();
    assert!(complaints <= 1, "{complaints}");
}

#[test]
fn a_collector_that_is_not_there_holds_up_nothing() {
    let nobody = format!("http://127.0.0.1:{}", free_port());
    goes_on_without(&nobody, |server| drop(server.program.line("does not take spans")));
}

#[test]
fn a_collector_that_never_answers_holds_up_nothing() {
    let hangs = TcpListener::bind("127.0.0.1:0").unwrap();
    // It takes the connection, and that is all.
    goes_on_without(&format!("http://{}", hangs.local_addr().unwrap()), |_| ());
}
