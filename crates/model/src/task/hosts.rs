//! Several regions of one S3 block: each host is a destination of its own.

use crate::task::block::said;
use crate::task::destination::S3Settings;

impl S3Settings {
    /// Makes the settings of each host, with the host's name; the settings themselves, without one, where they name no
    /// more than one host.
    ///
    /// Hosts stand in `Hosts`, or in `CustomServerUrl` as one text with `:` between them, as in
    /// `nl-ams-1.example.net:us-southeast-1.example.net`. The region that a host's name begins with is taken for it.
    #[must_use]
    pub fn each_host(&self) -> Vec<(Option<String>, Self)> {
        let listed = self.hosts.iter().flat_map(|one| split(one));
        let mut hosts: Vec<String> = Vec::new();
        let server: Vec<String> = said(&self.custom_server_url).map(split).unwrap_or_default();
        // A single server stands beside no list; a list of them is one.
        let own = if server.len() > 1 || !self.hosts.is_empty() { server.clone() } else { Vec::new() };
        for host in own.into_iter().chain(listed) {
            if !hosts.contains(&host) {
                hosts.push(host);
            }
        }
        match hosts.as_slice() {
            [] => vec![(None, self.clone())],
            [only] => vec![(None, self.at(only))],
            several => several.iter().map(|host| (Some(bare(host).to_owned()), self.at(host))).collect(),
        }
    }

    fn at(&self, host: &str) -> Self {
        let url = if host.contains("://") { host.to_owned() } else { format!("https://{host}") };
        Self {
            custom_server_url: Some(url),
            aws_region_name: region(bare(host)).or_else(|| self.aws_region_name.clone()),
            hosts: Vec::new(),
            ..self.clone()
        }
    }
}

fn bare(host: &str) -> &str {
    let rest = host.split_once("://").map_or(host, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}

/// Splits a list at its colons, but not where one stands before a port or within `https://`.
fn split(text: &str) -> Vec<String> {
    let mut hosts: Vec<String> = Vec::new();
    for part in text.trim().split(':').map(str::trim) {
        let before = hosts.last_mut().filter(|_| {
            let address = part.starts_with("//");
            let port = part.split('/').next().unwrap_or_default();
            address || (!port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))
        });
        match before {
            Some(before) => {
                before.push(':');
                before.push_str(part);
            }
            None if part.is_empty() => {}
            None => hosts.push(part.to_owned()),
        }
    }
    hosts.iter().map(|host| host.trim_end_matches('/').to_owned()).collect()
}

/// Reads the region out of a host's name: `nl-ams-1.example.net`, `s3.eu-central-1.amazonaws.com`.
fn region(host: &str) -> Option<String> {
    let name = host.split(':').next().unwrap_or(host);
    let labels: Vec<&str> = name.split('.').collect();
    let looks_like_one = |label: &str| {
        label.contains('-') && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let candidate = match labels.as_slice() {
        ["s3", region, _, _, ..] => *region,
        [region, _, _, ..] => *region,
        _ => return None,
    };
    looks_like_one(candidate).then(|| candidate.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(hosts: &[&str], server: Option<&str>) -> Vec<(Option<String>, S3Settings)> {
        S3Settings {
            bucket_name: Some("b".to_owned()),
            hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
            custom_server_url: server.map(str::to_owned),
            aws_region_name: Some("home".to_owned()),
            ..S3Settings::default()
        }
        .each_host()
    }

    #[test]
    fn a_list_with_colons_is_one_destination_for_each_region() {
        let text = "nl-ams-1.linodeobjects.com:us-southeast-1.linodeobjects.com:in-maa-1.linodeobjects.com";
        for each in [named(&[text], None), named(&[], Some(text))] {
            let regions: Vec<_> = each.iter().filter_map(|(_, s3)| s3.aws_region_name.clone()).collect();
            assert_eq!(regions, ["nl-ams-1", "us-southeast-1", "in-maa-1"]);
            assert_eq!(each[2].0.as_deref(), Some("in-maa-1.linodeobjects.com"));
            assert_eq!(
                each[1].1.custom_server_url.as_deref(),
                Some("https://us-southeast-1.linodeobjects.com")
            );
            assert!(each.iter().all(|(_, s3)| s3.hosts.is_empty() && s3.bucket_name.is_some()));
        }
    }

    #[test]
    fn ports_and_schemes_stay_with_their_host() {
        let each =
            named(&["http://127.0.0.1:9001:http://127.0.0.1:9002", "s3.eu-central-1.example.net"], None);
        let urls: Vec<_> = each.iter().filter_map(|(_, s3)| s3.custom_server_url.as_deref()).collect();
        assert_eq!(
            urls,
            ["http://127.0.0.1:9001", "http://127.0.0.1:9002", "https://s3.eu-central-1.example.net"]
        );
        let regions: Vec<_> = each.iter().filter_map(|(_, s3)| s3.aws_region_name.as_deref()).collect();
        assert_eq!(regions, ["home", "home", "eu-central-1"]);
    }

    #[test]
    fn one_host_is_what_it_always_was() {
        let each = named(&[], Some("http://127.0.0.1:9001"));
        assert_eq!((each.len(), &each[0].0), (1, &None));
        assert_eq!(each[0].1.custom_server_url.as_deref(), Some("http://127.0.0.1:9001"));
        assert_eq!(named(&[], None)[0].1.custom_server_url, None);
        assert_eq!(named(&["eu-1.example.net"], None)[0].0, None);
        assert_eq!(named(&["a.example.net"], Some("https://b.example.net")).len(), 2);
    }
}
