//! TLS for FTP: whom to trust, and sessions that data connections take up again.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme, StreamOwned,
    SupportedProtocolVersion,
};
use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::Duration;
use suppaftp::{FtpError, FtpResult, TlsConnector, TlsStream};

/// How long a server may take to close its half of an upload's data connection.
const GOODBYE: Duration = Duration::from_secs(5);

/// Which servers are trusted.
#[derive(Clone, Debug)]
pub(super) struct Trust {
    verifier: Arc<dyn ServerCertVerifier>,
    provider: Arc<CryptoProvider>,
}

impl Trust {
    /// Trusts one certificate, or the server that an authority with it vouches for; where none is given, those whom the
    /// host trusts, and some more authorities as PEM.
    pub(super) fn new(certificate: Option<&str>, authorities: &[Vec<u8>]) -> Result<Self, String> {
        let provider = Arc::new(ring::default_provider());
        let verifier: Arc<dyn ServerCertVerifier> = match certificate.filter(|text| !text.trim().is_empty()) {
            Some(text) => Arc::new(Pinned::new(read_certificate(text)?, &provider)),
            None => {
                let mut extra = Vec::new();
                for pem in authorities {
                    for certificate in CertificateDer::pem_slice_iter(pem) {
                        extra.push(
                            certificate.map_err(|error| format!("a trusted certificate is none: {error}"))?,
                        );
                    }
                }
                let verifier =
                    rustls_platform_verifier::Verifier::new_with_extra_roots(extra, Arc::clone(&provider));
                Arc::new(verifier.map_err(|error| format!("the host's list of authorities: {error}"))?)
            }
        };
        Ok(Self { verifier, provider })
    }

    /// Makes what one control connection and its data connections use.
    ///
    /// Each control connection has a memory of sessions of its own: many servers refuse a data connection that does not
    /// take up the session of its own control connection again.
    /// A session of TLS 1.2 can be taken up as often as one likes. The tickets of TLS 1.3 are for one use each, and servers
    /// that insist do not count those of one data connection for the next; so 1.3 is for servers that speak nothing else.
    pub(super) fn connector(&self, newest: bool, patience: Duration) -> Result<Connector, String> {
        let builder = ClientConfig::builder_with_provider(Arc::clone(&self.provider));
        let version: &[&SupportedProtocolVersion] = if newest { &[&TLS13] } else { &[&TLS12] };
        let builder = builder.with_protocol_versions(version).map_err(|error| error.to_string())?;
        let config = builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&self.verifier))
            .with_no_client_auth();
        Ok(Connector { config: Arc::new(config), patience })
    }
}

/// Reads a certificate: PEM, or the Base64 of PEM or DER.
fn read_certificate(text: &str) -> Result<CertificateDer<'static>, String> {
    const NONE: &str = "CertificateAsBase64 holds no certificate; give PEM, or DER as Base64";
    if text.contains("-----BEGIN") {
        return CertificateDer::from_pem_slice(text.as_bytes()).map_err(|_| NONE.to_owned());
    }
    let compact: String = text.split_ascii_whitespace().collect();
    let bytes = STANDARD.decode(compact).map_err(|_| NONE.to_owned())?;
    match bytes.first() {
        Some(b'-') => CertificateDer::from_pem_slice(&bytes).map_err(|_| NONE.to_owned()),
        // Every certificate is a SEQUENCE: X.690, 8.9.
        Some(0x30) => Ok(CertificateDer::from(bytes)),
        _ => Err(NONE.to_owned()),
    }
}

/// Trusts the one certificate that the settings hold, whatever name it bears, or what it signed.
#[derive(Debug)]
struct Pinned {
    certificate: CertificateDer<'static>,
    /// Judges certificates that the pinned one signed; nothing where it cannot be an authority.
    authority: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl Pinned {
    fn new(certificate: CertificateDer<'static>, provider: &Arc<CryptoProvider>) -> Self {
        let mut roots = RootCertStore::empty();
        let authority = roots.add(certificate.clone()).ok().and_then(|()| {
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build().ok()
        });
        Self { certificate, authority, provider: Arc::clone(provider) }
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if end_entity.as_ref() == self.certificate.as_ref() {
            return Ok(ServerCertVerified::assertion());
        }
        match &self.authority {
            Some(authority) => {
                authority.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
            }
            None => Err(rustls::CertificateError::UnknownIssuer.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Protects the connections of one session.
#[derive(Debug)]
pub(super) struct Connector {
    config: Arc<ClientConfig>,
    patience: Duration,
}

impl TlsConnector for Connector {
    type Stream = Protected;

    fn connect(&self, domain: &str, mut socket: TcpStream) -> FtpResult<Self::Stream> {
        socket.set_read_timeout(Some(self.patience)).map_err(FtpError::ConnectionError)?;
        socket.set_write_timeout(Some(self.patience)).map_err(FtpError::ConnectionError)?;
        let secure = |error: &dyn std::fmt::Display| FtpError::SecureError(error.to_string());
        let name = ServerName::try_from(domain.to_owned()).map_err(|error| secure(&error))?;
        let mut connection =
            ClientConnection::new(Arc::clone(&self.config), name).map_err(|error| secure(&error))?;
        // Shaking hands now gives an error its own words, also where nothing will be sent: an empty object.
        connection.complete_io(&mut socket).map_err(|error| secure(&error))?;
        Ok(Protected { stream: StreamOwned::new(connection, socket), upload: false, open: true })
    }
}

/// A protected connection, for commands or for data.
#[derive(Debug)]
pub(super) struct Protected {
    stream: StreamOwned<ClientConnection, TcpStream>,
    upload: bool,
    open: bool,
}

impl Protected {
    /// Says that data is only sent: before the connection closes, what the server said is read, for the tickets in it
    /// are what the next data connection takes the session up with.
    pub(super) const fn is_upload(&mut self) {
        self.upload = true;
    }
}

impl TlsStream for Protected {
    type InnerStream = StreamOwned<ClientConnection, TcpStream>;

    fn tcp_stream(mut self) -> FtpResult<TcpStream> {
        self.open = false;
        self.stream.sock.try_clone().map_err(FtpError::ConnectionError)
    }

    fn get_ref(&self) -> &TcpStream {
        &self.stream.sock
    }

    fn mut_ref(&mut self) -> &mut Self::InnerStream {
        &mut self.stream
    }
}

impl Drop for Protected {
    fn drop(&mut self) {
        if !self.open {
            return;
        }
        // Whether this arrives, the reply on the control connection tells.
        self.stream.conn.send_close_notify();
        let _ = self.stream.flush();
        if !self.upload {
            return;
        }
        let _ = self.stream.sock.shutdown(Shutdown::Write);
        let _ = self.stream.sock.set_read_timeout(Some(GOODBYE));
        while matches!(self.stream.conn.read_tls(&mut self.stream.sock), Ok(count) if count > 0) {
            if self.stream.conn.process_new_packets().is_err() {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Trust, read_certificate};

    #[test]
    fn what_is_no_certificate_is_refused() {
        for text in ["x", "aGVsbG8=", "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----"] {
            assert!(read_certificate(text).is_err(), "{text}");
        }
        assert!(Trust::new(Some("nothing of the kind"), &[]).is_err());
    }
}
