//! Who is at the other end: the address of the client, also behind proxies that the operator named.

use std::net::{IpAddr, SocketAddr};

use actix_web::http::header::{self, HeaderMap, HeaderName};
use actix_web::{HttpRequest, web};
use ipnet::IpNet;

use super::server::Exposure;

/// The header of those who came before RFC 7239.
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The address of the client: that of the connection, or the one that a trusted proxy at its other end names. `None` only
/// where there is no connection.
pub(super) fn address(request: &HttpRequest) -> Option<IpAddr> {
    let peer = request.peer_addr()?.ip().to_canonical();
    let exposure = request.app_data::<web::Data<Exposure>>();
    Some(exposure.map_or(peer, |exposure| behind(peer, request.headers(), &exposure.trusted_proxies)))
}

/// Whether the operator named this proxy.
pub(super) fn is_trusted(trusted: &[IpNet], address: IpAddr) -> bool {
    trusted.iter().any(|network| network.contains(&address))
}

/// Who a proxy speaks for. What it does not say, or not so that it can be read, leaves the proxy itself.
///
/// A proxy writes one of the two headers and may hand on the other as the client sent it. So where there are both, they
/// must say the same: otherwise anybody could be anybody.
fn behind(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    if !is_trusted(trusted, peer) {
        return peer;
    }
    let forwarded = lines(headers, &header::FORWARDED)
        .map(|lines| nearest(lines.iter().flat_map(|line| unquoted(line, ',')).map(sender), trusted));
    let x_forwarded_for = lines(headers, &X_FORWARDED_FOR)
        .map(|lines| nearest(lines.iter().flat_map(|line| line.split(',')).map(node), trusted));
    let said = match (forwarded, x_forwarded_for) {
        (Some(one), Some(other)) => one.filter(|_| one == other),
        (one, other) => one.or(other).flatten(),
    };
    said.unwrap_or(peer)
}

/// The lines of a header, if there is one. A line that is no text says nothing that could be read.
fn lines<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<Vec<&'a str>> {
    let lines: Vec<_> = headers.get_all(name).map(|line| line.to_str().unwrap_or_default()).collect();
    Some(lines).filter(|lines| !lines.is_empty())
}

/// The last one that is no trusted proxy itself: who came before it is hearsay. Where all are, the first.
fn nearest(hops: impl Iterator<Item = Option<IpAddr>>, trusted: &[IpNet]) -> Option<IpAddr> {
    let hops: Vec<_> = hops.collect();
    let mut nearest = None;
    for hop in hops.into_iter().rev() {
        nearest = Some(hop?);
        if !hop.is_some_and(|address| is_trusted(trusted, address)) {
            break;
        }
    }
    nearest
}

/// The `for` of one element of `Forwarded`.
fn sender(element: &str) -> Option<IpAddr> {
    let mut senders = unquoted(element, ';').into_iter().filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then(|| value.trim())
    });
    let (sender, further) = (senders.next()?, senders.next());
    let quoted = sender.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    if further.is_some() { None } else { node(quoted.unwrap_or(sender)) }
}

/// Cuts at each `mark` that stands in no quoted text.
fn unquoted(text: &str, mark: char) -> Vec<&str> {
    let mut in_quotes = false;
    text.split(|c| {
        in_quotes ^= c == '"';
        c == mark && !in_quotes
    })
    .collect()
}

