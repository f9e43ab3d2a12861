//! `punchcard health`: what a supervisor asks that has no client of its own, such as a container without a shell.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use awc::{Client, Connector};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};

use crate::actors::outbound::Trust;
use crate::config::Config;
use crate::config::flags::EngineFlags;

use super::{Failure, out};

/// Supervisors ask again soon.
const TIMEOUT: Duration = Duration::from_secs(4);

/// Ask the server on this machine whether it is ready; exits 0 when it is, and 1 when not
#[derive(Debug, clap::Args)]
pub(super) struct Health {
    /// Only whether it lives: it may be starting, or wait for its database
    #[arg(long)]
    alive: bool,
    /// Where it is, instead of where --bind has it listen; its certificate has to be that of the name then
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    #[command(flatten)]
    flags: EngineFlags,
}

pub(super) fn run(verb: &Health) -> Result<(), Failure> {
    let Some(loaded) = super::configuration(&verb.flags.0)? else { return Ok(()) };
    let scheme = if loaded.config.tls.is_some() { "https" } else { "http" };
    let base = verb.url.clone().unwrap_or_else(|| format!("{scheme}://{}", here(loaded.config.bind)));
    let path = if verb.alive { "/healthz" } else { "/readyz" };
    let url = format!("{}{path}", base.trim_end_matches('/'));
    let tls = tls(&loaded.config, verb.url.is_some())?;
    let status = actix_rt::System::new().block_on(async {
        let connector = Connector::new().rustls_0_23(tls);
        let client = Client::builder().connector(connector).timeout(TIMEOUT).finish();
        let answer = client.get(&url).send().await;
        answer.map(|answer| answer.status().as_u16())
    });
    match status {
        Ok(200) => {
            out::line(format_args!("{url} answers 200"));
            Ok(())
        }
        Ok(status) => Err(Failure::Failed(format!("{url} answers {status}"))),
        Err(error) => Err(Failure::because(&format!("{url} does not answer"), &error)),
    }
}

/// How the server is spoken with. Where it listens on this machine it is asked by an address, while its certificate is for
/// the name by which others reach it. Nothing is told to it, so there it may show any; by a name it has to be the one.
fn tls(config: &Config, by_name: bool) -> Result<Arc<ClientConfig>, Failure> {
    let trust = Trust::of(config.tls_roots, config.extra_ca.as_deref());
    let mut tls = Arc::unwrap_or_clone(trust.map_err(|e| Failure::Usage(e.to_string()))?.tls());
    if !by_name {
        let any = AnyCertificate(Arc::clone(tls.crypto_provider()));
        tls.dangerous().set_certificate_verifier(Arc::new(any));
    }
    Ok(Arc::new(tls))
}

/// Whatever certificate is shown will do.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Who listens on every address listens on this machine's own.
fn here(bind: SocketAddr) -> SocketAddr {
    let ip = match bind.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        other => other,
    };
    SocketAddr::new(ip, bind.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_listens_everywhere_is_asked_here() {
        for (bind, asked) in
            [("0.0.0.0:8080", "127.0.0.1:8080"), ("[::]:9", "[::1]:9"), ("10.1.2.3:80", "10.1.2.3:80")]
        {
            assert_eq!(here(bind.parse().unwrap()).to_string(), asked);
        }
    }
}
