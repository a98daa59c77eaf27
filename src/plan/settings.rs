//! The settings that travel in the plan, a row each, and [`RunSettings`], which has a field for each row.
//!
//! A row says all there is to know of a setting: what it is called, its type and default, and how it is typed and read. Whoever needs
//! something of every row expands [`run_settings`] with a macro of its own: `config` for flags, variables and keys, the codec for bytes.
//! What stays on the machine where it was said is in `config/rows.rs`, in the same form.

use std::time::Duration;

/// Gives all rows to the macro `$of`, behind the tokens `$head`.
///
/// ```text
/// /// The help of its flag.
/// Name(key): Type = default => (Group, Kind(reader), "VALUE", "an example" [, short: Some('c')] ...);
/// ```
///
/// `Group`, `Kind` and what may follow are `config`'s; the reader is a path or a closure there, from a text to the type.
macro_rules! run_settings {
    ($of:ident $($head:tt)*) => {
        $of! { $($head)*
            /// For a whole request, to the last byte of its answer [default: 30s]
            Timeout(timeout): Duration = Duration::from_secs(30) => (Http, Amount(values::positive_duration), "TIME", "30s");
            /// For name look-up, connect and TLS together [default: 10s]
            ConnectTimeout(connect_timeout): Duration = Duration::from_secs(10) => (Http, Amount(values::positive_duration), "TIME", "10s");
            /// How many redirects one request follows [default: 10]
            Redirects(redirects): u32 = 10 => (Http, Amount(values::any_number), "N", "10");
            /// The largest body, decoded [default: 64MiB]
            BodyLimit(body_limit): u64 = 64 << 20 => (Http, Amount(values::byte_count), "SIZE", "64MiB");
            /// Accept any certificate that a server shows
            InsecureTls(insecure_tls): bool = false => (Http, Switch(values::switch), "BOOL", "true");
            /// cached: addresses are kept for their time to live; fresh: asked for each new connection [default: cached]
            Dns(dns): DnsMode = DnsMode::Cached => (HttpWays, Text(|text| values::word(text, DnsMode::WORDS)), "MODE", "fresh");
            /// Honour HTTP_PROXY, HTTPS_PROXY and NO_PROXY
            ProxyFromEnv(proxy_from_env): bool = false => (HttpWays, Switch(values::switch), "BOOL", "true");
            /// What is measured in this time at the start is shown apart and judged by nothing: whole seconds [default: the scenario's, else 0s]
            Warmup(warmup): Option<Duration> = None => (Limits, Amount(values::whole_seconds), "TIME", "30s");
            /// How long requests in flight may take once the run stops [default: 10s]
            StopTimeout(stop_timeout): Duration = Duration::from_secs(10) =>
                (Limits, Amount(values::parse_duration), "TIME", "10s", short: Some('s'));
            /// Do not pause a user whose iteration failed
            NoErrorBackoff(no_error_backoff): bool = false => (Limits, Switch(values::switch), "BOOL", "true");
            /// Keep numbers and UUIDs in the names of requests
            RawNames(raw_names): bool = false => (Limits, Switch(values::switch), "BOOL", "true");
            /// How many names are counted apart; the rest is counted as (other) [default: 2000]
            Names(names): usize = 2000 => (Limits, Amount(values::positive_count), "N", "2000");
        }
    };
}

pub(crate) use run_settings;

macro_rules! fields {
    ($( $(#[doc = $help:literal])+ $setting:ident($name:ident): $type:ty = $default:expr => $row:tt; )*) => {
        /// What the settings say of the whole run, on every machine.
        #[derive(Debug, Clone, PartialEq)]
        pub struct RunSettings {
            $( #[doc = concat!("```text\n", $($help,)+ "\n```")] pub $name: $type, )*
        }

        impl Default for RunSettings {
            fn default() -> Self {
                Self { $( $name: $default, )* }
            }
        }
    };
}

run_settings! { fields }

/// How names of hosts are looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DnsMode {
    /// Kept for their time to live.
    Cached,
    /// For each new connection.
    Fresh,
}

impl Words for DnsMode {
    const WORDS: &[(&str, Self)] = &[("cached", Self::Cached), ("fresh", Self::Fresh)];
}

/// A setting that is one word of a closed list, and travels as that word.
pub trait Words: Copy + PartialEq + 'static {
    /// Every value with its word.
    const WORDS: &[(&str, Self)];
}
