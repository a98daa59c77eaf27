//! Scripts against a server on the loopback.
