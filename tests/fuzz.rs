//! What comes from the network or a disk is read as if an enemy had sent it: no input makes a decoder panic or take much memory, and
//! whatever decodes is written and read again as the same.
//!
//! Inputs are the messages of `fuzz/golden.txt` and the cases of `fuzz/kept.txt`, cut, flipped, spliced and filled with lengths that
//! promise too much, and random bytes. All of it follows from a seed. `LUNAMOTH_FUZZ_INPUTS` says how many inputs are tried and
//! `LUNAMOTH_FUZZ_SEED` which; an input that breaks something is printed in the form of a line of `fuzz/kept.txt`, where it then stays.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use lunamoth::cluster::codec::{
    CodecError, decode_record, decode_to_master, decode_to_worker, decoded_bytes_max, encode_record, encode_to_master, encode_to_worker,
};
use lunamoth::cluster::message::ToMaster;
use lunamoth::stats::names::Limits;
use lunamoth::stats::table::{SnapshotContext, Table};
use lunamoth::stats::tally::Tally;

/// Inputs of a plain `cargo test`.
const INPUTS: u64 = 60_000;
const SEED: u64 = 0x6c75_6e61_6d6f_7468;

/// Longest input in bytes: long enough to hold any of the golden messages twice.
const LONGEST: usize = 8_192;

#[test]
fn no_input_breaks_a_decoder() {
    let inputs = setting("LUNAMOTH_FUZZ_INPUTS").unwrap_or(INPUTS);
    let seed = setting("LUNAMOTH_FUZZ_SEED").unwrap_or(SEED);
    let corpus: Vec<(Decoder, Vec<u8>)> =
        [include_str!("fuzz/golden.txt"), include_str!("fuzz/kept.txt")].into_iter().flat_map(lines).collect();
    assert!(corpus.len() > 20, "{} messages", corpus.len());
    let mut decoded = 0;
    for (decoder, bytes) in &corpus {
        decoded += u64::from(holds(*decoder, bytes));
    }
    assert!(decoded > 20, "only {decoded} messages of the corpus decode");
    let mut random = Random(seed);
    decoded = 0;
    for _ in 0..inputs {
        let (decoder, bytes) = random.input(&corpus);
        decoded += u64::from(holds(decoder, &bytes));
    }
    println!("{inputs} inputs of seed {seed}: {decoded} decoded");
    assert!(decoded > inputs / 100, "only {decoded} of {inputs} inputs decode: they do not reach far");
}

