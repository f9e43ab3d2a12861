//! The server's own certificate: read at the start, and again when its files change.

use std::fmt;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio_rustls::TlsAcceptor;

/// How soon a handshake looks again whether the files have changed.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Where the certificate and its key are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate and those that vouch for it, as PEM, the server's own first.
    pub certificate: PathBuf,
    /// The private key, as PEM.
    pub key: PathBuf,
}

/// Why there is no certificate to show: what is wrong with which file, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The file is not there, or not PEM.
    #[error("cannot read {}: {why}; name a file as PEM with {flag}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What names it.
        flag: &'static str,
        /// Why not.
        #[source]
        why: pem::Error,
    },
    /// Nothing in it.
    #[error("{} holds no certificate; name the file with the certificate and those that vouch for it, as PEM, with --tls-cert", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// Nothing in it.
    #[error("{} holds no private key that can be used; name a file with an unencrypted one, as PEM, with --tls-key", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// A key of a kind that nobody here knows.
    #[error("the private key in {} cannot be used: {why}; make an ECDSA (P-256), Ed25519 or RSA key", path.display())]
    BadKey {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        why: rustls::Error,
    },
    /// The first certificate is none.
    #[error("the first certificate in {} cannot be used: {why}", path.display())]
    BadCertificate {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        why: rustls::Error,
    },
    /// They are no pair.
    #[error("the key in {} is not that of the first certificate in {}; the server's own certificate comes first, and --tls-key names its key", key.display(), certificate.display())]
    NoPair {
        /// One file.
        certificate: PathBuf,
        /// The other.
        key: PathBuf,
    },
    /// What only a fault of ours can bring about.
    #[error("TLS cannot be set up: {0}")]
    Unusable(#[from] rustls::Error),
}

impl TlsFiles {
    fn read(&self, provider: &CryptoProvider) -> Result<CertifiedKey, CertificateError> {
        let chain = certificates(&self.certificate)?;
        let path = || self.key.clone();
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(|why| match why {
            pem::Error::NoItemsFound => CertificateError::NoKey { path: path() },
            why => CertificateError::Unreadable { path: path(), flag: "--tls-key", why },
        })?;
        let key = provider.key_provider.load_private_key(key);
        let pair =
            CertifiedKey::new(chain, key.map_err(|why| CertificateError::BadKey { path: path(), why })?);
        match pair.keys_match() {
            Ok(()) => Ok(pair),
            Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => Ok(pair),
            Err(rustls::Error::InconsistentKeys(_)) => {
                Err(CertificateError::NoPair { certificate: self.certificate.clone(), key: path() })
            }
            Err(why) => Err(CertificateError::BadCertificate { path: self.certificate.clone(), why }),
        }
    }

    /// What changes when somebody writes them.
    fn marks(&self) -> [Option<Mark>; 2] {
        [&self.certificate, &self.key].map(|path| {
            let about = std::fs::metadata(path).ok()?;
            Some(Mark { changed: (about.ctime(), about.ctime_nsec()), length: about.len() })
        })
    }
}

/// What a file is told apart by from how it was. The time of change, not of writing: who may read it counts, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    changed: (i64, i64),
    length: u64,
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let unreadable = |why| CertificateError::Unreadable { path: path.to_owned(), flag: "--tls-cert", why };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).map_err(unreadable)?.collect();
    let chain = chain.map_err(unreadable)?;
    if chain.is_empty() { Err(CertificateError::NoCertificate { path: path.to_owned() }) } else { Ok(chain) }
}

/// The certificate that the server shows, and what takes connections with it.
#[derive(Clone)]
pub struct Certificate(TlsAcceptor);

impl Certificate {
    /// Reads the files, and reads them again whenever they have changed. What cannot be used then leaves the old one.
    ///
    /// # Errors
    /// See [`CertificateError`].
    pub fn of(files: TlsFiles) -> Result<Self, CertificateError> {
        let provider = Arc::new(ring::default_provider());
        let shown = Arc::new(Shown::of(files, Arc::clone(&provider))?);
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(shown);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(Arc::new(config).into()))
    }

    pub(super) const fn acceptor(&self) -> &TlsAcceptor {
        &self.0
    }
}

/// What is shown at present.
struct Shown {
    files: TlsFiles,
    provider: Arc<CryptoProvider>,
    now: Mutex<Now>,
}

