//! Where deliveries may go: no private address, unless the operator listed it.
//!
//! One policy is asked twice. [`AddressPolicy::check_url`] refuses a bad URL while a person looks at it;
//! [`AddressPolicy::check_all`] judges every address on every dial, because a name can change its mind.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use url::{Host, Url};

/// What the operator allows beyond the public internet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AddressPolicy {
    /// Networks that may be reached although they are not public (`--allow-private`).
    pub allow: Vec<IpNet>,
    /// Whether plain `http` is allowed (`--allow-http`).
    pub allow_http: bool,
}

/// Why an address may not be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("address {addr} is {kind}; start with --allow-private {network} to deliver there")]
pub struct AddrRefusal {
    /// The address, with an IPv4 address inside IPv6 unwrapped.
    pub addr: IpAddr,
    /// What kind of address it is, as an adjective.
    pub kind: &'static str,
    /// The network to list if it is wanted.
    pub network: IpNet,
}

/// Why a URL cannot be an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlRefusal {
    /// Longer than any honest URL.
    #[error("must be at most {MAX_URL} characters long")]
    TooLong,
    /// URL parsers disagree about these, so nobody should rely on one reading.
    #[error("must not contain white space, control characters or backslashes")]
    StrayCharacter,
    /// Not a URL.
    #[error("is not a URL: {0}")]
    NotAUrl(#[from] url::ParseError),
    /// A scheme that is not HTTP.
    #[error("must begin with https://, not {0}:")]
    Scheme(String),
    /// Plain HTTP.
    #[error("must begin with https://; start with --allow-http to deliver without encryption")]
    PlainHttp,
    /// Credentials in the URL would end up in logs.
    #[error("must not contain a user name or password; use a header such as Authorization instead")]
    UserInfo,
    /// Fragments are never sent.
    #[error("must not contain a fragment (the part after #)")]
    Fragment,
    /// No host to send to.
    #[error("must name a host of at most {MAX_HOST} characters, each part between dots at most 63")]
    BadHost,
    /// A port where another protocol listens.
    #[error("port {0} belongs to another protocol; use a port where a web server listens")]
    Port(u16),
    /// A name of this machine or its local network.
    #[error("`{0}` is a local name; start with --allow-private and the network it is in to deliver there")]
    LocalName(String),
    /// A literal address that may not be reached.
    #[error(transparent)]
    Address(#[from] AddrRefusal),
}

/// The longest URL, in bytes.
const MAX_URL: usize = 2_000;
/// The longest host name, in bytes; what DNS can carry.
const MAX_HOST: usize = 253;

/// Names that never belong to the public internet.
const LOCAL_SUFFIXES: [&str; 5] = ["localhost", "local", "internal", "home.arpa", "localdomain"];

/// Ports of protocols that a crafted request body could drive: the mail, shell and naming ports among the WHATWG Fetch
/// standard's "bad ports", and the databases and caches that stand beside a web server.
const FOREIGN_PORTS: [u16; 46] = [
    0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 79, 110, 111, 119, 123, 135, 137,
    139, 143, 161, 179, 389, 445, 465, 514, 587, 636, 993, 995, 2049, 3306, 5432, 6000, 6379, 6667, 11211,
    27017,
];

impl AddressPolicy {
    /// Reads a URL as browsers do and returns its normal form, or says what is wrong with it.
    pub fn check_url(&self, text: &str) -> Result<Url, UrlRefusal> {
        if text.len() > MAX_URL {
            return Err(UrlRefusal::TooLong);
        }
        if text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '\\') {
            return Err(UrlRefusal::StrayCharacter);
        }
        let url = Url::parse(text)?;
        self.check_scheme(&url)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(UrlRefusal::UserInfo);
        }
        if url.fragment().is_some() {
            return Err(UrlRefusal::Fragment);
        }
        if url.as_str().len() > MAX_URL {
            return Err(UrlRefusal::TooLong);
        }
        self.check_host(&url)?;
        match url.port() {
            Some(port) if FOREIGN_PORTS.contains(&port) => Err(UrlRefusal::Port(port)),
            _ => Ok(url),
        }
    }

    /// Whether the URL's scheme is allowed. Also asked on every attempt: the operator may have changed the flag since.
    pub fn check_scheme(&self, url: &Url) -> Result<(), UrlRefusal> {
        match url.scheme() {
            "https" => Ok(()),
            "http" if self.allow_http => Ok(()),
            "http" => Err(UrlRefusal::PlainHttp),
            other => Err(UrlRefusal::Scheme(other.to_owned())),
        }
    }

    fn check_host(&self, url: &Url) -> Result<(), UrlRefusal> {
        match url.host() {
            None => Err(UrlRefusal::BadHost),
            Some(Host::Ipv4(addr)) => Ok(self.check_addr(addr.into())?),
            Some(Host::Ipv6(addr)) => Ok(self.check_addr(addr.into())?),
            Some(Host::Domain(name)) => self.check_name(name),
        }
    }

    /// A name is judged for good when it is resolved; here only what can never be meant.
    fn check_name(&self, name: &str) -> Result<(), UrlRefusal> {
        let name = name.strip_suffix('.').unwrap_or(name);
        if name.len() > MAX_HOST || name.split('.').any(|label| label.is_empty() || label.len() > 63) {
            return Err(UrlRefusal::BadHost);
        }
        let allowed = if is_under(name, "localhost") {
            self.allows(Ipv4Addr::LOCALHOST.into()) || self.allows(Ipv6Addr::LOCALHOST.into())
        } else {
            !is_local(name) || !self.allow.is_empty()
        };
        if allowed { Ok(()) } else { Err(UrlRefusal::LocalName(name.to_owned())) }
    }

    /// The name as a resolver must be asked for it. One without a dot at its end may be completed with the domains that
    /// this machine searches, and an event would go to a host that nobody named. Whoever lists private networks may
    /// mean that, or have names in the hosts file, which knows none with that dot; so their names stay as they are.
    pub fn absolute<'a>(&self, name: &'a str) -> Cow<'a, str> {
        match name.ends_with('.') || is_local(name) || !self.allow.is_empty() {
            true => name.into(),
            false => format!("{name}.").into(),
        }
    }

    /// Whether this address may be reached.
    pub fn check_addr(&self, addr: IpAddr) -> Result<(), AddrRefusal> {
        let addr = addr.to_canonical();
        if self.allows(addr) {
            // Listing a tunnel's prefix does not list every private network behind it.
            return tunnelled(addr).map_or(Ok(()), |inner| self.check_addr(inner.into()));
        }
        refusal(addr).map_or(Ok(()), Err)
    }

    /// Whether every answer for a name may be reached. One bad answer refuses them all: who mixes public and private
    /// addresses is probing.
    pub fn check_all(&self, addrs: &[IpAddr]) -> Result<(), AddrRefusal> {
        addrs.iter().try_for_each(|addr| self.check_addr(*addr))
    }

    fn allows(&self, addr: IpAddr) -> bool {
        self.allow.iter().any(|network| network.contains(&addr))
    }
}

