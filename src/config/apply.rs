//! How each setting's texts become its field. The list of fields is in `settings`, the readers of values in `values`.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use super::address::{BindAddress, MasterAddress};
use super::setting::Setting;
use super::settings::Settings;
use super::values;
use super::words::{DnsMode, LogFormat, LogLevel, OnTerm, OrphanMode, ReloadMode};

impl Settings {
    /// Takes one setting's texts over. The error is the problem alone.
    pub(super) fn apply(&mut self, setting: Setting, texts: &[String]) -> Result<(), String> {
        // Of a flag that was typed twice the last one counts, as is usual; lists take all.
        let text = texts.last().map_or("", String::as_str);
        if let Some(place) = self.path_of(setting) {
            *place = Some(path(text)?);
            return Ok(());
        }
        match setting {
            Setting::Users => self.users = Some(whole_u32(text, 1)?),
            Setting::SpawnRate => self.spawn_rate = Some(values::rate(text)?),
            Setting::RunTime => self.run_time = Some(values::positive_duration(text)?),
            Setting::Rate => self.rate = Some(values::arrival_rate(text)?),
            Setting::Scale => self.scale = values::factor(text)?,
            Setting::Host => self.host = Some(values::host(text)?),
            Setting::Tags => self.tags = values::tags(texts)?,
            Setting::ExcludeTags => self.exclude_tags = values::tags(texts)?,
            Setting::Seed => self.seed = Some(values::whole(text, 0, u64::MAX)?),
            Setting::Set => {
                for pair in texts {
                    self.set.extend([values::pair(pair)?]);
                }
            }
            Setting::Timeout => self.timeout = values::positive_duration(text)?,
            Setting::ConnectTimeout => self.connect_timeout = values::positive_duration(text)?,
            Setting::Redirects => self.redirects = whole_u32(text, 0)?,
            Setting::BodyLimit => self.body_limit = values::byte_count(text)?,
            Setting::InsecureTls => self.insecure_tls = values::switch(text)?,
            Setting::Dns => self.dns = values::word(text, &DnsMode::WORDS)?,
            Setting::ProxyFromEnv => self.proxy_from_env = values::switch(text)?,
            Setting::RawNames => self.raw_names = values::switch(text)?,
            Setting::NoErrorBackoff => self.no_error_backoff = values::switch(text)?,
            Setting::StopTimeout => self.stop_timeout = values::parse_duration(text)?,
            Setting::Names => self.names = whole_u32(text, 1)? as usize,
            Setting::Lanes => self.lanes = Some(values::whole(text, 1, 1024)? as usize),
            Setting::Headless => self.headless = values::switch(text)?,
            Setting::PrintInterval => self.print_interval = values::positive_duration(text)?,
            Setting::ExitCodeOnError => self.judging.exit_code_on_error = values::whole(text, 0, 255)? as u8,
            Setting::Strict => self.judging.strict = values::switch(text)?,
            Setting::Log => self.log = values::word(text, &LogFormat::WORDS)?,
            Setting::LogLevel => self.log_level = values::word(text, &LogLevel::WORDS)?,
            Setting::Quiet => self.quiet = values::switch(text)?,
            Setting::NoColor => self.no_color = values::switch(text)?,
            Setting::Master => self.master = Some(MasterAddress::parse(text)?),
            Setting::Bind => self.bind = BindAddress::parse(text)?,
            Setting::Web => self.web = Some(BindAddress::parse(text)?),
            Setting::PathPrefix => self.path_prefix = values::path_prefix(text)?,
            Setting::AllowHost => {
                self.allow_host = values::list(texts).iter().map(|host| values::real_host(host)).collect::<Result<_, _>>()?
            }
            Setting::WebHost => self.web_host = values::list(texts).iter().map(|name| values::host_name(name)).collect::<Result<_, _>>()?,
            Setting::NoAdopt => self.no_adopt = values::switch(text)?,
            Setting::OnTerm => self.on_term = values::word(text, &OnTerm::WORDS)?,
            Setting::Reload => self.reload = values::word(text, &ReloadMode::WORDS)?,
            Setting::AllowScriptSkew => self.allow_script_skew = values::switch(text)?,
            Setting::SkewTimeout => self.skew_timeout = values::parse_duration(text)?,
            Setting::Orphan => self.orphan = values::word(text, &OrphanMode::WORDS)?,
            Setting::OrphanTimeout => self.orphan_timeout = values::parse_duration(text)?,
            Setting::PrintStats => self.print_stats = values::switch(text)?,
            Setting::Health => self.health = Some(BindAddress::parse(text)?),
            Setting::Once => self.once = values::switch(text)?,
            Setting::Url => self.url = Some(values::real_host(text)?),
            Setting::Tui => self.tui = values::switch(text)?,
            Setting::Ssh => self.ssh.bind = Some(BindAddress::parse(text)?),
            Setting::TargetBind => self.target_bind = BindAddress::parse(text)?.or_interface(Ipv4Addr::UNSPECIFIED),
            _ => self.apply_start(setting, text)?,
        }
        Ok(())
    }

    /// Of those that concern a master's start.
    fn apply_start(&mut self, setting: Setting, text: &str) -> Result<(), String> {
        let start = &mut self.self_start;
        match setting {
            Setting::ExpectWorkers => start.expect_workers = whole_u32(text, 1)?,
            Setting::ExpectWorkersTimeout => start.expect_workers_timeout = values::positive_duration(text)?,
            Setting::Autostart => start.autostart = values::switch(text)?,
            Setting::Linger => start.linger = Some(values::parse_duration(text)?),
            Setting::Sole => self.sole = Some(MasterAddress::parse(text)?),
            // The paths, and the file of settings itself.
            _ => {}
        }
        Ok(())
    }

    /// Where a setting stands that is a path.
    fn path_of(&mut self, setting: Setting) -> Option<&mut Option<PathBuf>> {
        Some(match setting {
            Setting::Script => &mut self.script,
            Setting::CaFile => &mut self.ca_file,
            Setting::Csv => &mut self.csv,
            Setting::Json => &mut self.json,
            Setting::Html => &mut self.html,
            Setting::Scripts => &mut self.folders.scripts,
            Setting::Data => &mut self.folders.data,
            Setting::WebTokenFile => &mut self.web_token_file,
            Setting::WebCert => &mut self.web_cert,
            Setting::WebKey => &mut self.web_key,
            Setting::SecretFile => &mut self.secret_file,
            Setting::State => &mut self.state,
            Setting::SshAuthorizedKeys => &mut self.ssh.authorized_keys,
            Setting::SshHostKey => &mut self.ssh.host_key,
            _ => return None,
        })
    }
}

fn path(text: &str) -> Result<PathBuf, String> {
    if text.trim().is_empty() { Err("the path is empty".to_owned()) } else { Ok(PathBuf::from(text)) }
}

fn whole_u32(text: &str, least: u64) -> Result<u32, String> {
    // `whole` keeps the number within the bounds of `u32`.
    values::whole(text, least, u64::from(u32::MAX)).map(|number| number as u32)
}