#[test]
fn a_length_that_promises_too_much_is_refused_before_it_is_allocated() {
    // A delta that promises 2^40 tallies, and one of a single tally that promises as many entries.
    for bytes in ["0300000001fd00000000000100000000", "030000000101000001fd0000000000010000"] {
        let (result, allocated) = allocated_by(|| decode_to_master(&unhex(bytes)));
        assert!(result.is_err(), "{bytes}");
        assert!(allocated < 10_000, "{bytes}: {allocated} bytes");
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decoder {
    ToWorker,
    ToMaster,
    Record,
}

/// Tries one input; answers whether it is a message.
fn holds(decoder: Decoder, bytes: &[u8]) -> bool {
    let tried = catch_unwind(AssertUnwindSafe(|| match decoder {
        Decoder::ToWorker => round(bytes, decode_to_worker, encode_to_worker),
        Decoder::ToMaster => {
            if let Ok(message) = decode_to_master(bytes) {
                merge(message);
            }
            round(bytes, decode_to_master, encode_to_master)
        }
        Decoder::Record => round(bytes, decode_record, encode_record),
    }));
    match tried {
        Ok(Ok(is_message)) => is_message,
        Ok(Err(breach)) => panic!("{breach}; keep it: {}", line(decoder, bytes)),
        Err(_) => panic!("it panicked; keep it: {}", line(decoder, bytes)),
    }
}

/// Decodes, and encodes and decodes again what came out.
fn round<T>(bytes: &[u8], decode: fn(&[u8]) -> Result<T, CodecError>, encode: fn(&T) -> Vec<u8>) -> Result<bool, String> {
    let (first, allocated) = allocated_by(|| decode(bytes));
    // Lists grow to powers of two in places, and what is thrown away counts too.
    let most = 2 * decoded_bytes_max(bytes.len());
    if allocated > most {
        return Err(format!("{allocated} bytes were allocated for {} bytes of input", bytes.len()));
    }
    let Ok(first) = first else { return Ok(false) };
    let encoded = encode(&first);
    let second = decode(&encoded).map_err(|error| format!("what was encoded does not decode: {error}"))?;
    // Equal messages have equal bytes, which is cheaper than a comparison of their debug texts.
    if encode(&second) == encoded { Ok(true) } else { Err("it does not come back as it was".into()) }
}

/// What decodes can be summed up and shown, however often it comes.
fn merge(message: ToMaster) {
    let mut tallies = match message {
        ToMaster::Delta { delta, .. } => delta.tallies.clone(),
        ToMaster::TotalPart { tally, .. } => vec![*tally],
        ToMaster::WindowParts(parts) => parts.tallies,
        _ => return,
    };
    let mut table = Table::new(Limits::default());
    let mut sum = Tally::default();
    for _ in 0..2 {
        for tally in &mut tallies {
            // A second far ahead is filled second by second, which takes its time.
            tally.second %= 100;
            table.merge(tally);
            table.merge_total(tally);
            sum.merge(tally.clone());
        }
    }
    table.merge(&sum);
    let snapshot = table.snapshot(SnapshotContext { elapsed: Duration::from_secs(101), ..SnapshotContext::default() });
    assert!(snapshot.total.percentile(0.5) <= snapshot.total.max);
}

/// A small generator of the SplitMix family: the same seed gives the same inputs everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// Below `bound`, which is not 0.
    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn input(&mut self, corpus: &[(Decoder, Vec<u8>)]) -> (Decoder, Vec<u8>) {
        let (decoder, bytes) = &corpus[self.below(corpus.len())];
        let mut bytes = bytes.clone();
        if self.below(16) == 0 {
            // Only the kind of the message stays.
            bytes.truncate(1);
            let length = self.below(64);
            bytes.extend(std::iter::repeat_with(|| self.next() as u8).take(length));
            return (*decoder, bytes);
        }
        for _ in 0..=self.below(4) {
            self.mutate(&mut bytes, corpus);
        }
        bytes.truncate(LONGEST);
        (*decoder, bytes)
    }

    fn mutate(&mut self, bytes: &mut Vec<u8>, corpus: &[(Decoder, Vec<u8>)]) {
        let place = self.below(bytes.len() + 1);
        let Some(byte) = bytes.get_mut(place) else {
            return bytes.push(self.next() as u8);
        };
        match self.below(8) {
            0 => *byte ^= 1 << self.below(8),
            1 => *byte = self.next() as u8,
            2 => *byte = byte.wrapping_add(1),
            3 => bytes.truncate(place),
            4 => {
                bytes.remove(place);
            }
            5 => {
                // A number of any size in place of a byte.
                let marker = 251 + self.below(5) as u8;
                let mut number = vec![marker];
                number.extend_from_slice(&(self.next() >> self.below(64)).to_le_bytes());
                number.truncate(1 + [2, 4, 8, 8, 8][usize::from(marker - 251)]);
                bytes.splice(place..=place, number);
            }
            6 => {
                // A piece of another message.
                let (_, other) = &corpus[self.below(corpus.len())];
                let begin = self.below(other.len());
                let end = begin + self.below(other.len() - begin + 1);
                bytes.splice(place..place, other[begin..end].iter().copied());
            }
            _ => {
                // A piece of its own comes again.
                let end = place + self.below(bytes.len() - place + 1);
                let piece = bytes[place..end].to_vec();
                bytes.splice(place..place, piece);
            }
        }
    }
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

fn lines(text: &str) -> impl Iterator<Item = (Decoder, Vec<u8>)> {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(|line| {
        let mut words = line.split(' ');
        let decoder = match words.next() {
            Some("to_worker") => Decoder::ToWorker,
            Some("to_master") => Decoder::ToMaster,
            Some("record") => Decoder::Record,
            other => panic!("{other:?} is no decoder"),
        };
        (decoder, unhex(words.nth(1).expect("a line has three words")))
    })
}

fn line(decoder: Decoder, bytes: &[u8]) -> String {
    let decoder = match decoder {
        Decoder::ToWorker => "to_worker",
        Decoder::ToMaster => "to_master",
        Decoder::Record => "record",
    };
    format!("{decoder} NAME {}", bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

fn unhex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2), "half a byte in {text}");
    (0..text.len()).step_by(2).map(|place| u8::from_str_radix(&text[place..place + 2], 16).expect("hexadecimal digits")).collect()
}

/// How many bytes this thread allocates meanwhile, freed ones included.
fn allocated_by<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = ALLOCATED.get();
    let result = work();
    (result, ALLOCATED.get() - before)
}

struct Counting;

// SAFETY: every call is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.set(ALLOCATED.get() + layout.size());
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

thread_local! {
    static ALLOCATED: Cell<usize> = const { Cell::new(0) };
}
