//! TLS: trusted roots, client certificates and the handshake. Its errors get their words in `tls_words`; a certificate that is trusted by itself
//! is `tls_trust`'s.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::classify::{Failure, FailureKind, kind_of};
use super::exchange::Offer;
use super::settings::Settings;
use super::tls_trust::TrustNamed;

/// The TLS configuration of a lane, whose sessions are resumed across its users; and of whatever else of this program speaks TLS as a
/// client, so that all trust the same authorities: the system's, or built-in ones where it has none, as in an image `FROM scratch`.
///
/// # Errors
/// A text for people that names the setting at fault.
pub fn configure(settings: &Settings) -> Result<Arc<ClientConfig>, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be set up: {error}"))?;
    let builder = if settings.insecure_tls {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(AcceptAny(provider)))
    } else {
        let named = match &settings.extra_roots {
            Some(pem) => certificates(pem, "the extra certificate authorities (--ca-file)")?,
            None => Vec::new(),
        };
        let usual = WebPkiServerVerifier::builder_with_provider(roots(&named)?, provider)
            .build()
            .map_err(|error| format!("the certificate authorities cannot be used: {error}"))?;
        if named.is_empty() {
            builder.with_webpki_verifier(usual)
        } else {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(TrustNamed { usual, named }))
        }
    };
    let mut config = match &settings.client_identity {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => {
            let chain = certificates(chain, "the client certificate")?;
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
                .map_err(|error| format!("no private key in the client key's PEM text: {error}"))?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| format!("the client certificate and its key cannot be used: {error}"))?
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// `config` for servers that are offered one protocol alone; sessions are shared.
pub(super) fn offering(config: &Arc<ClientConfig>, protocol: &[u8]) -> Arc<ClientConfig> {
    let mut config = ClientConfig::clone(config);
    config.alpn_protocols = vec![protocol.to_vec()];
    Arc::new(config)
}

/// Shakes hands with `host` over `tcp`, by a configuration for `offer`.
pub(super) async fn handshake(
    config: &Arc<ClientConfig>,
    tcp: TcpStream,
    host: &str,
    peer: &str,
    offer: Offer,
) -> Result<TlsStream<TcpStream>, Failure> {
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| Failure::new(FailureKind::Tls, format!("`{host}` is no name that a certificate can bear")))?;
    let connector = tokio_rustls::TlsConnector::from(Arc::clone(config));
    connector.connect(name, tcp).await.map_err(|error| {
        let is_disagreement = rustls_error(&error)
            .is_some_and(|error| matches!(error, rustls::Error::AlertReceived(rustls::AlertDescription::NoApplicationProtocol)));
        if is_disagreement && offer == Offer::Http2 { Failure::not_http2(peer, " over TLS") } else { handshake_failure(&error, peer) }
    })
}

fn rustls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>())
}

fn handshake_failure(error: &io::Error, peer: &str) -> Failure {
    if let Some(tls) = rustls_error(error) {
        return Failure::tls(tls, peer);
    }
    match kind_of(error) {
        FailureKind::Local | FailureKind::Unreachable => Failure::during_exchange(error, peer),
        _ => Failure::new(FailureKind::Tls, format!("connection closed by {peer} during the TLS handshake")),
    }
}

/// The system's roots, else built-in ones; `extra` besides.
fn roots(extra: &[CertificateDer<'static>]) -> Result<Arc<RootCertStore>, String> {
    let mut store = usual_roots();
    for certificate in extra {
        Arc::make_mut(&mut store)
            .add(certificate.clone())
            .map_err(|error| format!("a certificate among the extra certificate authorities cannot be used: {error}"))?;
    }
    Ok(store)
}

/// The system's roots, else built-in ones. They are hundreds of files, and all lanes that open together want them: what was read lately is had again.
fn usual_roots() -> Arc<RootCertStore> {
    static READ: Mutex<Option<(Instant, Arc<RootCertStore>)>> = Mutex::new(None);
    // Whoever panicked there has left it as it was.
    let mut read = READ.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((at, store)) = &*read
        && at.elapsed() < ROOTS_ARE_FRESH
    {
        return Arc::clone(store);
    }
    let mut store = RootCertStore::empty();
    // Certificates that cannot be read are left out, as every other client does: some systems carry a few.
    store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if store.is_empty() {
        store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    let store = Arc::new(store);
    *read = Some((Instant::now(), Arc::clone(&store)));
    store
}

/// A run that begins later reads anew what the system trusts by then.
const ROOTS_ARE_FRESH: Duration = Duration::from_secs(10);

fn certificates(pem: &str, what: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match found {
        Ok(found) if found.is_empty() => Err(format!("no certificate in the PEM text of {what}")),
        Ok(found) => Ok(found),
        Err(error) => Err(format!("bad PEM text of {what}: {error}")),
    }
}

/// Takes every certificate; the handshake's signatures are still checked, so a broken server is still seen.
#[derive(Debug)]
struct AcceptAny(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
