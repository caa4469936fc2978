//! Whom an encrypted connection trusts.

use crate::http::own_certificate::OwnCertificate;
use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;

/// Reads certificates written as PEM.
///
/// # Errors
/// Says what is wrong with them.
pub(crate) fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match read {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => {
            Err("a certificate to trust is not written as PEM: it has no line '-----BEGIN CERTIFICATE-----'"
                .to_owned())
        }
        Err(error) => Err(format!("a certificate to trust cannot be read: {error}")),
    }
}

/// Trusts the host's own list of authorities and those given.
///
/// A host without a list is no error here: servers that are reached without encryption need none, and every other one is
/// refused with its certificate named.
///
/// # Errors
/// Says which certificate is none.
pub(crate) fn trusting(
    extra: impl IntoIterator<Item = CertificateDer<'static>>,
) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    let named: Vec<_> = extra.into_iter().collect();
    for certificate in &named {
        let added = roots.add(certificate.clone());
        added.map_err(|error| format!("a certificate to trust makes no sense: {error}"))?;
    }
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("encrypted connections cannot be prepared: {error}"))?;
    if named.is_empty() {
        return Ok(config.with_root_certificates(roots).with_no_client_auth());
    }
    // A certificate that a server signed itself is rarely an authority's, and yet it is what people have to name.
    let authorities = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|error| format!("a certificate to trust makes no sense: {error}"))?;
    let verifier = Arc::new(OwnCertificate::new(named, authorities));
    Ok(config.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}
