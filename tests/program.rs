//! The program as its users run it: servers, commands and databases are real.

#![cfg(test)]

#[path = "program/alerts.rs"]
mod alerts;
#[path = "program/backup_commands.rs"]
mod backup_commands;
#[path = "program/burned.rs"]
mod burned;
#[path = "program/chains.rs"]
mod chains;
#[path = "program/commands.rs"]
mod commands;
#[path = "program/connections.rs"]
mod connections;
#[path = "program/copies.rs"]
mod copies;
#[path = "program/damage.rs"]
mod damage;
#[path = "program/demo.rs"]
mod demo;
#[path = "program/disk_full.rs"]
mod disk_full;
#[path = "program/disks.rs"]
mod disks;
#[path = "program/doctor.rs"]
mod doctor;
#[path = "program/documents.rs"]
mod documents;
#[path = "program/drill.rs"]
mod drill;
#[path = "program/encrypted_archives.rs"]
mod encrypted_archives;
#[path = "program/encryption.rs"]
mod encryption;
#[path = "program/environment.rs"]
mod environment;
#[path = "program/false_alarms.rs"]
mod false_alarms;
#[path = "program/fleet.rs"]
mod fleet;
#[path = "program/gone/mod.rs"]
mod gone;
#[path = "program/hidden_sources.rs"]
mod hidden_sources;
#[path = "program/histories/mod.rs"]
mod histories;
#[path = "program/hostile_archives.rs"]
mod hostile_archives;
#[path = "program/keys.rs"]
mod keys;
#[path = "program/keystone.rs"]
mod keystone;
#[path = "program/killed_servers.rs"]
mod killed_servers;
#[path = "program/latest.rs"]
mod latest;
#[path = "program/locked.rs"]
mod locked;
#[path = "program/mariadb/mod.rs"]
mod mariadb;
#[path = "program/metrics.rs"]
mod metrics;
#[path = "program/mounts.rs"]
mod mounts;
#[path = "program/next_steps.rs"]
mod next_steps;
#[path = "program/old_versions/mod.rs"]
mod old_versions;
#[path = "program/owners.rs"]
mod owners;
#[path = "program/places.rs"]
mod places;
#[path = "program/planted_links.rs"]
mod planted_links;
#[path = "program/postgresql/mod.rs"]
mod postgresql;
#[path = "program/proofs.rs"]
mod proofs;
#[path = "program/quick_start.rs"]
mod quick_start;
#[path = "receivers/mod.rs"]
mod receivers;
#[path = "program/redis/mod.rs"]
mod redis;
#[path = "program/registration.rs"]
mod registration;
#[path = "program/root.rs"]
mod root;
#[path = "program/schedules.rs"]
mod schedules;
#[path = "program/serve.rs"]
mod serve;
mod servers;
#[path = "program/shutdown.rs"]
mod shutdown;
#[path = "program/soak.rs"]
mod soak;
#[path = "program/sqlite/mod.rs"]
mod sqlite;
#[path = "program/staged_servers.rs"]
mod staged_servers;
#[path = "program/status.rs"]
mod status;
mod support;
#[path = "program/swift.rs"]
mod swift;
#[path = "program/tls/mod.rs"]
mod tls;
#[path = "program/trees/mod.rs"]
mod trees;
#[path = "program/undo.rs"]
mod undo;
#[path = "program/unread_copies.rs"]
mod unread_copies;
#[path = "program/users.rs"]
mod users;
#[path = "program/without_coffer.rs"]
mod without_coffer;
