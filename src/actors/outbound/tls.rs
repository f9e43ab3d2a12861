//! Whom we trust, and who we are to those who ask for a certificate.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use crate::domain::endpoint::{BadAuth, Identity};

/// The most certificates of one chain.
const CHAIN: usize = 10;
const UNREADABLE: BadAuth =
    BadAuth { field: "certificate", problem: "must be a certificate, or a few, as PEM" };

/// How TLS is spoken with receivers whose certificates these roots vouch for.
pub(super) fn tls(
    roots: &Arc<RootCertStore>,
    identity: Option<&Identity>,
) -> Result<Arc<ClientConfig>, BadAuth> {
    // awc builds a configuration of its own before it takes ours, and that needs a process-wide provider.
    if CryptoProvider::get_default().is_none() {
        let _ = ring::default_provider().install_default();
    }
    let config = ClientConfig::builder().with_root_certificates(Arc::clone(roots));
    let mut config = match identity {
        None => config.with_no_client_auth(),
        Some(identity) => {
            let (chain, key) = read(identity)?;
            config.with_client_auth_cert(chain, key).map_err(|error| match error {
                rustls::Error::InvalidCertificate(_) => UNREADABLE,
                _ => BadAuth { field: "key", problem: "does not belong to the certificate" },
            })?
        }
    };
    // HTTP/2 would carry many exchanges over one connection, and one rude answer could end them all.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Checks that connections can be made with a certificate.
///
/// # Errors
/// When it cannot be read, or the key is not its own.
pub fn check_identity(identity: &Identity) -> Result<(), BadAuth> {
    tls(&Arc::new(RootCertStore::empty()), Some(identity)).map(drop)
}

fn read(identity: &Identity) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), BadAuth> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(identity.certificate.as_bytes())
        .take(CHAIN)
        .collect::<Result<_, _>>()
        .map_err(|_| UNREADABLE)?;
    if chain.is_empty() {
        return Err(UNREADABLE);
    }
    let key = PrivateKeyDer::from_pem_slice(identity.key.reveal().as_bytes());
    let problem = "must be a private key without a password, as PEM";
    Ok((chain, key.map_err(|_| BadAuth { field: "key", problem })?))
}
