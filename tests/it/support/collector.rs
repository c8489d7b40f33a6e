//! An OpenTelemetry collector: takes spans by OTLP over HTTP, and keeps them.

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Span};
use prost::Message;

/// One request, as it came.
#[derive(Clone)]
pub struct Export {
    pub path: String,
    pub api_key: String,
    pub body: Vec<u8>,
    pub spans: Vec<ResourceSpans>,
}

pub struct Collector {
    pub address: SocketAddr,
    exports: Arc<Mutex<Vec<Export>>>,
    handle: ServerHandle,
}

impl Collector {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let exports = Arc::<Mutex<Vec<Export>>>::default();
        let (kept, (started, handle)) = (web::Data::from(exports.clone()), std::sync::mpsc::channel());
        std::thread::spawn(move || {
            actix_rt::System::new().block_on(async {
                let app = move || App::new().app_data(kept.clone()).default_service(web::to(take));
                let server = HttpServer::new(app).workers(1).disable_signals().listen(listener).unwrap().run();
                started.send(server.handle()).unwrap();
                server.await.unwrap();
            });
        });
        Self { address, exports, handle: handle.recv().unwrap() }
    }

    pub fn exports(&self) -> Vec<Export> {
        self.exports.lock().unwrap().clone()
    }

    /// All spans so far, each with its service's name.
    pub fn spans(&self) -> Vec<(String, Span)> {
        let all = self.exports().into_iter().flat_map(|export| export.spans);
        all.flat_map(|of| {
            let service = text(&of.resource.unwrap().attributes, "service.name");
            of.scope_spans.into_iter().flat_map(|scope| scope.spans).map(move |span| (service.clone(), span))
        })
        .collect()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        drop(self.handle.stop(false));
    }
}

async fn take(kept: web::Data<Mutex<Vec<Export>>>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    let spans = ExportTraceServiceRequest::decode(&body[..]).expect("OTLP in protobuf").resource_spans;
    let api_key = request.headers().get("api-key").map(|key| key.to_str().unwrap().to_owned());
    let (path, api_key) = (request.path().to_owned(), api_key.unwrap_or_default());
    kept.lock().unwrap().push(Export { path, api_key, body: body.to_vec(), spans });
    HttpResponse::Ok().finish()
}

fn value<'a>(attributes: &'a [KeyValue], name: &str) -> Option<&'a Value> {
    let found = attributes.iter().find(|attribute| attribute.key == name)?;
    found.value.as_ref().and_then(|AnyValue { value }| value.as_ref())
}

/// A text attribute, or an empty one.
pub fn text(attributes: &[KeyValue], name: &str) -> String {
    if let Some(Value::StringValue(text)) = value(attributes, name) { text.clone() } else { String::new() }
}

pub fn number(attributes: &[KeyValue], name: &str) -> Option<i64> {
    if let Some(Value::IntValue(number)) = value(attributes, name) { Some(*number) } else { None }
}