struct Now {
    pair: Arc<CertifiedKey>,
    /// The files as they were last tried.
    marks: [Option<Mark>; 2],
    looked: Instant,
}

impl Shown {
    fn of(files: TlsFiles, provider: Arc<CryptoProvider>) -> Result<Self, CertificateError> {
        // The marks come first: what is written meanwhile is then read again.
        let marks = files.marks();
        let pair = Arc::new(files.read(&provider)?);
        Ok(Self { files, provider, now: Mutex::new(Now { pair, marks, looked: Instant::now() }) })
    }

    fn pair(&self, at: Instant) -> Arc<CertifiedKey> {
        // Nothing panics while it holds the lock, and what is inside is whole at any time.
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        if at.saturating_duration_since(now.looked) >= LOOK_AGAIN {
            now.looked = at;
            let marks = self.files.marks();
            if marks != now.marks {
                now.marks = marks;
                self.renew(&mut now);
            }
        }
        Arc::clone(&now.pair)
    }

    fn renew(&self, now: &mut Now) {
        match self.files.read(&self.provider) {
            Ok(pair) => {
                now.pair = Arc::new(pair);
                tracing::info!(file = %self.files.certificate.display(), "the server shows its new certificate");
            }
            Err(error) => tracing::error!(
                error = %error,
                "the server's certificate was changed and cannot be used; the old one is still shown"
            ),
        }
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.pair(Instant::now()))
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Shown").field(&self.files).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::heard::Log;
    use rcgen::{CertificateParams, KeyPair};
    use tempfile::TempDir;

    /// A certificate and its key, as PEM.
    fn pair() -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new(["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    fn files(certificate: &str, key: &str) -> (TempDir, TlsFiles) {
        let folder = tempfile::tempdir().unwrap();
        let files =
            TlsFiles { certificate: folder.path().join("cert.pem"), key: folder.path().join("key.pem") };
        std::fs::write(&files.certificate, certificate).unwrap();
        std::fs::write(&files.key, key).unwrap();
        (folder, files)
    }

    #[test]
    fn what_is_wrong_with_which_file_is_said() {
        let ((certificate, key), (_, other_key)) = (pair(), pair());
        let locked = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
        let no_key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        let no_certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let cut = &certificate[..certificate.len() / 2];
        for (certificate, key, expected) in [
            (&*key, &*key, "cert.pem holds no certificate"),
            ("", &*key, "cert.pem holds no certificate"),
            (cut, &*key, "cannot read "),
            (no_certificate, &*key, "the first certificate in "),
            (&*certificate, "", "key.pem holds no private key"),
            (&*certificate, &*certificate, "key.pem holds no private key"),
            (&*certificate, locked, "key.pem holds no private key that can be used"),
            (&*certificate, no_key, "the private key in "),
            (&*certificate, &*other_key, "is not that of the first certificate"),
        ] {
            let (_folder, files) = files(certificate, key);
            let error = Certificate::of(files).err().expect(expected).to_string();
            assert!(error.contains(expected), "{error}");
        }
        let nowhere = TlsFiles { certificate: "/nowhere/cert.pem".into(), key: "/nowhere/key.pem".into() };
        let error = Certificate::of(nowhere).err().unwrap().to_string();
        assert!(error.contains("/nowhere/cert.pem") && error.contains("--tls-cert"), "{error}");
    }

    #[test]
    fn a_new_certificate_is_shown_and_a_broken_one_is_not() {
        let log = Log::listen();
        let (first, second) = (pair(), pair());
        let (_folder, files) = files(&first.0, &first.1);
        let shown = Shown::of(files.clone(), Arc::new(ring::default_provider())).unwrap();
        let mut at = Instant::now();
        let mut leaf = || {
            at += LOOK_AGAIN;
            shown.pair(at).cert[0].clone()
        };
        let old = leaf();
        // Half of a renewal: the new certificate is there, its key is not.
        std::fs::write(&files.certificate, format!("{}\n", second.0)).unwrap();
        assert_eq!(leaf(), old);
        let file = files.certificate.display().to_string();
        assert!(log.line(&["ERROR", "the old one is still shown", &file]).is_some());
        std::fs::write(&files.key, format!("{}\n", second.1)).unwrap();
        let new = leaf();
        assert_ne!(new, old);
        assert!(log.line(&["INFO", "new certificate", &file]).is_some());
        std::fs::remove_file(&files.key).unwrap();
        assert_eq!(leaf(), new);
    }
}
