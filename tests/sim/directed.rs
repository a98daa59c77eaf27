//! Lives that were thought out: each is about one thing.
