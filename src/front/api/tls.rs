//! TLS in front of the API: the certificate and its key from their files, read again when they change, and the handshake.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::server::TlsStream;

use super::error::ApiError;

/// Where certificate and key are, both as PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, and those that lead to its authority behind it.
    pub certificate: PathBuf,
    /// The key of the first certificate.
    pub key: PathBuf,
}

/// The configuration that connections take, and follows its files.
#[derive(Debug, Clone)]
pub(super) struct Certificates(watch::Receiver<Arc<ServerConfig>>);

impl Certificates {
    /// Reads the files, and reads them again every `interval` until nobody holds the certificates any more. What cannot be used then is told
    /// once and left alone, and the last that could stays.
    ///
    /// # Errors
    /// A file that cannot be read or used.
    pub fn follow(files: TlsFiles, interval: Duration) -> Result<Self, ApiError> {
        let mut texts = Texts::read(&files)?;
        let (sender, current) = watch::channel(texts.configure(&files)?);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = sender.closed() => return,
                    () = tokio::time::sleep(interval) => {}
                }
                let paths = files.clone();
                let Ok(read) = tokio::task::spawn_blocking(move || Texts::read(&paths)).await else { continue };
                // A file may be missing for a moment while it is replaced.
                let Ok(read) = read.inspect_err(|why| log::debug!("{why}")) else { continue };
                if read == texts {
                    continue;
                }
                texts = read;
                match texts.configure(&files) {
                    Ok(config) => {
                        log::info!("the web monitor takes its new certificate from `{}`", files.certificate.display());
                        sender.send_replace(config);
                    }
                    Err(why) => log::error!("the web monitor keeps its last certificate: {why}"),
                }
            }
        });
        Ok(Self(current))
    }

    /// Shakes hands. `None` where that comes to nothing; whoever spoke plain HTTP has been told.
    pub async fn shake_hands(&self, mut stream: TcpStream, limit: Duration) -> Option<TlsStream<TcpStream>> {
        let config = self.0.borrow().clone();
        let shake = async {
            let mut first = [0];
            if stream.peek(&mut first).await.ok()? > 0 && first[0].is_ascii_uppercase() {
                explain(&mut stream).await;
                return None;
            }
            let accepted = tokio_rustls::TlsAcceptor::from(config).accept(stream).await;
            accepted.inspect_err(|why| log::debug!("no TLS with a client of the web monitor: {why}")).ok()
        };
        tokio::time::timeout(limit, shake).await.ok().flatten()
    }
}

/// What stood in the two files.
#[derive(PartialEq, Eq)]
struct Texts {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Texts {
    fn read(files: &TlsFiles) -> Result<Self, ApiError> {
        let read = |path: &PathBuf| std::fs::read(path).map_err(|why| unusable(path, why.to_string()));
        Ok(Self { certificate: read(&files.certificate)?, key: read(&files.key)? })
    }

    fn configure(&self, files: &TlsFiles) -> Result<Arc<ServerConfig>, ApiError> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&self.certificate).collect();
        let chain = chain.map_err(|why| unusable(&files.certificate, format!("bad PEM: {why}")))?;
        if chain.is_empty() {
            return Err(unusable(&files.certificate, "no certificate in its PEM text".to_owned()));
        }
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|why| unusable(&files.key, format!("no private key: {why}")))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|why| unusable(&files.certificate, why.to_string()))?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|why| unusable(&files.certificate, format!("it and `{}` do not go together: {why}", files.key.display())))?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

fn unusable(path: &std::path::Path, problem: String) -> ApiError {
    ApiError::Tls { path: path.to_owned(), problem }
}

/// Tells a client of plain HTTP where it is. What it sends is read for a while, so that it is not cut off before it has read the answer.
async fn explain(stream: &mut TcpStream) {
    let length = PLAIN_WORDS.len();
    let answer = format!(
        "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {length}\r\n\r\n{PLAIN_WORDS}"
    );
    if stream.write_all(answer.as_bytes()).await.is_err() || stream.shutdown().await.is_err() {
        return;
    }
    let mut rest = [0; 4_096];
    for _ in 0..16 {
        if !matches!(stream.read(&mut rest).await, Ok(1..)) {
            return;
        }
    }
}

const PLAIN_WORDS: &str = "this port speaks HTTPS: ask with https://\n";

/// How often the files are looked at.
pub(super) const RELOAD: Duration = Duration::from_secs(5);
