//! Looks for web roots on this host: where they usually are, and where web servers are told that they are.

use crate::engine::FoundSource;
use larder_model::{DatabaseName, EngineKind, Source};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Where distributions put them.
const USUAL: [&str; 3] = ["/var/www", "/srv/www", "/srv/http"];

/// Where web servers are configured; each may be a file or a directory of files.
const CONFIGURATIONS: [&str; 7] = [
    "/etc/nginx/sites-enabled",
    "/etc/nginx/conf.d",
    "/etc/nginx/nginx.conf",
    "/etc/apache2/sites-enabled",
    "/etc/httpd/conf.d",
    "/etc/lighttpd/lighttpd.conf",
    "/etc/caddy/Caddyfile",
];

/// What packages bring themselves, and what is made anew.
const NOBODYS: [&str; 4] = ["/usr", "/run", "/proc", "/tmp"];

/// No configuration is longer, in bytes.
const LONGEST: u64 = 1 << 20;

/// So deep it is looked for a file.
const DEPTH: u32 = 4;

pub(super) fn find() -> Vec<FoundSource> {
    let mut found: BTreeMap<PathBuf, String> = BTreeMap::new();
    for path in USUAL {
        found.insert(path.into(), format!("web servers usually show what lies in {path}"));
    }
    for file in CONFIGURATIONS.iter().flat_map(|path| files_at(Path::new(path))) {
        let text = fs::read_to_string(&file).unwrap_or_default();
        for root in roots(&text) {
            found.entry(root.into()).or_insert_with(|| format!("{} names it", file.display()));
        }
    }
    let paths: Vec<PathBuf> = found.keys().cloned().collect();
    let is_below_another = |path: &Path| {
        paths.iter().any(|other| other != path && path.starts_with(other) && has_files(other, DEPTH))
    };
    found
        .into_iter()
        .filter(|(path, _)| !NOBODYS.iter().any(|nobodys| path.starts_with(nobodys)))
        .filter(|(path, _)| path.parent().is_some() && !is_below_another(path) && has_files(path, DEPTH))
        .filter_map(|(path, reason)| {
            let name = DatabaseName::from_lossy(&path.file_name()?.to_string_lossy());
            let source = Source::new(name, EngineKind::Files, path.to_str()?.to_owned());
            Some(FoundSource { source, reason })
        })
        .collect()
}

fn files_at(path: &Path) -> Vec<PathBuf> {
    let listed = match path.is_dir() {
        true => fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path()).collect(),
        false => vec![path.to_owned()],
    };
    let is_short = |path: &PathBuf| {
        path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() <= LONGEST)
    };
    listed.into_iter().filter(is_short).collect()
}

/// Reads the directories that a configuration of nginx, Apache, lighttpd or Caddy shows.
fn roots(text: &str) -> Vec<String> {
    let root = |line: &str| {
        let mut words = line.split_whitespace();
        let first = words.next()?.to_ascii_lowercase();
        let named = match first.as_str() {
            "root" | "documentroot" => words.find(|word| *word != "*")?,
            "server.document-root" => words.find(|word| *word != "=")?,
            _ => return None,
        };
        let path = named.trim_matches(['"', '\'', ';']).trim_end_matches('/');
        let is_plain = path.starts_with('/') && path.len() > 1 && !path.contains(['$', '{']);
        is_plain.then(|| path.to_owned())
    };
    text.lines().filter_map(root).collect()
}

/// Says whether there is a file in a directory, not too deep.
fn has_files(directory: &Path, depth: u32) -> bool {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut below = Vec::new();
    for entry in entries {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => below.push(entry.path()),
            Ok(_) => return true,
            Err(_) => {}
        }
    }
    depth > 1 && below.iter().any(|path| has_files(path, depth - 1))
}

#[cfg(test)]
mod tests {
    use super::{has_files, roots};
    use larder_testbed::TempDir;
    use std::fs;

    #[test]
    fn web_servers_say_where_their_roots_are() {
        let text = "server {\n  listen 80;\n  root /srv/shop/public;\n  # root /old;\n  root $site;\n}\n\
            DocumentRoot \"/var/www/blog/\"\nserver.document-root = \"/srv/light\"\n\troot * /srv/caddy\nrooted /x\n";
        assert_eq!(roots(text), ["/srv/shop/public", "/var/www/blog", "/srv/light", "/srv/caddy"]);
    }

    #[test]
    fn a_directory_without_files_is_no_root() {
        let directory = TempDir::new();
        fs::create_dir_all(directory.join("a/b")).unwrap();
        assert!(!has_files(directory.path(), 4));
        fs::write(directory.join("a/b/index.html"), "x").unwrap();
        assert!(has_files(directory.path(), 4) && !has_files(directory.path(), 2));
    }
}
