//! Drivers by name, connected once.

use alloc::string::String;
use alloc::sync::Arc;

use abi::error::{ENAMETOOLONG, ENOENT, EPIPE, Error, Result};
use event_protocol::descriptor::MAX_PATH;
use event_protocol::descriptor::names::{FIFOS, FILES};
use hashbrown::HashMap;
use rt::sync::{Mutex, OnceLock};
use rt::sys::Endpoint;

/// Connections to services.
#[derive(Debug)]
pub struct Services {
    connected: OnceLock<Mutex<HashMap<String, Arc<Endpoint>>>>,
}

/// Services of paths outside `/dev`: the longest that fits decides.
const MOUNTS: [(&str, &str); 4] =
    [(FILES[0], "files"), (FILES[1], "files"), (FIFOS, "pipe"), ("/run/socket", "socket")];

/// Name of the service that has a path: `/dev/tty` and `/dev/tty/raw` are `tty`'s.
pub fn name(path: &str) -> Result<&str> {
    if path.len() > MAX_PATH {
        return Err(Error::new(ENAMETOOLONG));
    }
    for (mount, service) in MOUNTS {
        if path.strip_prefix(mount).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
            return Ok(service);
        }
    }
    let name = path.strip_prefix("/dev/").and_then(|rest| rest.split('/').next());
    name.filter(|name| !name.is_empty()).ok_or(Error::new(ENOENT))
}

impl Services {
    /// None connected.
    pub const fn new() -> Services {
        Services { connected: OnceLock::new() }
    }

    /// Asks a service. A driver that died was perhaps started again: it is looked for once more.
    pub fn with<T>(&self, name: &str, ask: impl Fn(&Endpoint) -> Result<T>) -> Result<T> {
        let connected = self.connected.get_or_init(|| Mutex::new(HashMap::new()));
        let known = connected.lock().get(name).cloned();
        if let Some(service) = known {
            match ask(&service) {
                Err(error) if error.errno == EPIPE => connected.lock().remove(name),
                answer => return answer,
            };
        }
        let service = Arc::new(rt::init::connect(name)?);
        connected.lock().insert(String::from(name), service.clone());
        ask(&service)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_its_service() {
        assert_eq!(name("/dev/tty"), Ok("tty"));
        assert_eq!(name("/dev/pipe/a"), Ok("pipe"));
        assert_eq!(name("/tmp"), Ok("files"));
        assert_eq!(name("/data/a/b"), Ok("files"));
        assert_eq!(name("/run/fifo/a"), Ok("pipe"));
        assert_eq!(name("/tmpfile"), Err(Error::new(ENOENT)));
        for nobodys in ["", "/", "/dev/", "/dev//tty", "tty", "/etc/tty"] {
            assert_eq!(name(nobodys), Err(Error::new(ENOENT)), "{nobodys}");
        }
    }
}
