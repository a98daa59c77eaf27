//! The socket that the API listens at.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsRawFd as _;

use tokio::net::{TcpListener, TcpSocket};

/// Listens at `address`. `[::]` takes IPv4 as well, and becomes `0.0.0.0` where the machine has no IPv6.
///
/// # Errors
/// The system's, of the address that was asked for.
pub(super) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    match listen_exactly(address) {
        Err(error) if address.is_ipv6() && address.ip().is_unspecified() && is_without_ipv6(&error) => {
            listen_exactly((Ipv4Addr::UNSPECIFIED, address.port()).into())
        }
        result => result,
    }
}

fn listen_exactly(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    if address.is_ipv6() && address.ip().is_unspecified() {
        open_to_ipv4(&socket)?;
    }
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// The default of `IPV6_V6ONLY` is the machine's to choose.
fn open_to_ipv4(socket: &TcpSocket) -> io::Result<()> {
    let off: libc::c_int = 0;
    let length = libc::socklen_t::try_from(size_of_val(&off)).map_err(io::Error::other)?;
    // SAFETY: the descriptor is the socket's, which outlives the call, and the option's value is an integer of the length that is told.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, (&raw const off).cast(), length) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The kernel was built or started without IPv6.
fn is_without_ipv6(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL | libc::EPROTONOSUPPORT))
}

const BACKLOG: u32 = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_interfaces_are_those_of_ipv4_as_well() {
        let listener = listen("[::]:0".parse().unwrap()).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (accepted, connected) = tokio::join!(listener.accept(), tokio::net::TcpStream::connect(("127.0.0.1", port)));
        assert!(accepted.is_ok() && connected.is_ok());
    }

    #[tokio::test]
    async fn a_port_that_is_taken_is_an_error() {
        let first = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        assert_eq!(listen(first.local_addr().unwrap()).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }
}
