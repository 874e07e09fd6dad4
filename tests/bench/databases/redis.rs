//! Redis, with strings of the same mixed kind as the other sources.

use std::os::unix::net::UnixStream;
use std::path::Path;

use serde_json::json;

use super::super::Outcome;
use super::super::contest::{Change, Contest};
use super::super::data::{Numbers, mixed};
use super::super::options::Options;
use super::super::redis::{Connection, RedisServer, Reply};
use super::super::table::Results;
use super::super::tools::Kind;

/// Bytes of a value.
const VALUE: usize = 4000;

/// Commands that are sent before their answers are read.
const AT_ONCE: u64 = 100;

pub(crate) fn rows(folder: &Path, options: &Options, results: &mut Results) -> Outcome<()> {
    let size = &options.size;
    eprintln!("redis: making {} MiB", size.redis_mib);
    let server = RedisServer::start();
    let (mut connection, mut numbers) = (server.connect(), Numbers::new(6));
    let keys = (size.redis_mib << 20) / u64::try_from(VALUE)?;
    for first in (0..keys).step_by(usize::try_from(AT_ONCE)?) {
        set(&mut connection, &mut numbers, first..keys.min(first + AT_ONCE))?;
    }
    let changes: [Change; 1] = [("1 % changed, scattered", scatter)];
    let contest = Contest {
        name: "redis",
        engine: "redis",
        kind: Kind::Redis,
        source: server.folder(),
        configured: format!("{{ socket = {} }}", json!(server.socket())),
        folder,
        changes: &changes,
    };
    contest.run(options, results)
}

fn set(
    connection: &mut Connection,
    numbers: &mut Numbers,
    keys: impl Iterator<Item = u64> + Clone,
) -> Outcome<()> {
    for key in keys.clone() {
        let value = mixed(numbers, VALUE);
        connection.send(&[b"SET".as_slice(), format!("document:{key}").as_bytes(), &value]);
    }
    for _key in keys {
        if let Reply::Error(message) = connection.receive() {
            return Err(message.into());
        }
    }
    Ok(())
}

fn scatter(server: &Path, round: u64) -> Outcome<()> {
    let mut connection = Connection::over(UnixStream::connect(server.join("s"))?);
    let Reply::Number(keys) = connection.ask(&["DBSIZE"]) else { return Err("no size".into()) };
    let keys = (round % 100..u64::try_from(keys)?).step_by(100);
    set(&mut connection, &mut Numbers::new(1000 + round), keys)
}
