//! Certificates for servers that are reached by TLS.

use super::options::Options;
use crate::engine::SourceOption;
use crate::error::EngineError;
use crate::words::plain;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use std::path::Path;
use std::sync::Arc;

/// The options by which a source names its certificates, all of them files.
pub(crate) const TLS_OPTIONS: [&str; 3] = ["TlsAuthorities", "TlsCertificate", "TlsKey"];

/// What each of them means, for forms to ask.
pub(crate) const TLS_MEANINGS: [SourceOption; 3] = [
    SourceOption::new(
        "TlsAuthorities",
        "the file with the certificates that the server's must be signed by; those that the host trusts where nothing is said",
    ),
    SourceOption::new("TlsCertificate", "the file with our own certificate, for servers that ask for one"),
    SourceOption::new("TlsKey", "the file with the key of our own certificate"),
];

/// Where Debian keeps the authorities that everybody trusts.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Whom to trust, and who we are.
pub(crate) struct Tls {
    /// The authorities' certificates.
    pub(crate) authorities: Vec<CertificateDer<'static>>,
    /// Our own certificate with those that lead to it, and its key in PEM form.
    pub(crate) own: Option<(Vec<CertificateDer<'static>>, Vec<u8>)>,
}

impl Tls {
    /// Reads the files that the options name.
    pub(crate) fn of(options: &Options<'_>) -> Result<Self, EngineError> {
        let [authorities, certificate, key] = TLS_OPTIONS;
        let trusted = certificates(options.get(authorities).unwrap_or(AUTHORITIES))?;
        let own = match (options.get(certificate), options.get(key)) {
            (Some(certificate), Some(key)) => {
                let pem = std::fs::read(key)
                    .map_err(|error| unusable(key, &rustls::pki_types::pem::Error::Io(error)))?;
                PrivateKeyDer::from_pem_slice(&pem).map_err(|error| unusable(key, &error))?;
                Some((certificates(certificate)?, pem))
            }
            (None, None) => None,
            _ => {
                return Err(EngineError::Failed {
                    action: "reading the options of the source".to_owned(),
                    cause: format!("of {certificate} and {key} only one is there"),
                    remedy: "name both, or none".to_owned(),
                });
            }
        };
        Ok(Self { authorities: trusted, own })
    }

    /// Begins a connection to a host.
    pub(crate) fn connect(self, host: &str) -> Result<ClientConnection, rustls::Error> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(self.authorities);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots);
        let config = match self.own {
            Some((chain, pem)) => {
                let key = PrivateKeyDer::from_pem_slice(&pem)
                    .map_err(|_| rustls::Error::General("the key cannot be read".to_owned()))?;
                config.with_client_auth_cert(chain, key)?
            }
            None => config.with_no_client_auth(),
        };
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| rustls::Error::General(format!("'{host}' is no name of a server")))?;
        ClientConnection::new(Arc::new(config), name)
    }
}

fn certificates(path: &str) -> Result<Vec<CertificateDer<'static>>, EngineError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(unusable(path, &rustls::pki_types::pem::Error::NoItemsFound)),
        Err(error) => Err(unusable(path, &error)),
    }
}

fn unusable(path: &str, error: &rustls::pki_types::pem::Error) -> EngineError {
    let cause = match error {
        rustls::pki_types::pem::Error::Io(error) => plain(std::io::Error::from(error.kind())),
        _ => "it holds nothing of that kind in PEM form".to_owned(),
    };
    EngineError::Failed {
        action: format!("reading {}", Path::new(path).display()),
        cause,
        remedy: format!(
            "name a file in PEM form that Larder may read, in the options {}",
            TLS_OPTIONS.join(", ")
        ),
    }
}
