//! TLS as master and workers speak it: version 1.3, raw public keys on both sides, one protocol name. Who is accepted is
//! for `identity`; what a failed handshake means is told here, because TLS says it by its alerts.

use std::sync::Arc;

use quinn::ConnectionError;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{AlwaysResolvesClientRawPublicKeys, Resumption};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, PeerIncompatible, ServerConfig, SignatureScheme};

use crate::cluster::identity::{Identities, Identity};

/// The master's side: presents the identity that the worker asks for, and accepts any of its own.
pub(super) fn master(identities: &Identities) -> QuicServerConfig {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("ring speaks TLS 1.3")
        .with_client_cert_verifier(Pinned::new(identities))
        .with_cert_resolver(Arc::new(Presented::new(identities)));
    config.alpn_protocols = vec![PROTOCOL_NAME.to_vec()];
    // A resumed session would let in a peer whose secret is no longer accepted.
    config.send_tls13_tickets = 0;
    QuicServerConfig::try_from(config).expect("ring has the cipher of QUIC's first packets")
}

/// A worker's side: presents this identity, and accepts any of its own.
pub(super) fn worker(presented: &Identity, accepted: &Identities) -> QuicClientConfig {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("ring speaks TLS 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Pinned::new(accepted))
        .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(presented.certified_key())));
    config.alpn_protocols = vec![PROTOCOL_NAME.to_vec()];
    config.resumption = Resumption::disabled();
    QuicClientConfig::try_from(config).expect("ring has the cipher of QUIC's first packets")
}

/// What the end of a connection says about the peer's secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    /// One side did not accept the other's key, or the other could not prove that the key is its own.
    Refused,
    /// TLS failed in a way that it cannot between a master and a worker.
    Foreign,
    /// The connection did not end over TLS.
    Untold,
}

/// Reads the alert off the end of a connection, whichever side raised it.
pub(super) fn proof(end: &ConnectionError) -> Proof {
    let code = match end {
        ConnectionError::TransportError(error) => u64::from(error.code),
        ConnectionError::ConnectionClosed(close) => u64::from(close.error_code),
        ConnectionError::VersionMismatch => return Proof::Foreign,
        _ => return Proof::Untold,
    };
    match code.checked_sub(CRYPTO_ERROR) {
        Some(ALERT_ACCESS_DENIED | ALERT_DECRYPT_ERROR | ALERT_CERTIFICATE_REQUIRED) => Proof::Refused,
        Some(0..=0xff) => Proof::Foreign,
        _ => Proof::Untold,
    }
}

/// Accepts the public keys of some identities, from whoever proves to hold their private half.
#[derive(Debug)]
pub(super) struct Pinned {
    accepted: Identities,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Pinned {
    pub(super) fn new(accepted: &Identities) -> Arc<Self> {
        Arc::new(Self { accepted: accepted.clone(), algorithms: provider().signature_verification_algorithms })
    }

    fn check_key(&self, key: &CertificateDer<'_>) -> Result<(), rustls::Error> {
        if self.accepted.accepts(key) {
            return Ok(());
        }
        // Becomes the alert `access_denied`, which nothing else raises.
        Err(rustls::Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
    }

    fn check_signature(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature_with_raw_key(message, &SubjectPublicKeyInfoDer::from(key.as_ref()), signature, &self.algorithms)
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.check_key(end_entity).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(PeerIncompatible::Tls12NotOffered.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.check_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

impl ClientCertVerifier for Pinned {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.check_key(end_entity).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(PeerIncompatible::Tls12NotOffered.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.check_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

/// Chooses the identity that the worker asks for by the server's name.
#[derive(Debug)]
struct Presented {
    current: Arc<CertifiedKey>,
    previous: Arc<CertifiedKey>,
}

impl Presented {
    fn new(identities: &Identities) -> Self {
        let current = identities.current.certified_key();
        let previous = identities.previous.as_ref().map_or_else(|| current.clone(), Identity::certified_key);
        Self { current, previous }
    }
}

impl ResolvesServerCert for Presented {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let is_previous_asked = hello.server_name() == Some(ASK_PREVIOUS);
        Some(if is_previous_asked { self.previous.clone() } else { self.current.clone() })
    }

    fn only_raw_public_keys(&self) -> bool {
        true
    }
}

/// Named explicitly: what provider the process has for its own HTTP client is no concern of ours.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// The name in TLS's protocol negotiation. The version stands in the preamble, which can answer in words.
pub(super) const PROTOCOL_NAME: &[u8] = b"lunamoth";
/// The server's name by which a worker asks the master to present its current identity.
pub(super) const ASK_CURRENT: &str = "current.lunamoth";
/// The one by which it asks for the identity before: the worker has not heard of a newer one.
pub(super) const ASK_PREVIOUS: &str = "previous.lunamoth";
/// Where QUIC's error codes for TLS alerts begin (RFC 9001, section 4.8).
const CRYPTO_ERROR: u64 = 0x100;
const ALERT_ACCESS_DENIED: u64 = 49;
/// A signature that does not fit the key.
const ALERT_DECRYPT_ERROR: u64 = 51;
const ALERT_CERTIFICATE_REQUIRED: u64 = 116;
