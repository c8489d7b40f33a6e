//! Where spans go, by the names that OpenTelemetry gives its variables. What stands here is checked;
//! the SDK itself reads the rest (`OTEL_RESOURCE_ATTRIBUTES`, `OTEL_BSP_…`) and does without what is wrong there.

use std::path::PathBuf;

use http::{HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;
use secrecy::SecretString;
use url::Url;

use super::ConfigError;
use super::variables::Variables;

/// Where spans go, and which.
#[derive(Clone, Debug)]
pub struct TracesConfig {
    /// The collector's path for spans.
    pub endpoint: SecretString,
    /// Sent along with every batch; they may hold a key.
    pub headers: Vec<(String, SecretString)>,
    pub service_name: String,
    pub sampling: Sampling,
    /// Trusted instead of the system's authorities.
    pub authorities: Option<PathBuf>,
}

/// Which publishes leave spans.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// Whether a publisher that sends a `traceparent` decides it.
    pub by_parent: bool,
    /// The share of the others, from 0 to 1.
    pub ratio: f64,
}

impl TracesConfig {
    /// `None` without an endpoint.
    pub(super) fn read(env: &Variables<'_>) -> Result<Option<Self>, ConfigError> {
        let off = env.get("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"))
            || env.get("OTEL_TRACES_EXPORTER").as_deref() == Some("none");
        let Some(endpoint) = endpoint(env)?.filter(|_| !off) else { return Ok(None) };
        check_protocol(env)?;
        Ok(Some(Self {
            endpoint: String::from(endpoint).into(),
            headers: headers(&env.list("OTEL_EXPORTER_OTLP_HEADERS"))?,
            service_name: env.get("OTEL_SERVICE_NAME").unwrap_or_else(|| "expeditor".to_owned()),
            sampling: Sampling::read(env)?,
            authorities: env.get("OTEL_EXPORTER_OTLP_CERTIFICATE").map(PathBuf::from),
        }))
    }
}

/// The variable for spans alone stands in place of the other one.
fn check_protocol(env: &Variables<'_>) -> Result<(), ConfigError> {
    let variables = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
    let given = variables.into_iter().find_map(|variable| Some((variable, env.get(variable)?)));
    let Some((variable, other)) = given.filter(|(_, protocol)| protocol != "http/protobuf") else { return Ok(()) };
    let fault = format!("{other:?} is not spoken here");
    Err(ConfigError { variable, fault, takes: "http/protobuf, which collectors take on port 4318" })
}

