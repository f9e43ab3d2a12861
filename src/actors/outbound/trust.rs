//! Whose word counts for who a receiver is.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use actix_tls::connect::rustls_0_23::webpki_roots_cert_store;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::{ClientConfig, RootCertStore};
use rustls_native_certs::{CertificateResult, load_native_certs};

/// The authorities to begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TlsRoots {
    /// Mozilla's, as they were when this program was built.
    #[default]
    Bundled,
    /// Those that the operating system trusts.
    System,
}

impl TlsRoots {
    /// The word used in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bundled => "bundled",
            Self::System => "system",
        }
    }
}

impl FromStr for TlsRoots {
    type Err = ();
    fn from_str(word: &str) -> Result<Self, ()> {
        [Self::Bundled, Self::System].into_iter().find(|roots| roots.as_str() == word).ok_or(())
    }
}

/// Why it is not clear whom to trust: what is wrong, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The system trusts nobody.
    #[error(
        "the system has no certificates of authorities; install them (often the package ca-certificates), or start \
         with --tls-roots bundled"
    )]
    NoSystemRoots,
    /// The file is not there, or not PEM.
    #[error("cannot read {}: {why}; name a file of certificates as PEM with --extra-ca", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        why: pem::Error,
    },
    /// Nothing in it.
    #[error("{} holds no certificate; name a file of certificates as PEM with --extra-ca", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// Something else in it.
    #[error("certificate {number} of {} cannot be that of an authority; leave it out", path.display())]
    NoAuthority {
        /// The file.
        path: PathBuf,
        /// Which one, from 1.
        number: usize,
    },
}

/// The authorities that vouch for receivers.
#[derive(Clone)]
pub struct Trust(Arc<RootCertStore>);

impl Trust {
    /// These authorities, and those whose certificates are in the file.
    ///
    /// # Errors
    /// See [`TrustError`].
    pub fn of(roots: TlsRoots, extra: Option<&Path>) -> Result<Self, TrustError> {
        let mut roots = match roots {
            TlsRoots::Bundled => webpki_roots_cert_store(),
            TlsRoots::System => of_system(load_native_certs())?,
        };
        if let Some(path) = extra {
            add(&mut roots, path)?;
        }
        Ok(Self::only(roots))
    }

    /// What nobody has to configure.
    pub fn bundled() -> Self {
        Self::only(webpki_roots_cert_store())
    }

    /// Nobody but these.
    pub(super) fn only(roots: RootCertStore) -> Self {
        Self(Arc::new(roots))
    }

    /// How TLS is spoken with whoever they vouch for.
    pub fn tls(&self) -> Arc<ClientConfig> {
        let config = super::tls::tls(&self.0, None);
        config.unwrap_or_else(|_| unreachable!("only a certificate of ours could be wrong"))
    }

    pub(super) const fn roots(&self) -> &Arc<RootCertStore> {
        &self.0
    }

    /// Whether it is the very same.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Trust({} authorities)", self.0.len())
    }
}

/// The system's own lists hold now and then what nobody can read; that is no reason to trust none of the others.
pub(super) fn of_system(found: CertificateResult) -> Result<RootCertStore, TrustError> {
    for error in found.errors {
        tracing::warn!(%error, "cannot read all certificates that the system trusts");
    }
    let mut roots = RootCertStore::empty();
    match roots.add_parsable_certificates(found.certs) {
        (0, _) => Err(TrustError::NoSystemRoots),
        _ => Ok(roots),
    }
}

fn add(roots: &mut RootCertStore, path: &Path) -> Result<(), TrustError> {
    let unreadable = |why| TrustError::Unreadable { path: path.to_owned(), why };
    let mut number = 0;
    for certificate in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
        number += 1;
        let no_authority = |_| TrustError::NoAuthority { path: path.to_owned(), number };
        roots.add(certificate.map_err(unreadable)?).map_err(no_authority)?;
    }
    match number {
        0 => Err(TrustError::NoCertificate { path: path.to_owned() }),
        _ => Ok(()),
    }
}
