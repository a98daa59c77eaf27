//! What follows from several settings together: parts of the plan, and the addresses and folders that a command insists on.

use std::net::{Ipv6Addr, SocketAddr};
use std::path::Path;

use super::address::{BindAddress, MasterAddress};
use super::error::ConfigError;
use super::setting::Setting;
use super::settings::Settings;
use crate::plan::TagFilter;

impl Settings {
    /// The filter that `--tags` and `--exclude-tags` ask for.
    #[must_use]
    pub fn tag_filter(&self) -> TagFilter {
        TagFilter { include: self.tags.clone(), exclude: self.exclude_tags.clone() }
    }

    /// Where a master listens for workers: all interfaces with a secret, this machine alone without one, where only a port is given.
    ///
    /// `[::]` stands for all interfaces, of IPv4 too: whoever binds it turns off `IPV6_V6ONLY`.
    ///
    /// # Errors
    /// An address that other machines reach, without a secret: anybody could send load through it.
    pub fn cluster_bind(&self) -> Result<SocketAddr, ConfigError> {
        let address = self.bind.guarded(self.secret.is_some());
        if self.secret.is_none() && !address.ip().to_canonical().is_loopback() {
            return Err(ConfigError::OpenWithoutSecret { address });
        }
        Ok(address)
    }

    /// Where a master serves its API and page: a port alone is all interfaces where a secret or a token keeps the cluster, and this machine
    /// alone without one. An interface that is stated is taken as it is.
    #[must_use]
    pub fn web_bind(&self) -> SocketAddr {
        let web = self.web.unwrap_or(BindAddress { interface: None, port: DEFAULT_WEB_PORT });
        web.guarded(self.secret.is_some() || self.web_token.is_some())
    }

    /// Where `run` serves its API and page; nowhere unless it is asked for. A port alone is all interfaces with a token.
    #[must_use]
    pub fn run_web_bind(&self) -> Option<SocketAddr> {
        self.web.map(|web| web.guarded(self.web_token.is_some()))
    }

    /// The files of the API's certificate and its key, in this order; `None` for plain HTTP.
    ///
    /// # Errors
    /// One of them without the other.
    pub fn web_tls(&self) -> Result<Option<(&Path, &Path)>, ConfigError> {
        let half = |given, path: &Path, missing| Err(ConfigError::HalfTls { given, path: path.to_owned(), missing });
        match (&self.web_cert, &self.web_key) {
            (Some(certificate), Some(key)) => Ok(Some((certificate, key))),
            (Some(certificate), None) => half(Setting::WebCert, certificate, Setting::WebKey),
            (None, Some(key)) => half(Setting::WebKey, key, Setting::WebCert),
            (None, None) => Ok(None),
        }
    }

    /// The master that the shell's commands ask: a base URL without a slash at its end.
    #[must_use]
    pub fn master_url(&self) -> &str {
        self.url.as_deref().unwrap_or(DEFAULT_URL)
    }

    /// Where a worker serves its health; a port alone means all interfaces, since probes come from another one.
    #[must_use]
    pub fn health_bind(&self) -> Option<SocketAddr> {
        self.health.map(|health| health.or_interface(Ipv6Addr::UNSPECIFIED))
    }

    /// Where a master serves its terminal UI over ssh; a port alone means all interfaces, since keys guard it.
    #[must_use]
    pub fn ssh_bind(&self) -> Option<SocketAddr> {
        self.ssh.map(|ssh| ssh.or_interface(Ipv6Addr::UNSPECIFIED))
    }

    /// Where a worker finds its master.
    ///
    /// # Errors
    /// Nobody said it.
    pub fn master_address(&self) -> Result<&MasterAddress, ConfigError> {
        self.master.as_ref().ok_or(ConfigError::Missing { setting: Setting::Master, what: "a worker needs to know where its master is" })
    }

    /// The folder with the scripts of master or worker.
    ///
    /// # Errors
    /// Nobody said it.
    pub fn scripts_folder(&self) -> Result<&Path, ConfigError> {
        self.scripts.as_deref().ok_or(ConfigError::Missing { setting: Setting::Scripts, what: "no folder of scripts is named" })
    }
}

/// Where a master serves its API, as Locust does.
const DEFAULT_WEB_PORT: u16 = 8089;