/// The variable for spans alone is taken as it is; to the other one the standard path is added.
fn endpoint(env: &Variables<'_>) -> Result<Option<Url>, ConfigError> {
    let read = |variable| {
        let Some(text) = env.get(variable) else { return Ok(None) };
        let url = Url::parse(&text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        // The text itself may hold a password, so it is not repeated.
        let fault = || "not the URL of a collector".to_owned();
        let takes = "a URL such as http://localhost:4318";
        url.map(Some).ok_or_else(|| ConfigError { variable, fault: fault(), takes })
    };
    if let Some(whole) = read("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")? {
        return Ok(Some(whole));
    }
    Ok(read("OTEL_EXPORTER_OTLP_ENDPOINT")?.map(|mut url| {
        let path = format!("{}/v1/traces", url.path().trim_end_matches('/'));
        url.set_path(&path);
        url
    }))
}

fn headers(list: &[String]) -> Result<Vec<(String, SecretString)>, ConfigError> {
    let read = |item: &String| {
        let (name, value) = item.split_once('=')?;
        let name = HeaderName::try_from(name.trim()).ok()?;
        let value = percent_decode_str(value.trim()).decode_utf8().ok()?.into_owned();
        HeaderValue::try_from(&value).ok()?;
        Some((name.to_string(), SecretString::from(value)))
    };
    // A header may hold a key, so that its place is all that is said of it.
    let fault = |index: usize| ConfigError {
        variable: "OTEL_EXPORTER_OTLP_HEADERS",
        fault: format!("no header can be read at place {}", index + 1),
        takes: "NAME=VALUE with commas, the values percent-encoded",
    };
    list.iter().enumerate().map(|(index, item)| read(item).ok_or_else(|| fault(index))).collect()
}

impl Sampling {
    const ALL: Self = Self { by_parent: true, ratio: 1.0 };

    fn read(env: &Variables<'_>) -> Result<Self, ConfigError> {
        let Some(name) = env.get("OTEL_TRACES_SAMPLER") else { return Ok(Self::ALL) };
        let by_parent = name.starts_with("parentbased_");
        let ratio = match name.trim_start_matches("parentbased_") {
            "always_on" => 1.0,
            "always_off" => 0.0,
            "traceidratio" => Self::ratio(env)?,
            _ => {
                return Err(ConfigError {
                    variable: "OTEL_TRACES_SAMPLER",
                    fault: format!("{name:?} is no sampler"),
                    takes: "always_on, always_off or traceidratio, each also behind parentbased_",
                });
            }
        };
        Ok(Self { by_parent, ratio })
    }

    fn ratio(env: &Variables<'_>) -> Result<f64, ConfigError> {
        let (variable, takes) = ("OTEL_TRACES_SAMPLER_ARG", "a share from 0 to 1");
        let ratio: f64 = env.parsed(variable, "1", takes)?;
        if (0.0..=1.0).contains(&ratio) {
            return Ok(ratio);
        }
        Err(ConfigError { variable, fault: format!("{ratio} is out of range"), takes })
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn read(values: &[(&str, &str)]) -> Result<Option<TracesConfig>, ConfigError> {
        let lookup = |name: &str| values.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        TracesConfig::read(&Variables(&lookup))
    }

    const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");

    #[test]
    fn spans_go_to_the_standard_path_unless_they_have_an_endpoint_of_their_own() {
        let endpoint =
            |values: &[(&str, &str)]| read(values).unwrap().map(|traces| traces.endpoint.expose_secret().to_owned());
        assert_eq!(endpoint(&[]), None);
        assert_eq!(endpoint(&[ENDPOINT]).unwrap(), "http://collector:4318/v1/traces");
        let below = ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://x/otlp/");
        assert_eq!(endpoint(&[below]).unwrap(), "https://x/otlp/v1/traces");
        let own = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://other/spans");
        assert_eq!(endpoint(&[ENDPOINT, own]).unwrap(), "http://other/spans");
        assert_eq!(endpoint(&[ENDPOINT, ("OTEL_SDK_DISABLED", "true")]), None);
        assert_eq!(endpoint(&[ENDPOINT, ("OTEL_TRACES_EXPORTER", "none")]), None);
    }

    #[test]
    fn a_header_is_decoded_and_never_shown() {
        let headers = ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=hush%20hush, x=1");
        let traces = read(&[ENDPOINT, headers]).unwrap().unwrap();
        assert_eq!((traces.headers[0].0.as_str(), traces.headers[0].1.expose_secret()), ("api-key", "hush hush"));
        assert_eq!(traces.headers.len(), 2);
        assert!(!format!("{traces:?}").contains("hush"));
        let fault = read(&[ENDPOINT, ("OTEL_EXPORTER_OTLP_HEADERS", "x=1,hush")]).unwrap_err().to_string();
        assert!(fault.contains("at place 2") && !fault.contains("hush"), "{fault}");
    }

    #[test]
    fn a_sampler_is_one_that_there_is() {
        let sampling =
            |values: &[(&str, &str)]| read(&[&[ENDPOINT], values].concat()).map(|traces| traces.unwrap().sampling);
        assert_eq!(sampling(&[]).unwrap(), Sampling::ALL);
        let tenth = [("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "0.1")];
        assert_eq!(sampling(&tenth).unwrap(), Sampling { by_parent: true, ratio: 0.1 });
        assert_eq!(
            sampling(&[("OTEL_TRACES_SAMPLER", "always_off")]).unwrap(),
            Sampling { by_parent: false, ratio: 0.0 }
        );
        for (name, arg) in [("xray", "1"), ("traceidratio", "2"), ("traceidratio", "NaN"), ("traceidratio", "half")] {
            let fault = sampling(&[("OTEL_TRACES_SAMPLER", name), ("OTEL_TRACES_SAMPLER_ARG", arg)]);
            assert!(fault.unwrap_err().variable.starts_with("OTEL_TRACES_SAMPLER"), "{name} {arg}");
        }
    }

    #[test]
    fn a_collector_that_speaks_something_else_is_refused() {
        let fault = read(&[ENDPOINT, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]).unwrap_err();
        assert_eq!(fault.variable, "OTEL_EXPORTER_OTLP_PROTOCOL");
        let spans = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json");
        let fault = read(&[ENDPOINT, ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"), spans]).unwrap_err().to_string();
        assert!(fault.starts_with("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: \"http/json\" is not spoken"), "{fault}");
        let spans = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf");
        assert!(
            read(&[ENDPOINT, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"), spans]).is_ok(),
            "it stands in place of both"
        );
        let fault = read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318")]).unwrap_err();
        assert_eq!(fault.variable, "OTEL_EXPORTER_OTLP_ENDPOINT");
    }
}
