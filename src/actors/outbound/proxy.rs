//! The operator's own proxy, through which everything leaves, and what it says.
//!
//! It is asked for a tunnel (`CONNECT`) and sees nothing of what goes through it but where it leads. What it says of a
//! receiver, it says about the receiver; when it says nothing of use, nobody's receiver is to blame.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::str::FromStr;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use percent_encoding::percent_decode_str;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use url::{Host, Url};

use super::AttemptError;

/// The most bytes of the head of its answer.
const HEAD: usize = 8 * 1024;
/// The most headers in it.
const HEADERS: usize = 64;

/// A proxy as an operator names it.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    host: Host,
    port: u16,
    /// The name, and what is said of name and password.
    account: Option<(String, String)>,
    /// Whether it looks names up, and judges alone where they may lead.
    resolves: bool,
}

/// What is wrong with the address of a proxy; the rest of a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadProxy {
    /// Not to be read.
    #[error("is not a URL")]
    NotAUrl,
    /// Another protocol.
    #[error(
        "must begin with http://, which is how the proxy is spoken to; what goes through it stays encrypted"
    )]
    Scheme,
    /// More than where it is.
    #[error("must end after the port")]
    TooMuch,
    /// A name or password that no header can carry.
    #[error("has a name or password that is not text, or a colon in the name")]
    Account,
}

impl FromStr for Proxy {
    type Err = BadProxy;

    fn from_str(text: &str) -> Result<Self, BadProxy> {
        let url = Url::parse(text).map_err(|_| BadProxy::NotAUrl)?;
        if url.scheme() != "http" {
            return Err(BadProxy::Scheme);
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(BadProxy::TooMuch);
        }
        let host = url.host().ok_or(BadProxy::NotAUrl)?.to_owned();
        let port = url.port_or_known_default().ok_or(BadProxy::NotAUrl)?;
        Ok(Self { host, port, account: account(&url)?, resolves: false })
    }
}

fn account(url: &Url) -> Result<Option<(String, String)>, BadProxy> {
    if url.username().is_empty() && url.password().is_none() {
        return Ok(None);
    }
    let plain = |text| percent_decode_str(text).decode_utf8().map_err(|_| BadProxy::Account);
    let (name, password) = (plain(url.username())?, plain(url.password().unwrap_or_default())?);
    if name.contains(':') || name.contains(char::is_control) || password.contains(char::is_control) {
        return Err(BadProxy::Account);
    }
    let said = format!("Basic {}", BASE64_STANDARD.encode(format!("{name}:{password}")));
    Ok(Some((name.into_owned(), said)))
}

/// Without the password.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("http://")?;
        if let Some((name, _)) = &self.account {
            write!(f, "{name}:…@")?;
        }
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}

/// Why nothing gets past our own proxy, whoever it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoWayOut {
    /// DNS has no address for it.
    #[error("its name does not resolve")]
    UnknownHost,
    /// It takes no connections.
    #[error("it cannot be reached: {0}")]
    Unreachable(io::ErrorKind),
    /// Nor says that it does not.
    #[error("it does not take the connection in time")]
    Late,
    /// It hangs up.
    #[error("it closed the connection without an answer")]
    Closed,
    /// Something else listens there.
    #[error("its answer is not HTTP, or has no end")]
    NotHttp,
    /// It does not know us.
    #[error("it wants a name and a password that it knows")]
    Unauthorized,
}

impl Proxy {
    /// The same, with what it does about names.
    #[must_use]
    pub fn resolving(self, resolves: bool) -> Self {
        Self { resolves, ..self }
    }

    /// Whether names are its affair.
    pub const fn resolves(&self) -> bool {
        self.resolves
    }

    /// Where it is: an address, or a name, and the port.
    pub(super) const fn place(&self) -> (&Host, u16) {
        (&self.host, self.port)
    }

    /// Has it connect a fresh connection to the target, an address or a name, and a port. From then on what is said on
    /// it is said to the target.
    pub(super) async fn open(&self, mut tcp: TcpStream, target: &str) -> Result<TcpStream, AttemptError> {
        tcp.write_all(self.request(target).as_bytes()).await.map_err(of_io)?;
        await_tunnel(&mut tcp).await?;
        Ok(tcp)
    }

    fn request(&self, target: &str) -> String {
        let account = self.account.as_ref();
        let account = account.map(|(_, said)| format!("proxy-authorization: {said}\r\n")).unwrap_or_default();
        format!("CONNECT {target} HTTP/1.1\r\nhost: {target}\r\n{account}\r\n")
    }
}

/// Reads its answer, and nothing that is behind it.
async fn await_tunnel(tcp: &mut TcpStream) -> Result<(), AttemptError> {
    let (mut head, mut length) = (vec![0; HEAD], 0);
    loop {
        match tcp.read(&mut head[length..]).await.map_err(of_io)? {
            0 if length == HEAD => return Err(NoWayOut::NotHttp.into()),
            0 => return Err(NoWayOut::Closed.into()),
            read => length += read,
        }
        if is_open(&head[..length])? {
            return Ok(());
        }
    }
}