/// A master on this machine.
const DEFAULT_URL: &str = "http://127.0.0.1:8089";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Layer, Secret};

    fn settings(flags: &[(Setting, &str)], secret: Option<&str>) -> Settings {
        let mut typed = Layer::default();
        for (setting, text) in flags {
            typed.add_flag(*setting, *text);
        }
        let variables = secret.map(|secret| ("LUNAMOTH_SECRET".to_owned(), secret.to_owned()));
        Settings::resolve(&typed, variables, None).unwrap().0
    }

    const SECRET: Option<&str> = Some("correct horse battery");

    #[test]
    fn a_master_listens_on_this_machine_alone_until_it_has_a_secret() {
        for flags in [&[][..], &[(Setting::Bind, ":5557"), (Setting::Web, "8089")]] {
            let (open, closed) = (settings(flags, SECRET), settings(flags, None));
            assert_eq!(closed.cluster_bind().unwrap().to_string(), "127.0.0.1:5557");
            assert_eq!(closed.web_bind().to_string(), "127.0.0.1:8089");
            assert_eq!(open.cluster_bind().unwrap().to_string(), "[::]:5557");
            assert_eq!(open.web_bind().to_string(), "[::]:8089");
        }
    }

    #[test]
    fn a_secret_of_a_file_opens_a_master_too() {
        let settings = Settings { secret: Some(Secret::new("correct horse battery")), ..Settings::default() };
        assert_eq!(settings.cluster_bind().unwrap().to_string(), "[::]:5557");
    }

    #[test]
    fn an_open_address_for_workers_needs_a_secret() {
        for address in ["0.0.0.0:5557", "[::]:5557", "10.0.0.1:6000", "[::ffff:10.0.0.1]:6000"] {
            let flags = [(Setting::Bind, address)];
            assert_eq!(settings(&flags, SECRET).cluster_bind().unwrap().to_string(), address);
            assert_eq!(
                settings(&flags, None).cluster_bind().unwrap_err().to_string(),
                format!(
                    "`--bind {address}` lets other machines in, and there is no secret to know them by: `lunamoth secret` makes one, \
                     which master and workers take from LUNAMOTH_SECRET or --secret-file"
                )
            );
        }
        for address in ["127.0.0.1:5557", "127.8.0.1:5557", "[::1]:5557", "[::ffff:127.0.0.1]:5557", "localhost:0"] {
            assert!(settings(&[(Setting::Bind, address)], None).cluster_bind().is_ok(), "{address}");
        }
    }

    #[test]
    fn the_web_address_may_be_opened_without_a_secret_by_saying_so() {
        assert_eq!(settings(&[(Setting::Web, "0.0.0.0:80")], None).web_bind().to_string(), "0.0.0.0:80");
    }

    #[test]
    fn a_token_opens_the_web_address_and_not_the_workers() {
        let token = [("LUNAMOTH_WEB_TOKEN".to_owned(), "open sesame 1234".to_owned())];
        let settings = Settings::resolve(&Layer::default(), token, None).unwrap().0;
        assert_eq!((settings.web_bind().to_string().as_str(), settings.run_web_bind()), ("[::]:8089", None));
        assert_eq!(settings.cluster_bind().unwrap().to_string(), "127.0.0.1:5557");
    }

    #[test]
    fn a_run_serves_its_api_where_it_is_asked_for() {
        assert_eq!(settings(&[], SECRET).run_web_bind(), None);
        assert_eq!(settings(&[(Setting::Web, ":9000")], SECRET).run_web_bind().unwrap().to_string(), "127.0.0.1:9000");
    }

    #[test]
    fn a_certificate_comes_with_its_key() {
        let both = settings(&[(Setting::WebCert, "a.pem"), (Setting::WebKey, "a.key")], None);
        assert_eq!(both.web_tls().unwrap(), Some((Path::new("a.pem"), Path::new("a.key"))));
        assert_eq!(settings(&[], None).web_tls().unwrap(), None);
        let expected = "`--web-cert a.pem` needs `--web-key` beside it: TLS takes a certificate and its key";
        assert_eq!(settings(&[(Setting::WebCert, "a.pem")], None).web_tls().unwrap_err().to_string(), expected);
        assert!(settings(&[(Setting::WebKey, "a.key")], None).web_tls().is_err());
    }

    #[test]
    fn the_shell_asks_the_master_on_this_machine_unless_told_otherwise() {
        assert_eq!(settings(&[], None).master_url(), "http://127.0.0.1:8089");
        assert_eq!(settings(&[(Setting::Url, "https://load.example/locust/")], None).master_url(), "https://load.example/locust");
    }

    #[test]
    fn health_is_served_where_it_is_asked_for() {
        assert_eq!(settings(&[], None).health_bind(), None);
        assert_eq!(settings(&[(Setting::Health, ":8090")], None).health_bind().unwrap().to_string(), "[::]:8090");
        assert_eq!(settings(&[(Setting::Health, "localhost:8090")], None).health_bind().unwrap().to_string(), "127.0.0.1:8090");
    }

    #[test]
    fn what_a_command_cannot_do_without_is_asked_for() {
        let nothing = settings(&[], None);
        assert_eq!(
            nothing.master_address().unwrap_err().to_string(),
            "a worker needs to know where its master is: `--master lunamoth-master:5557`, LUNAMOTH_MASTER, or `master` in the file of --config"
        );
        assert_eq!(
            nothing.scripts_folder().unwrap_err().to_string(),
            "no folder of scripts is named: `--scripts scripts`, LUNAMOTH_SCRIPTS, or `scripts` in the file of --config"
        );
        let all = settings(&[(Setting::Master, "[::1]"), (Setting::Scripts, "loads")], None);
        assert_eq!((all.master_address().unwrap().to_string().as_str(), all.scripts_folder().unwrap()), ("[::1]:5557", Path::new("loads")));
    }
}
