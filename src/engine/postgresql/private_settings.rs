//! The settings of a private server: enough for the data to be opened, and nothing that leads elsewhere.

use std::path::Path;

use super::programs::Programs;
use crate::domain::Cancel;
use crate::engine::tool::Tool;

/// What the original's settings were, as far as the data needs them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Needs {
    /// Prepared transactions that may be open in the data.
    prepared: u64,
    locks: u64,
    wal_segment_mib: u64,
}

impl Needs {
    /// Reads `pg_control` in the data directory. If that fails, the server will say why.
    pub(super) fn of(data: &Path, programs: &Programs, major: u32, cancel: &Cancel) -> Self {
        let output = programs.server("pg_controldata", major).ok().and_then(|program| {
            Tool::new(&program).arg("-D").arg(data).hide_root().output(cancel).ok()
        });
        Self::parse(&String::from_utf8_lossy(&output.unwrap_or_default()))
    }

    fn parse(text: &str) -> Self {
        let number = |label: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(label));
            line.and_then(|value| value.trim().parse::<u64>().ok()).unwrap_or_default()
        };
        Self {
            prepared: number("max_prepared_xacts setting:").max(200),
            locks: number("max_locks_per_xact setting:").max(256),
            wal_segment_mib: (number("Bytes per WAL segment:") >> 20).max(16),
        }
    }
}

/// The configuration of a server whose socket is in `folder`. Everything else keeps PostgreSQL's default: it has no
/// primary, archives no WAL, loads no libraries, and runs no workers for subscriptions.
pub(super) fn configuration(folder: &Path, major: u32, needs: Needs) -> String {
    let folder = folder.display().to_string().replace('\'', "''");
    let Needs { prepared, locks, wal_segment_mib } = needs;
    let mut text = format!(
        "listen_addresses = ''\n\
         port = 5432\n\
         unix_socket_directories = '\"{folder}\"'\n\
         unix_socket_permissions = 0700\n\
         hba_file = '{folder}/pg_hba.conf'\n\
         ident_file = '{folder}/pg_ident.conf'\n\
         external_pid_file = ''\n\
         shared_preload_libraries = ''\n\
         primary_conninfo = ''\n\
         restore_command = ''\n\
         archive_mode = off\n\
         max_logical_replication_workers = 0\n\
         max_wal_senders = 0\n\
         max_replication_slots = 1000\n\
         max_connections = 10\n\
         max_prepared_transactions = {prepared}\n\
         max_locks_per_transaction = {locks}\n\
         max_worker_processes = 4\n\
         min_wal_size = {}MB\n\
         max_wal_size = {}MB\n\
         wal_level = minimal\n\
         shared_buffers = 64MB\n\
         dynamic_shared_memory_type = mmap\n\
         fsync = off\n\
         full_page_writes = off\n\
         synchronous_commit = off\n\
         autovacuum = off\n\
         jit = off\n\
         logging_collector = off\n\
         log_destination = 'stderr'\n\
         log_line_prefix = '%e '\n\
         lc_messages = 'C'\n",
        wal_segment_mib * 5,
        wal_segment_mib * 64,
    );
    if major >= 17 {
        text.push_str("event_triggers = off\n");
    }
    if major >= 18 {
        text.push_str("max_active_replication_origins = 1000\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_gets_what_its_data_needs_and_never_less_than_the_usual() {
        let text = "max_prepared_xacts setting:           1000\nmax_locks_per_xact setting:  64\n\
            Bytes per WAL segment:                67108864\n";
        let needs = Needs::parse(text);
        assert_eq!(needs, Needs { prepared: 1000, locks: 256, wal_segment_mib: 64 });
        assert!(configuration(Path::new("/s"), 15, needs).contains("min_wal_size = 320MB"));
        assert_eq!(Needs::parse(""), Needs { prepared: 200, locks: 256, wal_segment_mib: 16 });
    }
}
