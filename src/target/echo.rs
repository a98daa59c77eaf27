//! The echo: a target that answers each request at once with the same few bytes, to one connection from this machine. What a request to it takes is its
//! client's own doing.
//!
//! It listens on loopback alone, and no longer than until its client has come.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;

/// A running echo. Dropping it ends its thread.
#[derive(Debug)]
pub struct Echo {
    address: SocketAddr,
    thread: Option<JoinHandle<()>>,
}

impl Echo {
    /// Waits for its client on a free port.
    ///
    /// # Errors
    /// The system has no port or thread to give.
    pub fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let thread = std::thread::Builder::new().name("echo".to_owned()).spawn(move || {
            // The client sees by itself that there is no answer.
            let _ended = serve(listener);
        })?;
        Ok(Self { address, thread: Some(thread) })
    }

    /// Where clients reach it, without a path.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        // Where no client has come, this one ends the wait at once; where one has, nobody listens any more.
        let _gone = TcpStream::connect_timeout(&self.address, PATIENCE);
        if let Some(thread) = self.thread.take() {
            // It has no work but its client's, and waits for that no longer than its patience.
            let _ended = thread.join();
        }
    }
}

fn serve(listener: TcpListener) -> io::Result<()> {
    let (mut client, _) = listener.accept()?;
    drop(listener);
    client.set_nodelay(true)?;
    client.set_read_timeout(Some(PATIENCE))?;
    client.set_write_timeout(Some(PATIENCE))?;
    let (mut buffer, mut length) = ([0; 4_096], 0);
    loop {
        match client.read(&mut buffer[length..])? {
            0 => return Ok(()),
            more => length += more,
        }
        if buffer[..length].ends_with(b"\r\n\r\n") {
            client.write_all(ANSWER)?;
            length = 0;
        } else if length == buffer.len() {
            return Ok(());
        }
    }
}

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";

/// Nobody is waited for any longer.
const PATIENCE: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_answers_one_client_as_often_as_it_asks_and_nobody_else() {
        let echo = Echo::start().unwrap();
        let mut client = TcpStream::connect(echo.address).unwrap();
        for _ in 0..3 {
            client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
            let mut answer = [0; ANSWER.len()];
            client.read_exact(&mut answer).unwrap();
            assert_eq!(answer, ANSWER);
        }
        assert!(TcpStream::connect(echo.address).is_err(), "nobody listens any more");
    }

    #[test]
    fn one_that_nobody_asks_ends_when_it_is_dropped() {
        let begin = std::time::Instant::now();
        drop(Echo::start().unwrap());
        assert!(begin.elapsed() < 4 * PATIENCE);
    }
}
