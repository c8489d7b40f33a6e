//! Whose connection it is.

use std::net::IpAddr;

use ipnet::IpNet;

/// The client's address: the peer's own, or, as long as the peer is a trusted
/// proxy, the one before it in `X-Forwarded-For`. What an untrusted peer wrote there counts for nothing.
pub fn client_address(peer: Option<IpAddr>, forwarded: &[&str], trusted: &[IpNet]) -> Option<IpAddr> {
    let is_trusted = |address: &IpAddr| trusted.iter().any(|network| network.contains(address));
    let mut address = peer?;
    let hops = forwarded.iter().flat_map(|header| header.split(',')).map(|hop| hop.trim().parse::<IpAddr>());
    for hop in hops.collect::<Vec<_>>().into_iter().rev() {
        match hop {
            Ok(hop) if is_trusted(&address) => address = hop,
            _ => break,
        }
    }
    Some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_trusted_proxies_are_believed() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let trusted: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap()];
        let of = |peer: &str, forwarded: &[&str]| client_address(Some(ip(peer)), forwarded, &trusted).unwrap();
        assert_eq!(of("1.1.1.1", &["2.2.2.2"]), ip("1.1.1.1"));
        assert_eq!(of("10.0.0.1", &[]), ip("10.0.0.1"));
        assert_eq!(of("10.0.0.1", &["6.6.6.6, 2.2.2.2"]), ip("2.2.2.2"));
        assert_eq!(of("10.0.0.1", &["6.6.6.6, 2.2.2.2, 10.0.0.2"]), ip("2.2.2.2"));
        assert_eq!(of("10.0.0.1", &["6.6.6.6", "nonsense"]), ip("10.0.0.1"));
        assert_eq!(client_address(None, &["2.2.2.2"], &trusted), None);
    }
}
