//! Sends spans to an OpenTelemetry collector, by OTLP over HTTP, from a thread of the SDK's own with a bounded
//! queue. `main` starts it with the log and has it flushed at the end. It never holds anything up: what a
//! collector does not take is gone.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use opentelemetry::trace::TracerProvider;
use opentelemetry_http::{HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{ExporterBuildError, RetryPolicy, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider};
use parking_lot::Mutex;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use secrecy::ExposeSecret;
use tracing::Subscriber;
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::registry::LookupSpan;
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use crate::config::{Sampling, TracesConfig};

/// Why spans cannot be sent at all.
#[derive(Debug, thiserror::Error)]
pub enum TracesError {
    #[error("OTEL_EXPORTER_OTLP_CERTIFICATE: {0}")]
    Authorities(String),
    #[error("OTEL_EXPORTER_OTLP_ENDPOINT: {0}")]
    Exporter(#[from] ExporterBuildError),
}

/// The spans' way to the collector. Without one it does nothing.
pub struct Traces(Option<SdkTracerProvider>);

impl Traces {
    /// How long the end may wait for a collector.
    const FLUSH: Duration = Duration::from_secs(1);

    /// Starts the thread that sends.
    ///
    /// # Errors
    /// [`TracesError`], which the operator has to mend.
    pub fn start(config: Option<&TracesConfig>) -> Result<Self, TracesError> {
        let Some(config) = config else { return Ok(Self(None)) };
        let headers = config.headers.iter().map(|(name, value)| (name.clone(), value.expose_secret().to_owned()));
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Collector::new(config)?)
            .with_endpoint(config.endpoint.expose_secret())
            .with_headers(headers.collect::<HashMap<_, _>>())
            // What waits behind a batch that is tried again would be dropped.
            .with_retry_policy(RetryPolicy::disabled())
            .build()?;
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_sampler(sampler(config.sampling))
            .with_resource(Resource::builder().with_service_name(config.service_name.clone()).build())
            .build();
        Ok(Self(Some(provider)))
    }

    pub(super) fn are_sent(&self) -> bool {
        self.0.is_some()
    }

    /// Turns the spans of `spans.rs` into OpenTelemetry's.
    pub(super) fn layer<S>(&self) -> Option<OpenTelemetryLayer<S, SdkTracer>>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let provider = self.0.as_ref()?;
        let layer = tracing_opentelemetry::layer()
            .with_tracer(provider.tracer("expeditor"))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false);
        Some(layer)
    }

    /// Sends what is left, as far as there is time.
    pub fn flush(self) {
        if let Some(provider) = self.0
            && let Err(error) = provider.shutdown_with_timeout(Self::FLUSH)
        {
            tracing::warn!(%error, "the last spans could not be sent");
        }
    }
}

fn sampler(Sampling { by_parent, ratio }: Sampling) -> Sampler {
    let own = Sampler::TraceIdRatioBased(ratio);
    if by_parent { Sampler::ParentBased(Box::new(own)) } else { own }
}

/// The collector, over HTTP. Blocks, which the SDK's thread is there for.
#[derive(Debug)]
struct Collector {
    agent: Agent,
    /// When the log last said that it fails; none while it does not.
    complained: Mutex<Option<Instant>>,
}

impl Collector {
    const TIMEOUT: Duration = Duration::from_secs(10);
    const COMPLAINS_EVERY: Duration = Duration::from_mins(1);
    /// More of an answer is not read.
    const MAX_ANSWER: u64 = 64 * 1024;

    fn new(config: &TracesConfig) -> Result<Self, TracesError> {
        let mut agent = Agent::config_builder()
            .timeout_global(Some(Self::TIMEOUT))
            .http_status_as_error(false)
            // A header that holds a key goes to nobody else.
            .max_redirects(0)
            // What the environment says of proxies is for other programs.
            .proxy(None);
        if config.endpoint.expose_secret().starts_with("https:") {
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let authorities = RootCerts::Specific(Arc::new(authorities(config)?));
            let tls = TlsConfig::builder().unversioned_rustls_crypto_provider(provider).root_certs(authorities);
            agent = agent.tls_config(tls.build());
        }
        Ok(Self { agent: agent.build().new_agent(), complained: Mutex::default() })
    }

    fn note(&self, failure: Option<&str>) {
        let mut complained = self.complained.lock();
        match failure {
            None if complained.take().is_some() => tracing::info!("the collector takes spans again"),
            Some(error) if complained.is_none_or(|at| at.elapsed() > Self::COMPLAINS_EVERY) => {
                tracing::warn!(error, "the collector does not take spans: they are dropped");
                *complained = Some(Instant::now());
            }
            _ => {}
        }
    }

    fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, ureq::Error> {
        let (head, body) = request.into_parts();
        let (head, mut answer) = self.agent.run(Request::from_parts(head, &body[..]))?.into_parts();
        let answer = answer.with_config().limit(Self::MAX_ANSWER).read_to_vec()?;
        Ok(Response::from_parts(head, answer.into()))
    }
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let outcome = self.send(request);
        match &outcome {
            Ok(answer) if answer.status().is_success() => self.note(None),
            Ok(answer) => self.note(Some(answer.status().as_str())),
            Err(error) => self.note(Some(&error.to_string())),
        }
        outcome.map_err(Into::into)
    }
}

fn authorities(config: &TracesConfig) -> Result<Vec<Certificate<'static>>, TracesError> {
    let certificates: Vec<CertificateDer<'static>> = match &config.authorities {
        None => rustls_native_certs::load_native_certs().certs,
        Some(path) => CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect)
            .map_err(|error| TracesError::Authorities(format!("{}: {error}", path.display())))?,
    };
    Ok(certificates.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).collect())
}
