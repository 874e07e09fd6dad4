//! `coffer show`.

use serde_json::json;

use crate::cli::args::OneBackup;
use crate::cli::error::Result;
use crate::cli::terminal;

use super::list::Listed;
use super::origin::Origin;
use super::table::{self, Lineage, NOTHING};

pub(in crate::cli) fn run(args: &OneBackup) -> Result<()> {
    let config = args.with.load()?;
    let origin = Origin::open(&config)?;
    let backup = origin.backup(origin.find(&args.backup)?)?;
    let siblings = origin.backups(backup.instance_id)?;
    let names = origin.names(std::slice::from_ref(&backup))?;
    let listed = Listed::new(&backup, &names, &Lineage::new(&siblings));
    if args.json {
        terminal::say_json(&json!(listed));
        return Ok(());
    }
    let text = |value: Option<String>| value.unwrap_or_else(|| NOTHING.to_owned());
    let kind = match backup.parent_id {
        Some(parent) => format!("{}, built on {parent}", backup.kind.as_str()),
        None => backup.kind.as_str().to_owned(),
    };
    let datastore = &backup.datastore;
    let mut lines = vec![
        ("backup", backup.id.to_string()),
        ("name", backup.name.clone()),
        ("description", text(backup.description.clone())),
        ("instance", listed.instance()),
        ("project", backup.project_id.to_string()),
        ("database", format!("{} {}", datastore.engine, datastore.version)),
        ("kind", kind),
        ("status", table::status(&backup)),
        ("asked for", format!("{} UTC, {}", backup.created, table::age(backup.created))),
        ("archive", text(backup.location_ref.clone())),
        ("size", table::size(&backup)),
        ("restores to", text(backup.source_bytes.map(terminal::human))),
        ("checksum", text(backup.checksum.clone())),
        ("proven", listed.proof.clone()),
        ("drill", table::drill(&backup)),
    ];
    let drill_failure = backup.drill.as_ref().and_then(|drill| drill.failure.as_ref());
    for (label, failure) in [("failure", backup.failure.as_ref()), ("drill failed", drill_failure)]
    {
        lines.extend(failure.map(|failure| (label, failure.message.clone())));
    }
    lines.extend(backup.copies.iter().map(|it| ("copy", table::copy(it))));
    for (label, value) in lines {
        terminal::say(format_args!("{label:<12}  {value}"));
    }
    terminal::say_left_out(&backup.left_out);
    Ok(())
}