/// An address as proxies write it: with or without a port, IPv6 with or without brackets. IPv4 in the clothes of IPv6 is IPv4.
fn node(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let in_brackets = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let address: Option<IpAddr> = in_brackets.map_or_else(|| text.parse().ok(), |v6| v6.parse().ok());
    let address = address.or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()));
    address.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    const PROXY: &str = "10.0.0.1";
    const FORWARDED: &str = "forwarded";
    const XFF: &str = "x-forwarded-for";

    fn seen(peer: &str, headers: &[(&str, &str)]) -> String {
        let exposure = Exposure {
            trusted_proxies: vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()],
            ..Exposure::default()
        };
        let peer = SocketAddr::new(peer.parse().unwrap(), 4711);
        let request = TestRequest::default().peer_addr(peer).app_data(web::Data::new(exposure));
        let request = headers.iter().fold(request, |request, header| request.append_header(*header));
        address(&request.to_http_request()).unwrap().to_string()
    }

    #[test]
    fn only_a_trusted_proxy_says_who_the_client_is() {
        for (peer, headers, client) in [
            // Nobody in between, whatever is claimed.
            ("203.0.113.9", vec![], "203.0.113.9"),
            ("203.0.113.9", vec![(XFF, "198.51.100.7")], "203.0.113.9"),
            ("203.0.113.9", vec![(FORWARDED, "for=198.51.100.7")], "203.0.113.9"),
            ("::ffff:203.0.113.9", vec![], "203.0.113.9"),
            // One proxy.
            (PROXY, vec![], PROXY),
            (PROXY, vec![(XFF, "198.51.100.7")], "198.51.100.7"),
            ("::ffff:10.0.0.1", vec![(XFF, "198.51.100.7")], "198.51.100.7"),
            ("fd00::1", vec![(XFF, "198.51.100.7")], "198.51.100.7"),
            (PROXY, vec![(XFF, " 198.51.100.7:52011 ")], "198.51.100.7"),
            (PROXY, vec![(XFF, "2001:db8::7")], "2001:db8::7"),
            (PROXY, vec![(XFF, "[2001:db8::7]")], "2001:db8::7"),
            (PROXY, vec![(XFF, "[2001:db8::7]:52011")], "2001:db8::7"),
            (PROXY, vec![(XFF, "::ffff:198.51.100.7")], "198.51.100.7"),
            (PROXY, vec![(FORWARDED, "for=198.51.100.7")], "198.51.100.7"),
            (PROXY, vec![(FORWARDED, "For=\"[2001:db8::7]:4711\";proto=https")], "2001:db8::7"),
            (PROXY, vec![(FORWARDED, "proto=https;for=\"198.51.100.7:80\";by=10.0.0.1")], "198.51.100.7"),
            // What the client claims stands before what the proxy adds.
            (PROXY, vec![(XFF, "192.0.2.1, 198.51.100.7")], "198.51.100.7"),
            (PROXY, vec![(XFF, "192.0.2.1"), (XFF, "198.51.100.7")], "198.51.100.7"),
            (PROXY, vec![(FORWARDED, "for=192.0.2.1, for=198.51.100.7")], "198.51.100.7"),
            (PROXY, vec![(FORWARDED, "for=192.0.2.1;by=\"a,b\", for=198.51.100.7")], "198.51.100.7"),
            (PROXY, vec![(XFF, "nonsense, 198.51.100.7")], "198.51.100.7"),
            // Several proxies.
            (PROXY, vec![(XFF, "192.0.2.1, 198.51.100.7, 10.0.0.2, 10.0.0.3")], "198.51.100.7"),
            (PROXY, vec![(FORWARDED, "for=198.51.100.7, for=10.0.0.2")], "198.51.100.7"),
            (PROXY, vec![(XFF, "10.0.0.4, 10.0.0.2")], "10.0.0.4"),
            // What cannot be read leaves the proxy.
            (PROXY, vec![(XFF, "")], PROXY),
            (PROXY, vec![(XFF, "198.51.100.7,")], PROXY),
            (PROXY, vec![(XFF, "unknown")], PROXY),
            (PROXY, vec![(XFF, "198.51.100.07")], PROXY),
            (PROXY, vec![(XFF, "198.51.100.7 10.0.0.2")], PROXY),
            (PROXY, vec![(XFF, "198.51.100.7, nonsense")], PROXY),
            (PROXY, vec![(XFF, "fe80::1%eth0")], PROXY),
            (PROXY, vec![(FORWARDED, "198.51.100.7")], PROXY),
            (PROXY, vec![(FORWARDED, "for=_hidden")], PROXY),
            (PROXY, vec![(FORWARDED, "for=unknown;proto=http")], PROXY),
            (PROXY, vec![(FORWARDED, "proto=https")], PROXY),
            (PROXY, vec![(FORWARDED, "for=198.51.100.7;for=192.0.2.1")], PROXY),
            (PROXY, vec![(FORWARDED, "for=\"198.51.100.7, for=192.0.2.1")], PROXY),
            // Both headers, one of them perhaps the client's own.
            (PROXY, vec![(FORWARDED, "for=198.51.100.7"), (XFF, "198.51.100.7")], "198.51.100.7"),
            (PROXY, vec![(FORWARDED, "for=192.0.2.1"), (XFF, "198.51.100.7")], PROXY),
            (PROXY, vec![(FORWARDED, "for=192.0.2.1"), (XFF, "nonsense")], PROXY),
        ] {
            assert_eq!(seen(peer, &headers), client, "{peer} {headers:?}");
        }
    }

    #[test]
    fn a_line_that_is_no_text_leaves_the_proxy() {
        let mut headers = HeaderMap::new();
        headers.insert(X_FORWARDED_FOR, header::HeaderValue::from_bytes(b"198.51.100.7\xff").unwrap());
        let peer = PROXY.parse().unwrap();
        assert_eq!(behind(peer, &headers, &["10.0.0.0/8".parse().unwrap()]), peer);
    }

    #[test]
    fn without_a_word_of_the_operator_nobody_is_trusted() {
        let peer = SocketAddr::new(PROXY.parse().unwrap(), 1);
        let request = TestRequest::default().peer_addr(peer).insert_header((XFF, "198.51.100.7"));
        assert_eq!(address(&request.to_http_request()), Some(peer.ip()));
        assert_eq!(address(&TestRequest::default().to_http_request()), None);
    }
}