fn is_under(name: &str, suffix: &str) -> bool {
    name.strip_suffix(suffix).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// Whether the public internet cannot know this name.
fn is_local(name: &str) -> bool {
    !name.contains('.') || LOCAL_SUFFIXES.iter().any(|suffix| is_under(name, suffix))
}

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> IpNet {
    IpNet::new_assert(IpAddr::V4(Ipv4Addr::new(a, b, c, d)), prefix)
}

const fn v6(a: u16, b: u16, c: u16, d: u16, prefix: u8) -> IpNet {
    IpNet::new_assert(IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0)), prefix)
}

const LOOPBACK_V6: IpNet = IpNet::new_assert(IpAddr::V6(Ipv6Addr::LOCALHOST), 128);
const GLOBAL_UNICAST_V6: IpNet = v6(0x2000, 0, 0, 0, 3);

/// What is not on the public internet: the IANA special-purpose registries (RFC 6890 and updates), the narrower network
/// first.
const SPECIAL: [(IpNet, &str); 33] = [
    (v4(0, 0, 0, 0, 8), "this host"),
    (v4(10, 0, 0, 0, 8), "private"),
    (v4(100, 64, 0, 0, 10), "shared by a carrier"),
    (v4(127, 0, 0, 0, 8), "loopback"),
    (v4(169, 254, 0, 0, 16), "link-local"),
    (v4(172, 16, 0, 0, 12), "private"),
    (v4(192, 0, 0, 0, 24), "reserved for protocols"),
    (v4(192, 0, 2, 0, 24), "for documentation"),
    (v4(192, 88, 99, 0, 24), "a retired relay"),
    (v4(192, 168, 0, 0, 16), "private"),
    (v4(198, 18, 0, 0, 15), "for benchmarks"),
    (v4(198, 51, 100, 0, 24), "for documentation"),
    (v4(203, 0, 113, 0, 24), "for documentation"),
    (v4(224, 0, 0, 0, 4), "multicast"),
    (v4(255, 255, 255, 255, 32), "broadcast"),
    (v4(240, 0, 0, 0, 4), "reserved"),
    (v6(0, 0, 0, 0, 128), "this host"),
    (LOOPBACK_V6, "loopback"),
    (v6(0, 0, 0, 0, 96), "IPv4 inside IPv6"),
    (v6(0x64, 0xff9b, 0, 0, 96), "IPv4 behind NAT64"),
    (v6(0x64, 0xff9b, 1, 0, 48), "IPv4 behind NAT64"),
    (v6(0x100, 0, 0, 0, 64), "for discarding"),
    (v6(0x2001, 0, 0, 0, 32), "IPv4 behind Teredo"),
    (v6(0x2001, 0, 0, 0, 23), "reserved for protocols"),
    (v6(0x2001, 0xdb8, 0, 0, 32), "for documentation"),
    (v6(0x2002, 0, 0, 0, 16), "IPv4 behind 6to4"),
    (v6(0x3fff, 0, 0, 0, 20), "for documentation"),
    (v6(0x5f00, 0, 0, 0, 16), "for segment routing"),
    (v6(0xfc00, 0, 0, 0, 7), "private"),
    (v6(0xfe80, 0, 0, 0, 10), "link-local"),
    (v6(0xfec0, 0, 0, 0, 10), "private"),
    (v6(0xff00, 0, 0, 0, 8), "multicast"),
    // Everything else that IANA has not given out as global unicast.
    (v6(0, 0, 0, 0, 0), "not on the public internet"),
];

