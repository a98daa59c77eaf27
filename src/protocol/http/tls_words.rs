//! What went wrong with TLS, for people: no name of a type, one sentence each.

use rustls::{AlertDescription, CertificateError, Error, PeerIncompatible};

/// `error` of a connection to `peer`, in words.
pub(super) fn spell(error: &Error, peer: &str) -> String {
    match error {
        Error::InvalidCertificate(reason) => of_certificate(reason, peer),
        Error::NoCertificatesPresented => format!("{peer} has shown no certificate"),
        Error::AlertReceived(alert) => format!("{peer} refused the TLS connection: {}", of_alert(*alert)),
        Error::PeerIncompatible(reason) => format!("{peer} and the load generator have no TLS in common: {}", of_incompatible(reason)),
        Error::NoApplicationProtocol => format!("{peer} does not speak what it was offered of HTTP/1.1 and HTTP/2"),
        Error::InvalidMessage(_) => format!("{peer} does not speak TLS"),
        Error::PeerMisbehaved(_) | Error::InappropriateMessage { .. } | Error::InappropriateHandshakeMessage { .. } => {
            format!("{peer} breaks the rules of TLS")
        }
        Error::DecryptError => format!("what {peer} sent over TLS cannot be decrypted"),
        Error::PeerSentOversizedRecord => format!("{peer} sent a TLS record larger than allowed"),
        Error::UnsupportedNameType => format!("the name of {peer} is none that TLS can ask for"),
        Error::EncryptError | Error::HandshakeNotComplete => format!("TLS with {peer} ended early"),
        Error::FailedToGetCurrentTime => "the load generator's clock cannot be read".to_owned(),
        Error::FailedToGetRandomBytes => "the load generator's machine gave no random numbers".to_owned(),
        Error::InconsistentKeys(_) => "the client certificate and its key do not belong together".to_owned(),
        Error::General(text) => format!("TLS with {peer} failed: {text}"),
        _ => format!("TLS with {peer} failed"),
    }
}

fn of_certificate(reason: &CertificateError, peer: &str) -> String {
    let what = match reason {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "has expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => "is not valid yet",
        CertificateError::UnknownIssuer => "comes from an unknown issuer",
        CertificateError::NotValidForNameContext { presented, .. } if presented.is_empty() => {
            "bears no name: only those of its field subjectAltName count"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => "is for another name",
        CertificateError::Revoked => "is revoked",
        CertificateError::BadEncoding => "cannot be read",
        CertificateError::BadSignature => "has a wrong signature",
        CertificateError::UnhandledCriticalExtension => "has a critical extension that is unknown here",
        CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => "is signed in a way that is too old or unknown",
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => "is not for servers",
        CertificateError::UnknownRevocationStatus
        | CertificateError::ExpiredRevocationList
        | CertificateError::ExpiredRevocationListContext { .. }
        | CertificateError::InvalidOcspResponse => "may be revoked: nobody can tell",
        CertificateError::Other(reason) => return of_chain(&reason.to_string(), peer),
        _ => "is refused",
    };
    format!("the certificate of {peer} {what}")
}

/// What the chain's checker says by names of its own.
fn of_chain(reason: &str, peer: &str) -> String {
    let what = match reason {
        "CaUsedAsEndEntity" => "is one of an authority, which no server may show unless it is trusted itself (--ca-file)",
        "EndEntityUsedAsCa" => "is signed by one that is no authority's",
        "PathLenConstraintViolated" => "has a chain longer than its authority allows",
        "NameConstraintViolation" => "is for a name that its authority may not vouch for",
        "MaximumPathBuildCallsExceeded" | "MaximumSignatureChecksExceeded" | "MaximumPathDepthExceeded" => "has a chain that is too long",
        _ => "is refused",
    };
    format!("the certificate of {peer} {what}")
}

fn of_incompatible(reason: &PeerIncompatible) -> &'static str {
    match reason {
        PeerIncompatible::ServerDoesNotSupportTls12Or13 | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig => {
            "it speaks neither TLS 1.2 nor TLS 1.3"
        }
        PeerIncompatible::NoCipherSuitesInCommon => "no cipher",
        PeerIncompatible::NoKxGroupsInCommon
        | PeerIncompatible::NamedGroupsExtensionRequired
        | PeerIncompatible::KeyShareExtensionRequired => "no way to exchange keys",
        PeerIncompatible::NoSignatureSchemesInCommon
        | PeerIncompatible::NoCertificateRequestSignatureSchemesInCommon
        | PeerIncompatible::SignatureAlgorithmsExtensionRequired => "no kind of signature",
        _ => "it lacks what TLS 1.2 and 1.3 need today",
    }
}

fn of_alert(alert: AlertDescription) -> String {
    let what = match alert {
        AlertDescription::CloseNotify | AlertDescription::UserCanceled => "it was closed",
        AlertDescription::UnexpectedMessage => "a message out of turn",
        AlertDescription::BadRecordMac | AlertDescription::DecryptionFailed | AlertDescription::DecryptError => {
            "it cannot decrypt or verify"
        }
        AlertDescription::RecordOverflow => "a record too large",
        AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity => {
            "nothing that both sides know, or it asks for a client certificate"
        }
        AlertDescription::NoCertificate | AlertDescription::CertificateRequired => "it asks for a client certificate",
        AlertDescription::BadCertificate | AlertDescription::UnsupportedCertificate | AlertDescription::CertificateUnknown => {
            "it does not accept the client certificate"
        }
        AlertDescription::CertificateRevoked => "the client certificate is revoked",
        AlertDescription::CertificateExpired => "the client certificate has expired",
        AlertDescription::UnknownCA => "it does not know the authority of the client certificate",
        AlertDescription::AccessDenied => "access denied",
        AlertDescription::IllegalParameter
        | AlertDescription::DecodeError
        | AlertDescription::MissingExtension
        | AlertDescription::UnsupportedExtension => "it cannot use what it was sent",
        AlertDescription::ProtocolVersion | AlertDescription::InappropriateFallback => "no version of TLS in common",
        AlertDescription::InternalError => "an error of its own",
        AlertDescription::UnrecognisedName => "it does not know the name",
        AlertDescription::NoApplicationProtocol => "it does not speak what it was offered of HTTP/1.1 and HTTP/2",
        other => return format!("alert {}", u8::from(other)),
    };
    what.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn issue_15_errors_of_tls_are_words_and_no_names_of_types() {
        let alerts = (0..=255_u8).map(|code| Error::AlertReceived(code.into()));
        let others = [
            Error::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13),
            Error::PeerIncompatible(PeerIncompatible::Tls12NotOffered),
            Error::PeerMisbehaved(rustls::PeerMisbehaved::TooMuchEarlyDataReceived),
            Error::InvalidCertificate(CertificateError::UnhandledCriticalExtension),
            Error::InvalidCertificate(CertificateError::InvalidPurpose),
            Error::NoCertificatesPresented,
            Error::DecryptError,
        ];
        for error in alerts.chain(others) {
            let text = spell(&error, "h:1");
            let is_name = |word: &str| {
                word.chars().skip(1).any(char::is_uppercase)
                    && !["TLS", "HTTP/1.1", "HTTP/2"].contains(&word.trim_matches(|c| ",:".contains(c)))
            };
            assert!(text.contains("h:1") && !text.split(' ').any(is_name) && !text.contains(['{', '(']), "{text}");
        }
    }
}
