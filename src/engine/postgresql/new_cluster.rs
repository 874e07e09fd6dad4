//! A new cluster made from dumps.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;

use super::cluster::{CLUSTER_FILE, Cluster, DATA_FOLDER, DUMPS, ROLES, SERVER};
use super::dump_loader::DumpLoader;
use super::private_server::{Launch, PrivateServer};
use super::programs::{Programs, version_of};
use crate::domain::{Cancel, FailureCode, LeftOut};
use crate::engine::tool::{Tool, says_any};
use crate::engine::{EngineError, Result};

/// What `initdb` says if it is the locale that it cannot have here.
const OF_LOCALE: [&str; 3] = ["locale", "ICU", "collator"];

/// Makes a new cluster in `folder` from the dumps there, and removes the dumps. Returns what could not be created.
pub(super) fn make(
    folder: &Path,
    cluster: &Cluster,
    programs: &Programs,
    cancel: &Cancel,
) -> Result<Vec<LeftOut>> {
    let initdb = programs.server_for_dumps("initdb", cluster.major)?;
    let major = version_of(&initdb)?;
    let data = folder.join(DATA_FOLDER);
    let mut refused = run_initdb((&initdb, major), &data, cluster, cancel)?;
    let launch = Launch { data: &data, major, role: &cluster.bootstrap_role, scratch: folder };
    let server = PrivateServer::start(&launch, programs, cancel)?;
    let loader = DumpLoader { client: server.client.clone() };
    let result = loader.load_into_new(folder, cluster);
    refused.extend(result.map_err(|error| server.explain_if_ended(error))?);
    server.stop()?;
    let failed = |error| EngineError::target("finishing", folder, error);
    std::fs::remove_dir_all(folder.join(DUMPS)).map_err(failed)?;
    for name in [ROLES, SERVER] {
        match std::fs::remove_file(folder.join(name)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
            Ok(()) | Err(_) => {}
        }
    }
    let cluster = Cluster {
        major,
        databases: Vec::new(),
        rights: BTreeMap::new(),
        tablespaces: Vec::new(),
        ..cluster.clone()
    };
    overwrite(&folder.join(CLUSTER_FILE), &cluster.to_json()).map_err(failed)?;
    let opened = File::open(folder).map_err(failed)?;
    rustix::fs::syncfs(&opened).map_err(|error| failed(error.into()))?;
    Ok(refused)
}

/// Initialises a cluster like the original. Where this machine lacks what sorts the text of new databases, that is
/// returned as refused, and something else does.
fn run_initdb(
    (initdb, major): (&Path, u32),
    data: &Path,
    cluster: &Cluster,
    cancel: &Cancel,
) -> Result<Vec<LeftOut>> {
    let provider = cluster.provider.options(major);
    let of_original = (cluster.collate.as_str(), cluster.ctype.as_str());
    let mut attempts = vec![
        (of_original, &provider[..]),
        (("C", "C"), &provider),
        (of_original, &[]),
        (("C", "C"), &[]),
    ];
    attempts.dedup();
    let (mut refused, mut ended) = (None, Ok(()));
    for ((collate, ctype), provider) in attempts {
        let tool = Tool::new(initdb)
            .arg("-D")
            .arg(data)
            .option("--username=", &cluster.bootstrap_role)
            .option("--encoding=", &cluster.encoding)
            .option("--lc-collate=", collate)
            .option("--lc-ctype=", ctype)
            .args(provider.iter().map(String::as_str))
            .arg(format!("--wal-segsize={}", (cluster.wal_segment_size >> 20).max(1)))
            // Only its owner can log in, whatever the default is.
            .args(["--auth-local=peer", "--auth-host=scram-sha-256", "--no-sync"])
            .hide_root();
        ended = tool.args(checksums(cluster.data_checksums, major)).run(cancel);
        match &ended {
            Err(error) if says_any(error.output(), &OF_LOCALE) => {
                refused.get_or_insert_with(|| error.to_string());
            }
            _ => break,
        }
    }
    let advice = "initdb could not create the new cluster";
    ended.map_err(|error| EngineError::from_tool(&error, FailureCode::Tool, "", advice))?;
    let what = || match provider.as_slice() {
        [] => format!("the locale {} of new databases", cluster.collate),
        options => format!("the locale of new databases ({})", options.join(" ")),
    };
    Ok(refused.map(|why| LeftOut::new(what(), why)).into_iter().collect())
}

/// Since version 18, pages have checksums unless they are not wanted.
fn checksums(wanted: bool, major: u32) -> Option<&'static str> {
    match (wanted, major) {
        (true, _) => Some("--data-checksums"),
        (false, ..18) => None,
        (false, _) => Some("--no-data-checksums"),
    }
}

fn overwrite(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new().write(true).truncate(true).open(path)?;
    std::io::Write::write_all(&mut file, content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_cluster_has_checksums_if_the_original_had_whatever_the_default_is() {
        let asked = |wanted| [13, 17, 18].map(|major| checksums(wanted, major));
        assert_eq!(asked(true), [Some("--data-checksums"); 3]);
        assert_eq!(asked(false), [None, None, Some("--no-data-checksums")]);
    }
}