fn refusal(addr: IpAddr) -> Option<AddrRefusal> {
    let (network, kind) = SPECIAL.into_iter().find(|(network, _)| network.contains(&addr))?;
    if network.prefix_len() > 0 {
        return Some(AddrRefusal { addr, kind, network });
    }
    (!GLOBAL_UNICAST_V6.contains(&addr)).then(|| AddrRefusal { addr, kind, network: addr.into() })
}

/// The IPv4 address at the far end, when `addr` only wraps one.
fn tunnelled(addr: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(addr) = addr else { return None };
    let of = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    match addr.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x64, 0xff9b, 1, _, _, _, high, low]
        | [0, 0, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => Some(of(high, low)),
        [0x2001, 0, _, _, _, _, high, low] => Some(of(!high, !low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(allow: &[&str], allow_http: bool) -> AddressPolicy {
        AddressPolicy { allow: allow.iter().map(|net| net.parse().unwrap()).collect(), allow_http }
    }

    #[test]
    fn every_way_to_write_a_private_address_is_refused() {
        let policy = policy(&[], true);
        for url in [
            "http://127.0.0.1",
            "http://127.0.0.1:8080",
            "http://0",
            "http://0.0.0.0",
            "http://2130706433",
            "http://0x7f000001",
            "http://0x7f.1",
            "http://0177.0.0.1",
            "http://127.1",
            "http://127.0.0.1.",
            "http://①②⑦.⓪.⓪.①",
            "http://10.0.0.1",
            "http://172.16.0.1",
            "http://192.168.0.1",
            "http://100.64.0.1",
            "http://198.18.0.1",
            "http://169.254.169.254/latest/meta-data/",
            "http://100.100.100.200",
            "http://192.0.0.192",
            "http://192.0.2.1",
            "http://224.0.0.1",
            "http://240.0.0.1",
            "http://255.255.255.255",
            "http://[::1]",
            "http://[::]",
            "http://[::ffff:127.0.0.1]",
            "http://[::ffff:7f00:1]",
            "http://[0:0:0:0:0:ffff:a9fe:a9fe]",
            "http://[::127.0.0.1]",
            "http://[64:ff9b::7f00:1]",
            "http://[64:ff9b:1::a9fe:a9fe]",
            "http://[2002:7f00:1::]",
            "http://[2001:0:4136:e378:8000:63bf:3fff:fdd2]",
            "http://[fe80::1]",
            "http://[fc00::1]",
            "http://[fd00:ec2::254]",
            "http://[ff02::1]",
            "http:///127.0.0.1",
            "http:127.0.0.1",
            "http://[4000::1]",
        ] {
            assert!(
                matches!(policy.check_url(url), Err(UrlRefusal::Address(_))),
                "{url}: {:?}",
                policy.check_url(url)
            );
        }
    }

    #[test]
    fn names_of_this_machine_or_network_are_refused() {
        let policy = policy(&[], true);
        for url in [
            "http://localhost",
            "http://LOCALHOST.",
            "http://a.localhost",
            "http://metadata.google.internal",
            "http://printer.local",
            "http://db",
            "http://db:8080/",
            "http://router.home.arpa",
        ] {
            assert!(matches!(policy.check_url(url), Err(UrlRefusal::LocalName(_))), "{url}");
        }
    }

    #[test]
    fn urls_that_parsers_read_differently_are_refused() {
        let policy = policy(&["0.0.0.0/0"], true);
        let long_url = format!("https://example.com/{}", "a".repeat(64 * 1024));
        let long_host = format!("https://{}example.com/", "a.".repeat(300));
        let long_label = format!("https://{}.com/", "a".repeat(64));
        for url in [
            "http://user@127.0.0.1",
            "http://example.com@127.0.0.1/",
            "http://127.0.0.1#@example.com/",
            "http://example.com\\@127.0.0.1",
            "//127.0.0.1",
            "http://ex ample.com",
            "http://example.com\r\nX: y",
            "http://[fe80::1%25eth0]",
            "http://xn--",
            "http://example.org.xn--",
            "http://",
            "",
            "example.com",
            "file:///etc/passwd",
            "gopher://127.0.0.1:6379/_FLUSHALL",
            "ftp://x",
            "data:,x",
            "unix:/run/pg.sock",
            "http+unix://%2frun%2fpg.sock",
            "javascript:1",
            "ws://x",
            "https://example.com:22",
            "https://example.com:25",
            "https://example.com:53",
            "https://example.com:6379",
            "https://example.com:5432",
            "https://example.com:0",
            "https://example.com:65536",
            "https://example.com:443x",
            "https://a..example.com/",
            &long_url,
            &long_host,
            &long_label,
        ] {
            assert!(policy.check_url(url).is_err(), "{url}");
        }
    }

    #[test]
    fn plain_http_needs_the_flag() {
        assert_eq!(policy(&[], false).check_url("http://example.com/"), Err(UrlRefusal::PlainHttp));
        assert!(policy(&[], true).check_url("http://example.com/").is_ok());
    }

    #[test]
    fn a_public_url_comes_back_in_its_normal_form() {
        let policy = policy(&[], false);
        for (given, normal) in [
            ("https://Example.COM:443/a/../b?c=d", "https://example.com/b?c=d"),
            ("HTTPS://example.com", "https://example.com/"),
            ("https://134744072:8443/", "https://8.8.8.8:8443/"),
            ("https://bücher.example/", "https://xn--bcher-kva.example/"),
            ("https://[2606:4700::1111]/", "https://[2606:4700::1111]/"),
            ("https://example.com/%0d%0aX:", "https://example.com/%0d%0aX:"),
        ] {
            assert_eq!(policy.check_url(given).as_ref().map(Url::as_str), Ok(normal), "{given}");
        }
    }

    #[test]
    fn listed_networks_are_reached_and_their_neighbours_are_not() {
        let policy = policy(&["127.0.0.0/8", "fd00::/8"], true);
        for url in [
            "http://127.0.0.1:9000/",
            "http://localhost:9000/",
            "http://[::ffff:127.0.0.1]/",
            "http://[fd00::1]/",
        ] {
            assert!(policy.check_url(url).is_ok(), "{url}: {:?}", policy.check_url(url));
        }
        for url in ["http://10.0.0.1/", "http://[::1]/", "http://[fc00::1]/", "http://169.254.169.254/"] {
            assert!(policy.check_url(url).is_err(), "{url}");
        }
    }

    #[test]
    fn listing_a_tunnel_does_not_list_what_is_behind_it() {
        let policy = policy(&["64:ff9b::/96", "2002::/16"], false);
        for (addr, reachable) in [
            ("64:ff9b::8.8.8.8", true),
            ("64:ff9b::10.0.0.1", false),
            ("2002:808:808::1", true),
            ("2002:7f00:1::", false),
        ] {
            assert_eq!(policy.check_addr(addr.parse().unwrap()).is_ok(), reachable, "{addr}");
        }
    }

    #[test]
    fn public_names_are_asked_for_as_they_stand() {
        for (name, allow, asked) in [
            ("shop.example", &[][..], "shop.example."),
            ("shop.example.", &[], "shop.example."),
            ("hooks.prod", &[], "hooks.prod."),
            ("hooks.prod", &["10.0.0.0/8"], "hooks.prod"),
            ("localhost", &[], "localhost"),
            ("db", &[], "db"),
            ("metadata.google.internal", &[], "metadata.google.internal"),
        ] {
            assert_eq!(policy(allow, false).absolute(name), asked, "{name}");
        }
    }

    #[test]
    fn one_private_answer_refuses_them_all() {
        let policy = policy(&[], false);
        let answers: Vec<IpAddr> = ["8.8.8.8", "10.0.0.1"].iter().map(|addr| addr.parse().unwrap()).collect();
        assert!(policy.check_all(&answers[..1]).is_ok());
        let refusal = policy.check_all(&answers).unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "address 10.0.0.1 is private; start with --allow-private 10.0.0.0/8 to deliver there"
        );
    }
}
