//! `--to`: a URL, HOST:PORT, or the folder of a socket.

use std::net::ToSocketAddrs;
use std::path::Path;

use deadheat_gate::{ToServer, Upstream};
use deadheat_sandbox::Visit;
use deadheat_sql::Catalog;

use crate::problem::{Failure, Problem};

/// What the name of a socket begins with; the port follows.
const SOCKET: &str = ".s.PGSQL.";

/// The server.
pub(super) struct Target {
    visit: Visit,
}

impl Target {
    /// Reads the address.
    pub fn read(to: &str) -> Result<Self, Problem> {
        let url = if to.contains("://") || to.contains('=') {
            to.to_owned()
        } else if Path::new(to).is_absolute() {
            let (folder, port) = socket(Path::new(to))?;
            format!("host={} port={port}", quoted(&folder))
        } else {
            let (host, port) = to.rsplit_once(':').unwrap_or((to, "5432"));
            let host = host.trim_start_matches('[').trim_end_matches(']');
            format!("host={} port={}", quoted(host), quoted(port))
        };
        let visit = Visit::to(&url).map_err(|error| {
            Failure::new(format!("--to {to}: {error}")).mended_by(
                "write postgres://USER@HOST:PORT/, HOST:PORT, or the folder of the server's socket",
            )
        })?;
        Ok(Self { visit })
    }

    /// The server in a few words.
    pub fn shown(&self) -> &str {
        self.visit.shown()
    }

    /// Where the gate finds it.
    pub fn upstream(&self) -> Result<Upstream, Problem> {
        let address = self.visit.address();
        if let Some(folder) = &address.socket {
            return Ok(Upstream::Unix(
                folder.join(format!("{SOCKET}{}", address.port)),
            ));
        }
        let found = (address.host.as_str(), address.port)
            .to_socket_addrs()
            .map(|mut found| found.next());
        match found {
            Ok(Some(at)) => Ok(match &address.tls {
                Some(tls) => Upstream::Tls(at, ToServer::new(tls.name(), tls.config())),
                None => Upstream::Tcp(at),
            }),
            Ok(None) => Err(unknown(&address.host, "it has no address")),
            Err(error) => Err(unknown(&address.host, &error.to_string())),
        }
    }

    /// What a database holds; an error says why that cannot be known.
    pub async fn catalog(&self, database: &str) -> Result<Catalog, String> {
        let read = self.visit.catalog(database).await;
        read.map_err(|error| error.to_string())
    }
}

fn unknown(host: &str, why: &str) -> Problem {
    Failure::new(format!("cannot find the host {host}: {why}")).into()
}

/// A value of a connection string.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// Folder and port of a socket: named itself, or the only one in its folder.
fn socket(path: &Path) -> Result<(String, u16), Problem> {
    let port_of = |name: &str| name.strip_prefix(SOCKET)?.parse::<u16>().ok();
    let shown = |path: &Path| path.display().to_string();
    let name = path.file_name().and_then(|name| name.to_str());
    if let (Some(port), Some(folder)) = (name.and_then(port_of), path.parent()) {
        return Ok((shown(folder), port));
    }
    let entries = std::fs::read_dir(path).map_err(|error| Problem::file(path, "read", &error))?;
    let mut ports: Vec<u16> = entries
        .flatten()
        .filter_map(|entry| port_of(entry.file_name().to_str()?))
        .collect();
    ports.sort_unstable();
    match ports[..] {
        [] => Err(Failure::new(format!("no server has its socket in {}", path.display())).into()),
        [port] => Ok((shown(path), port)),
        _ => Err(Failure::new(format!(
            "several servers have their sockets in {}",
            path.display()
        ))
        .mended_by(format!(
            "name one of them: {}",
            path.join(format!("{SOCKET}{}", ports[0])).display()
        ))
        .into()),
    }
}

#[cfg(test)]
mod tests {
    use super::Target;
    use deadheat_gate::Upstream;

    #[test]
    fn every_form_of_address_leads_to_the_server() {
        for to in [
            "postgres://ben@127.0.0.1:6001/x",
            "127.0.0.1:6001",
            "host=127.0.0.1 port=6001",
        ] {
            let upstream = Target::read(to).and_then(|target| target.upstream());
            let at = "127.0.0.1:6001".parse().expect("an address");
            assert_eq!(upstream.expect("an address"), Upstream::Tcp(at), "{to}");
        }
    }

    #[test]
    fn a_folder_with_one_socket_is_enough() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().to_str().expect("a path");
        assert!(Target::read(path).is_err());
        let socket = folder.path().join(".s.PGSQL.6002");
        std::fs::write(&socket, "").expect("a file");
        std::fs::write(folder.path().join(".s.PGSQL.6002.lock"), "").expect("a file");
        let named = socket.to_str().expect("a path");
        for to in [path, named] {
            let upstream = Target::read(to).and_then(|target| target.upstream());
            assert_eq!(
                upstream.expect("an address"),
                Upstream::Unix(socket.clone())
            );
        }
        std::fs::write(folder.path().join(".s.PGSQL.6003"), "").expect("a file");
        assert!(Target::read(path).is_err());
        assert!(Target::read(named).is_ok());
    }

    #[test]
    fn encryption_is_used_where_the_url_asks_for_it() {
        let upstream = Target::read("postgres://ben@127.0.0.1:6001/x?sslmode=require")
            .and_then(|target| target.upstream());
        assert!(matches!(upstream, Ok(Upstream::Tls(..))));
    }
}
