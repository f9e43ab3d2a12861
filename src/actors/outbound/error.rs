//! Why an attempt failed, in words for the delivery log.
//!
//! The texts say what happened to *us* and never quote what the other side sent, so that a log cannot be used to read
//! from hosts that its reader cannot reach.

use std::io;
use std::time::Duration;

use awc::error::{ConnectError, SendRequestError};
use rustls::CertificateError;

use super::proxy::NoWayOut;
use super::token::NoToken;
use crate::domain::address::{AddrRefusal, UrlRefusal};

/// Why there is no answer to judge.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AttemptError {
    /// The exchange, its body included, took longer than allowed.
    #[error("timed out after {} s", .0.as_secs_f64())]
    TimedOut(Duration),
    /// The name leads to an address that may not be reached.
    #[error(transparent)]
    Address(#[from] AddrRefusal),
    /// The URL is no longer allowed.
    #[error("the endpoint's url {0}")]
    Url(#[from] UrlRefusal),
    /// The URL or an extra header cannot be sent.
    #[error("the endpoint's {0} cannot be sent; change it")]
    Unsendable(&'static str),
    /// The receiver wants an access token, and there is none.
    #[error("there is no access token: {0}")]
    NoToken(#[from] NoToken),
    /// Nothing gets past our own proxy, whoever it is for.
    #[error("nothing was sent, our proxy is in the way: {0}")]
    NoWayOut(#[from] NoWayOut),
    /// The proxy is there, and has no connection to this receiver for us.
    #[error("the proxy answered {0}: it {why}", why = of_proxy(*.0))]
    NotConnected(u16),
    /// DNS has no address for the name.
    #[error("the host name does not resolve")]
    UnknownHost,
    /// Nobody listens there.
    #[error("connection refused")]
    ConnectionRefused,
    /// No way there.
    #[error("cannot connect: {0}")]
    Unreachable(io::ErrorKind),
    /// The connection ended before an answer came.
    #[error("the receiver closed the connection without an answer")]
    Disconnected,
    /// The receiver cannot prove who it is.
    #[error("the receiver's certificate {0}")]
    Certificate(&'static str),
    /// No TLS there, or none that we speak.
    #[error("the TLS handshake failed")]
    Tls,
    /// Bytes came that are no HTTP answer, or a head without end.
    #[error("the answer is not HTTP, or its head is too large")]
    NotHttp,
    /// A status that promises another answer.
    #[error("the receiver answered {0}, which is not a final answer")]
    Interim(u16),
    /// A redirect: following it would hand the signed event to somebody else.
    #[error(
        "the receiver answered {status}; the redirect to {to} was not followed; change the endpoint's url"
    )]
    Redirect {
        /// The status.
        status: u16,
        /// Where to, shortened.
        to: String,
    },
}

impl AttemptError {
    /// Whether it is our own network's fault, which says nothing about the receiver.
    pub fn is_ours(&self) -> bool {
        match self {
            Self::NoWayOut(_) => true,
            Self::NoToken(NoToken::Unanswered(error)) => error.is_ours(),
            _ => false,
        }
    }
}

const fn of_proxy(status: u16) -> &'static str {
    match status {
        403 | 407 => "does not let us connect there",
        500.. => "could not connect to the receiver",
        _ => "did not connect to the receiver",
    }
}

impl From<SendRequestError> for AttemptError {
    fn from(error: SendRequestError) -> Self {
        match error {
            SendRequestError::Connect(error) => of_connect(error),
            SendRequestError::Send(error) => of_io(&error),
            SendRequestError::Response(error) => {
                match std::error::Error::source(&error).and_then(|cause| cause.downcast_ref()) {
                    Some(error) => of_io(error),
                    None => Self::NotHttp,
                }
            }
            SendRequestError::Url(_) | SendRequestError::Http(_) => Self::Unsendable("url"),
            _ => Self::Disconnected,
        }
    }
}

fn of_connect(error: ConnectError) -> AttemptError {
    match error {
        // The dialer hands its own errors through here.
        ConnectError::Resolver(error) => error.downcast().map_or(AttemptError::UnknownHost, |error| *error),
        ConnectError::Io(error) => of_io(&error),
        ConnectError::Timeout => AttemptError::Unreachable(io::ErrorKind::TimedOut),
        _ => AttemptError::Disconnected,
    }
}

fn of_io(error: &io::Error) -> AttemptError {
    if let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return match tls {
            rustls::Error::InvalidCertificate(why) => AttemptError::Certificate(of_certificate(why)),
            _ => AttemptError::Tls,
        };
    }
    match error.kind() {
        io::ErrorKind::ConnectionRefused => AttemptError::ConnectionRefused,
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::UnexpectedEof
        | io::ErrorKind::Other // how the codec says that the stream ended inside a head
        | io::ErrorKind::WriteZero => AttemptError::Disconnected,
        // The line says so of a head without end.
        io::ErrorKind::FileTooLarge => AttemptError::NotHttp,
        kind => AttemptError::Unreachable(kind),
    }
}

fn of_certificate(why: &CertificateError) -> &'static str {
    match why {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "has expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => "is not valid yet",
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "is for another host name"
        }
        CertificateError::UnknownIssuer => "is not signed by a known authority; --extra-ca adds one",
        CertificateError::Revoked => "was revoked",
        CertificateError::BadEncoding => "cannot be read",
        CertificateError::BadSignature => "was not signed by whom it names",
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "is not meant for a server"
        }
        // The library has no other name for it.
        CertificateError::Other(why) if why.to_string() == "CaUsedAsEndEntity" => {
            "is an authority's own; the receiver needs one that the authority signed"
        }
        _ => "is not valid",
    }
}