/// Whether an answer opens the tunnel; not while its head is still to come.
fn is_open(answer: &[u8]) -> Result<bool, AttemptError> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut head = httparse::Response::new(&mut headers);
    let length = match head.parse(answer) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(false),
        Err(_) => return Err(NoWayOut::NotHttp.into()),
    };
    let challenges = head.headers.iter().any(|header| header.name.eq_ignore_ascii_case("proxy-authenticate"));
    match head.code.unwrap_or_default() {
        // Nobody at the other end speaks before we do: what comes with the head would be read as a receiver's answer.
        200..=299 if length == answer.len() => Ok(true),
        // Some say 407 to refuse where it should lead; who asks for a password says how.
        407 if challenges => Err(NoWayOut::Unauthorized.into()),
        status @ 300..=599 => Err(AttemptError::NotConnected(status)),
        _ => Err(NoWayOut::NotHttp.into()),
    }
}

fn of_io(error: io::Error) -> NoWayOut {
    match error.kind() {
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe => {
            NoWayOut::Closed
        }
        kind => NoWayOut::Unreachable(kind),
    }
}

/// What a proxy is asked for where an address was judged.
pub(super) fn target(addr: &SocketAddr) -> String {
    SocketAddr::new(addr.ip().to_canonical(), addr.port()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_where_it_is_and_who_we_are_there() {
        for (text, shown, said) in [
            ("http://proxy.internal:3128", "http://proxy.internal:3128", None),
            ("http://10.0.0.1:3128/", "http://10.0.0.1:3128", None),
            ("http://[fd00::1]:8080", "http://[fd00::1]:8080", None),
            ("http://proxy", "http://proxy:80", None),
            ("http://we:p%40ss:w%2Frd@proxy:1", "http://we:…@proxy:1", Some("Basic d2U6cEBzczp3L3Jk")),
            ("http://we@proxy:1", "http://we:…@proxy:1", Some("Basic d2U6")),
        ] {
            let proxy: Proxy = text.parse().unwrap_or_else(|bad| panic!("{text} {bad}"));
            assert_eq!(proxy.to_string(), shown);
            assert_eq!(format!("{proxy:?}"), format!("Proxy({shown})"));
            assert_eq!(proxy.account.as_ref().map(|(_, said)| &**said), said);
        }
        for (text, bad) in [
            ("proxy.internal:3128", BadProxy::Scheme),
            ("proxy", BadProxy::NotAUrl),
            ("https://proxy:3128", BadProxy::Scheme),
            ("socks5://proxy:1080", BadProxy::Scheme),
            ("http://proxy:3128/path", BadProxy::TooMuch),
            ("http://proxy:3128?x", BadProxy::TooMuch),
            ("http://a%3Ab:c@proxy:3128", BadProxy::Account),
            ("http://a:b%0D%0Ax@proxy:3128", BadProxy::Account),
            ("http://a:%FF@proxy:3128", BadProxy::Account),
        ] {
            assert_eq!(text.parse::<Proxy>(), Err(bad), "{text}");
        }
    }

    #[test]
    fn a_proxy_is_asked_for_one_place_and_told_who_asks() {
        let ask = |proxy: &str| proxy.parse::<Proxy>().unwrap().request("93.184.216.34:443");
        let plain = "CONNECT 93.184.216.34:443 HTTP/1.1\r\nhost: 93.184.216.34:443\r\n";
        assert_eq!(ask("http://proxy:1"), format!("{plain}\r\n"));
        assert_eq!(ask("http://a:b@proxy:1"), format!("{plain}proxy-authorization: Basic YTpi\r\n\r\n"));
        for (addr, said) in [
            ("93.184.216.34:443", "93.184.216.34:443"),
            ("[2606:2800:21f::1]:443", "[2606:2800:21f::1]:443"),
            ("[::ffff:93.184.216.34]:80", "93.184.216.34:80"),
        ] {
            assert_eq!(target(&addr.parse().unwrap()), said);
        }
    }

    #[test]
    fn what_a_proxy_answers_is_about_the_receiver_or_about_our_own_network() {
        let of = |answer: &str| match is_open(answer.as_bytes()) {
            Ok(true) => "open".to_owned(),
            Ok(false) => "more".to_owned(),
            Err(error) => format!("{}: {error}", if error.is_ours() { "ours" } else { "theirs" }),
        };
        const NOT_HTTP: &str =
            "ours: nothing was sent, our proxy is in the way: its answer is not HTTP, or has no end";
        for (answer, meaning) in [
            ("HTTP/1.1 200 Connection established\r\n\r\n", "open"),
            ("HTTP/1.0 200 OK\r\nvia: x\r\n\r\n", "open"),
            ("HTTP/1.1 200 OK\r\nvia: x\r\n", "more"),
            ("", "more"),
            ("HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", NOT_HTTP),
            ("HTTP/1.1 100 Continue\r\n\r\n", NOT_HTTP),
            ("SSH-2.0-OpenSSH_9.6\r\n", NOT_HTTP),
            (
                "HTTP/1.1 407 X\r\nProxy-Authenticate: Basic realm=\"x\"\r\n\r\n",
                "ours: nothing was sent, our proxy is in the way: it wants a name and a password that it knows",
            ),
            ("HTTP/1.1 407 X\r\n\r\n", "theirs: the proxy answered 407: it does not let us connect there"),
            (
                "HTTP/1.1 403 X\r\n\r\n<html>",
                "theirs: the proxy answered 403: it does not let us connect there",
            ),
            (
                "HTTP/1.1 502 X\r\n\r\n",
                "theirs: the proxy answered 502: it could not connect to the receiver",
            ),
            (
                "HTTP/1.1 302 X\r\nlocation: x\r\n\r\n",
                "theirs: the proxy answered 302: it did not connect to the receiver",
            ),
        ] {
            assert_eq!(of(answer), meaning, "{answer}");
        }
    }
}
