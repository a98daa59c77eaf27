//! The bytes of messages and records: what travels between machines, and what the journal keeps.
//!
//! Owns the layout and every check of what comes from elsewhere. The layout is not self-describing: both sides have agreed on one
//! version before (the connection's preamble, the journal's header), and `tests/fuzz/golden.txt` holds each message's bytes, so that a
//! change of layout cannot go unseen. Who cuts the stream into messages is the transport's.
//!
//! Numbers are `bincode`'s varints in its standard configuration with a limit. Durations are nanoseconds; strings, lists and maps begin
//! with their length; what is mostly zero stands behind a mask and takes no byte. What decodes can be merged and shown without an
//! overflow: counts are below 2^53, numbers finite, seconds within a year, lists ordered where their type promises it.
//!
//! Decoding allocates at most [`decoded_bytes_max`] bytes for a message, claimed before they are allocated.

mod acts;
#[cfg(test)]
mod any;
mod deltas;
mod errands;
mod error;
mod leases;
mod messages;
mod numbers;
mod plan;
mod primitives;
mod profiles;
mod records;
#[cfg(test)]
mod samples;
mod slots;
mod tallies;

use super::message::{ToMaster, ToWorker};
use super::record::Record;
pub use error::CodecError;
use primitives::{Input, Output, Wire};
pub use primitives::{RECORD_BYTES, decoded_bytes_max};

/// The bytes of a message to a worker.
#[must_use]
pub fn encode_to_worker(message: &ToWorker) -> Vec<u8> {
    encode(message)
}

/// The message to a worker that `bytes` are.
///
/// # Errors
/// Whatever the encoder would not have written; bytes left over; more than [`MESSAGE_BYTES`].
pub fn decode_to_worker(bytes: &[u8]) -> Result<ToWorker, CodecError> {
    decode(bytes, MESSAGE_BYTES)
}

/// The bytes of a message to the master.
#[must_use]
pub fn encode_to_master(message: &ToMaster) -> Vec<u8> {
    encode(message)
}

/// The message to the master that `bytes` are.
///
/// # Errors
/// As [`decode_to_worker`].
pub fn decode_to_master(bytes: &[u8]) -> Result<ToMaster, CodecError> {
    decode(bytes, MESSAGE_BYTES)
}

/// The bytes of a record of the journal.
#[must_use]
pub fn encode_record(record: &Record) -> Vec<u8> {
    encode(record)
}

/// The record that `bytes` are.
///
/// # Errors
/// As [`decode_to_worker`], with [`RECORD_BYTES`] for the length.
pub fn decode_record(bytes: &[u8]) -> Result<Record, CodecError> {
    decode(bytes, RECORD_BYTES)
}

/// A message is no longer than this; a longer total is sent in parts.
pub const MESSAGE_BYTES: usize = 16 << 20;

fn encode(message: &impl Wire) -> Vec<u8> {
    let mut out = Output::new();
    message.put(&mut out);
    out.into_bytes()
}

fn decode<T: Wire>(bytes: &[u8], longest: usize) -> Result<T, CodecError> {
    if bytes.len() > longest {
        return Err(CodecError::TooLarge);
    }
    let mut input = Input::new(bytes)?;
    let message = T::take(&mut input)?;
    match input.left() {
        0 => Ok(message),
        bytes => Err(CodecError::LeftOver { bytes }),
    }
}

#[cfg(test)]
mod tests {
    use super::samples;
    use super::*;
    use proptest::prelude::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn the_bytes_of_each_message_are_as_written_down() {
        let mut text = String::from(samples::GOLDEN_HEAD);
        for (name, message) in samples::to_worker() {
            text += &format!("to_worker {name} {}\n", hex(&encode_to_worker(&message)));
        }
        for (name, message) in samples::to_master() {
            text += &format!("to_master {name} {}\n", hex(&encode_to_master(&message)));
        }
        for (name, record) in samples::records() {
            text += &format!("record {name} {}\n", hex(&encode_record(&record)));
        }
        let golden = include_str!("../../tests/fuzz/golden.txt");
        assert!(text == golden, "the layout has changed: raise the version of preamble and journal, and let golden.txt be:\n{text}");
    }

