//! The phases of a hop, a row each: what is measured, the metric that it is, and what people read of it.
//!
//! Recorder, tally, codec, table, thresholds, the list of metrics, `check` and all that shows snapshots follow from the rows. Who measures
//! a phase is the protocol's binding, which fills [`Phases`]; a protocol of its own adds its rows.

use std::time::Duration;

/// What is known of a phase besides its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Phase {
    /// As thresholds and tables name it.
    pub metric: &'static str,
    /// What it is, on one line.
    pub meaning: &'static str,
    /// A condition that makes sense for it.
    pub example: &'static str,
    /// Its bit in the masks of the wire and the journal. A new row takes the next free one, whatever its place in the list.
    pub place: u32,
}

macro_rules! phases {
    ($( $(#[$doc:meta])* $field:ident at $place:literal: $metric:literal, $word:literal, $meaning:literal, $example:literal; )*) => {
        /// The parts of one hop. `None` means that the part did not take place, such as a connect on a reused connection.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct Phases {
            $( $(#[$doc])* pub $field: Option<Duration>, )*
        }

        /// All phases in the order in which people read them. The last one is sending, waiting and receiving together.
        pub const PHASES: [Phase; [$($place),*].len() + 1] = [
            $( Phase { metric: $metric, meaning: $meaning, example: $example, place: $place }, )*
            EXCHANGE,
        ];

        /// The phases in the order of [`PHASES`].
        #[inline]
        #[must_use]
        pub fn parts_of(phases: &Phases) -> [Option<Duration>; PHASES.len()] {
            [$( phases.$field, )* phases.exchange()]
        }

        impl Phases {
            /// What was measured, each under a word for people.
            #[must_use]
            pub fn words(&self) -> [(&'static str, Option<Duration>); PHASES.len() - 1] {
                [$( ($word, self.$field), )*]
            }
        }
    };
}

phases! {
    /// Waiting for a free connection, and all else before the first byte is sent that is no other phase.
    blocked at 0: "http_req_blocked", "blocked", "before the first byte is sent, and no other phase", "max < 50ms";
    /// Looking a name up at a name server.
    dns at 1: "http_req_dns", "dns", "name look-up", "max < 100ms";
    /// The handshake of a TCP connection.
    connecting at 2: "http_req_connecting", "connect", "TCP connect", "p(95) < 50ms";
    /// The handshake of TLS, after TCP's.
    tls_handshaking at 3: "http_req_tls_handshaking", "tls", "TLS handshake", "p(95) < 100ms or no data";
    /// From the first to the last byte of the request.
    sending at 4: "http_req_sending", "send", "the first to the last byte of the request", "avg < 5ms";
    /// From the last byte of the request to the first of the answer (HTTP/2: to its head).
    waiting at 5: "http_req_waiting", "wait", "the request's last byte to the answer's first", "p(95) < 150ms";
    /// From the first to the last byte of the answer.
    receiving at 6: "http_req_receiving", "receive", "the first to the last byte of the answer", "avg < 20ms";
}

const EXCHANGE: Phase = Phase {
    metric: "http_req_exchange",
    meaning: "sending, waiting and receiving together; what k6 calls duration",
    example: "p(95) < 180ms",
    place: 7,
};

impl Phases {
    /// It took place if one of its parts did.
    #[inline]
    fn exchange(&self) -> Option<Duration> {
        match [self.sending, self.waiting, self.receiving] {
            // As nearly always, and in fewer instructions.
            [Some(sending), Some(waiting), Some(receiving)] => Some(sending + waiting + receiving),
            parts => parts.iter().any(Option::is_some).then(|| parts.into_iter().flatten().sum()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_phase_has_a_bit_and_a_name_of_its_own() {
        let places: BTreeSet<u32> = PHASES.iter().map(|phase| phase.place).collect();
        let names: BTreeSet<&str> = PHASES.iter().map(|phase| phase.metric).collect();
        assert_eq!((places.len(), names.len()), (PHASES.len(), PHASES.len()));
        assert_eq!(places.last(), Some(&(PHASES.len() as u32 - 1)), "bits follow on each other");
    }

    #[test]
    fn the_exchange_is_the_sum_of_what_took_place_of_it() {
        let millis = |millis| Some(Duration::from_millis(millis));
        assert_eq!(Phases { dns: millis(3), ..Phases::default() }.exchange(), None);
        assert_eq!(Phases { sending: millis(1), receiving: millis(2), dns: millis(3), ..Phases::default() }.exchange(), millis(3));
    }
}
