//! Times that are measured over the whole run, not by entry: a row each, and [`Times`], which has a field for each row.
//!
//! Tally, codec, table, snapshot, thresholds, the list of metrics and the final report follow from the rows. Who measures one is the
//! recorder's caller.

/// What is known of a time besides its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Time {
    /// As thresholds and tables name it.
    pub metric: &'static str,
    /// What it is, on one line.
    pub meaning: &'static str,
    /// A condition that makes sense for it.
    pub example: &'static str,
    /// Its bit in the mask of a tally's parts, where other parts have theirs. A new row takes the next free one, whatever its place in the list.
    pub place: u32,
}

macro_rules! times {
    ($( $(#[$doc:meta])* $field:ident at $place:literal: $metric:literal, $meaning:literal, $example:literal; )*) => {
        /// Something for each time.
        #[derive(Debug, Clone, Default, PartialEq)]
        pub struct Times<T> {
            $( $(#[$doc])* pub $field: T, )*
        }

        /// All of them, in the order in which people read them; the generator's own comes last.
        pub const TIMES: [Time; [$($place),*].len()] =
            [$( Time { metric: $metric, meaning: $meaning, example: $example, place: $place }, )*];

        impl<T> Times<T> {
            /// Something for each time, made in the order of [`TIMES`].
            pub fn from_fn(mut make: impl FnMut() -> T) -> Self {
                Self { $( $field: make(), )* }
            }

            /// What `to` makes of each, which is told its metric.
            pub fn map<U>(&self, to: impl Fn(&'static str, &T) -> U) -> Times<U> {
                Times { $( $field: to($metric, &self.$field), )* }
            }

            /// In the order of [`TIMES`].
            pub fn each(&self) -> [&T; TIMES.len()] {
                [$( &self.$field, )*]
            }

            /// In the order of [`TIMES`].
            pub fn each_mut(&mut self) -> [&mut T; TIMES.len()] {
                [$( &mut self.$field, )*]
            }
        }
    };
}

times! {
    /// How long finished iterations took.
    iterations at 1: "iteration_duration", "how long iterations took, waits between them apart", "p(90) < 5s";
    /// Finished iterations from their due time on, where they had one.
    iterations_since_due at 12: "iteration_duration_due", "the same from the due time on, where iterations have one", "p(90) < 5s";
    /// How late iterations began that had a due time.
    lateness at 13: "iteration_lateness", "how long after their due time iterations began", "p(99) < 10ms";
    /// How late the lane's own timers were.
    lag at 6: "generator_lag", "how late the generator's own timers were", "p(99) < 10ms";
}