    #[test]
    fn every_sample_comes_back_as_it_was() {
        for (name, message) in samples::to_worker() {
            assert_eq!(
                format!("{:?}", decode_to_worker(&encode_to_worker(&message))),
                format!("{:?}", Ok::<_, CodecError>(message)),
                "{name}"
            );
        }
        for (name, message) in samples::to_master() {
            assert_eq!(
                format!("{:?}", decode_to_master(&encode_to_master(&message))),
                format!("{:?}", Ok::<_, CodecError>(message)),
                "{name}"
            );
        }
        for (name, record) in samples::records() {
            assert_eq!(decode_record(&encode_record(&record)), Ok(record), "{name}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_tally_comes_back_as_it_was(tallies in prop::collection::vec(any::tally(), 0..4), users in 0..1_u64 << 53) {
            let delta = crate::cluster::message::Delta { tallies, users, ..samples::delta() };
            let sent = std::time::Duration::from_nanos(users);
            let bytes = encode_to_master(&ToMaster::Delta { sent, delta: std::sync::Arc::new(delta.clone()) });
            let Ok(ToMaster::Delta { sent: back_sent, delta: back }) = decode_to_master(&bytes) else { panic!("{:?}", decode_to_master(&bytes)) };
            prop_assert_eq!((back_sent, &*back), (sent, &delta));
        }

        #[test]
        fn any_plan_comes_back_as_it_was(plan in any::any_plan()) {
            let record = Record::Run { plan: plan.into(), wall: std::time::SystemTime::UNIX_EPOCH };
            prop_assert_eq!(decode_record(&encode_record(&record)), Ok(record));
        }

        #[test]
        fn any_set_of_slots_comes_back_as_it_was(slots in any::slots(), moved in any::slots(), generation in 0..1_u64 << 53) {
            let orders = samples::orders(slots, moved, generation);
            let bytes = encode_to_worker(&ToWorker::Orders(orders.clone()));
            prop_assert!(bytes.len() < 3 * 8_192);
            let Ok(ToWorker::Orders(back)) = decode_to_worker(&bytes) else { panic!("{:?}", decode_to_worker(&bytes)) };
            prop_assert_eq!(back, orders);
        }

        #[test]
        fn any_history_comes_back_as_it_was(points in prop::collection::vec(any::point(), 0..20)) {
            let record = Record::History(points);
            prop_assert_eq!(decode_record(&encode_record(&record)), Ok(record));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_tally_in_parts_is_the_same_and_each_part_is_short(tally in any::tally(), bytes in 1_000..30_000_usize) {
            let (mut merged, mut rest) = (crate::stats::tally::Tally::default(), tally.clone());
            while !rest.is_empty() {
                let part = rest.take_part(bytes);
                let names = part.entries.len() + part.errors.len() + part.checks.len() + part.groups.len() + part.metrics.len();
                let message = ToMaster::TotalPart { run: Default::default(), number: 0, tally: Box::new(part.clone()) };
                prop_assert!(names <= 1 || encode_to_master(&message).len() <= bytes + 16);
                merged.merge(part);
            }
            prop_assert_eq!(merged, tally);
        }
    }

    #[test]
    fn a_message_that_is_cut_anywhere_or_too_long_is_refused() {
        for (name, message) in samples::to_master() {
            let mut bytes = encode_to_master(&message);
            for length in 0..bytes.len() {
                assert!(decode_to_master(&bytes[..length]).is_err(), "{name} at {length}");
            }
            bytes.push(0);
            assert_eq!(decode_to_master(&bytes).unwrap_err(), CodecError::LeftOver { bytes: 1 }, "{name}");
        }
        assert_eq!(decode_to_master(&vec![0; MESSAGE_BYTES + 1]).unwrap_err(), CodecError::TooLarge);
    }

    #[test]
    fn what_cannot_be_merged_is_not_sent() {
        let mut sums = crate::stats::metric::Metric::Counter(f64::INFINITY);
        let mut tally = crate::stats::tally::Tally { second: u64::MAX, users: u64::MAX, ..Default::default() };
        tally.metrics.insert("sum".into(), sums.clone());
        tally.warnings = (0..100).map(|number| number.to_string().into()).collect();
        let Ok(ToMaster::TotalPart { tally, .. }) =
            decode_to_master(&encode_to_master(&ToMaster::TotalPart { run: Default::default(), number: 0, tally: Box::new(tally) }))
        else {
            panic!("a tally of extremes is refused")
        };
        sums = crate::stats::metric::Metric::Counter(f64::MAX);
        assert_eq!((tally.users, tally.second, &tally.metrics[0]), ((1 << 53) - 1, 366 * 86_400, &sums));
        assert_eq!(tally.warnings.len(), 64);
    }

    /// Prints what an entry costs. In release mode: `cargo test --release --lib codec -- --ignored --nocapture`.
    #[test]
    #[ignore = "it measures"]
    fn cost_of_an_entry() {
        for requests in [20, 200] {
            let tally = samples::busy(200, requests);
            let delta = ToMaster::Delta {
                sent: std::time::Duration::from_secs(1),
                delta: crate::cluster::message::Delta { tallies: vec![tally.clone()], ..samples::delta() }.into(),
            };
            let bytes = encode_to_master(&delta);
            let rounds = 500_u32;
            let per_entry = |begin: std::time::Instant| begin.elapsed() / rounds / 200;
            let begin = std::time::Instant::now();
            let encoded: usize = (0..rounds).map(|_| encode_to_master(&delta).len()).sum();
            let encoding = per_entry(begin);
            let begin = std::time::Instant::now();
            let decoded = (0..rounds).filter(|_| decode_to_master(&bytes).is_ok()).count();
            let decoding = per_entry(begin);
            let mut table = crate::stats::table::Table::new(Default::default());
            let begin = std::time::Instant::now();
            (0..rounds).for_each(|_| table.merge(&tally));
            let merging = per_entry(begin);
            println!(
                "{requests} requests an entry: {} bytes, encode {encoding:?}, decode {decoding:?}, merge {merging:?} ({encoded} {decoded})",
                bytes.len() / 200
            );
        }
    }

    #[test]
    fn an_entry_of_twenty_requests_takes_less_than_two_hundred_bytes() {
        let tally = samples::busy(200, 20);
        let message = ToMaster::TotalPart { run: Default::default(), number: 0, tally: Box::new(tally) };
        let bytes = encode_to_master(&message).len() / 200;
        assert!(bytes < 200, "{bytes} bytes");
    }
}
