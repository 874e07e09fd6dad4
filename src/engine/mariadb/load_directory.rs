//! Dumps loaded into a new data directory by a private server.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::accounts::{only_those_of, secured};
use super::client::Client;
use super::copied_settings::{self, IGNORES_CASE_OPTION};
use super::dumps::Dumps;
use super::faults::classify;
use super::nested_views;
use super::private_server::{PrivateServer, with_temporary_folder};
use super::programs::Programs;
use super::script::{Script, run_all, run_once};
use super::server_objects::without_password_checks;
use crate::domain::{Cancel, LeftOut};
use crate::engine::tool::Tool;
use crate::engine::tree::Staging;
use crate::engine::{EngineError, Placed, Result, Staged};

/// The folder in the staging folder that becomes the target.
const DATA: &str = "data";

/// A data directory made of dumps.
struct DataDirectory {
    staging: Staging,
    target: PathBuf,
    left_out: Vec<LeftOut>,
}

impl Staged for DataDirectory {
    fn check(&self) -> Option<&str> {
        Some("loaded")
    }

    fn place(self: Box<Self>, left_out: &mut Vec<LeftOut>) -> Result<Placed> {
        left_out.extend(self.staging.place_folder(DATA, &self.target)?);
        left_out.extend(self.left_out);
        Ok(Placed::At(self.target))
    }
}

/// Makes a data directory of `dumps`, in their staging folder.
pub(super) fn make(
    programs: &Programs,
    dumps: Dumps,
    target: PathBuf,
    cancel: &Cancel,
) -> Result<Box<dyn Staged>> {
    let data = dumps.staging.path().join(DATA);
    initialise(programs, &data, cancel)?;
    let log = dumps.staging.path().join("server.log");
    let ignore_case = dumps.ignore_case()?;
    let options = ignore_case.then(|| IGNORES_CASE_OPTION.to_owned());
    let server = PrivateServer::start(programs, &data, &log, options.into_iter().collect(), cancel)
        .map_err(|error| classify(error, "the server for the dumps"))?;
    let left_out = load(&server, &dumps)?;
    server.stop().map_err(|error| classify(error, "stopping the server for the dumps"))?;
    if ignore_case {
        copied_settings::ignore_case(&data)?;
    }
    sync(&data)?;
    Ok(Box::new(DataDirectory { staging: dumps.staging, target, left_out }))
}

/// Loads everything in an order that works: events need time zones, views need the tables of every database, and the
/// accounts that define other views. Returns what the server refused.
fn load(server: &PrivateServer, dumps: &Dumps) -> Result<Vec<LeftOut>> {
    let client = &server.client;
    let first: Vec<Script> = dumps.server().into_iter().collect();
    let mut refused = run_all(client, &first)?;
    refused.extend(run_all(client, &dumps.databases())?);
    // A view on another account's view needs that account, which comes last.
    let again: Vec<Script> =
        nested_views::make(client, &dumps.views())?.into_iter().map(|(script, _)| script).collect();
    let mut named: Vec<LeftOut> = refused.into_iter().flat_map(|(_, it)| it).collect();
    named.extend(run_once(client, &with_accounts(client, dumps, &again)?)?);
    without_data_like_their_tables(&mut named);
    Ok(named)
}

/// Views lack a table that leads to another server, and that this server refused. They hold no data either, and neither
/// do views on them.
fn without_data_like_their_tables(refused: &mut [LeftOut]) {
    loop {
        let names = refused.iter().filter(|it| it.holds_no_data).filter_map(|it| made(&it.what));
        let lacking: Vec<String> = names.map(|name| format!(".{name}' doesn't exist")).collect();
        let mut views = refused.iter_mut().filter(|it| {
            !it.holds_no_data
                && it.what.contains(" VIEW `")
                && lacking.iter().any(|name| it.why.contains(name))
        });
        match views.next() {
            Some(view) => view.holds_no_data = true,
            None => return,
        }
    }
}

/// The name of the table or view that a statement makes.
fn made(statement: &str) -> Option<&str> {
    let mut kinds = ["CREATE TABLE `", " VIEW `"].iter();
    let name = kinds.find_map(|kind| statement.split_once(kind))?.1;
    Some(name.split_once('`')?.0)
}

/// A script of the accounts and of what needs them. It is one, because root's own account may change in it.
fn with_accounts(client: &Client, dumps: &Dumps, views: &[Script]) -> Result<Script> {
    let path = dumps.staging.path().join("last.sql");
    let accounts = dumps.accounts().map(|it| std::fs::read(it.path)).transpose();
    let accounts = accounts.map_err(|error| EngineError::target("reading", &path, error))?;
    let accounts = secured(&String::from_utf8_lossy(&accounts.unwrap_or_default()));
    let (before, after) = only_those_of(&accounts, client)?;
    let (without_checks, with_checks) = without_password_checks(client)?;
    let append = || -> io::Result<()> {
        let mut script = File::create_new(&path)?;
        script.write_all(without_checks.as_bytes())?;
        script.write_all(before.as_bytes())?;
        script.write_all(accounts.as_bytes())?;
        for view in views {
            io::copy(&mut File::open(&view.path)?, &mut script)?;
        }
        script.write_all(after.as_bytes())?;
        script.write_all(with_checks.as_bytes())
    };
    append().map_err(|error| EngineError::target("writing", &path, error))?;
    let name = if views.is_empty() { "the accounts" } else { "the accounts and views" };
    Ok(Script { name: name.to_owned(), path })
}

fn initialise(programs: &Programs, data: &Path, cancel: &Cancel) -> Result<()> {
    let tool = Tool::new(&programs.installer()?)
        .arg("--no-defaults")
        .option("--datadir=", data)
        .args(["--auth-root-authentication-method=normal", "--skip-test-db"]);
    let (tool, _temporary) = with_temporary_folder(tool, data)?;
    tool.run(cancel).map_err(|error| classify(error, "creating a new data directory"))
}

fn sync(data: &Path) -> Result<()> {
    File::open(data)
        .and_then(|folder| Ok(rustix::fs::syncfs(&folder)?))
        .map_err(|error| EngineError::target("syncing", data, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_on_a_table_of_another_server_holds_no_data_either() {
        let mut refused = vec![
            LeftOut::new(
                "CREATE VIEW `b` AS select 1",
                "ERROR 1146: Table 'x.a' doesn't exist (loading views)",
            ),
            LeftOut::new(
                "CREATE VIEW `a` AS select 1",
                "ERROR 1146: Table 'x.far' doesn't exist (loading views)",
            ),
            LeftOut::new(
                "CREATE VIEW `c` AS select 1",
                "ERROR 1146: Table 'x.near' doesn't exist (loading views)",
            ),
            LeftOut {
                holds_no_data: true,
                ..LeftOut::new(
                    "CREATE TABLE `far` ( `id` int )",
                    "ERROR 1286: Unknown storage engine 'SPIDER'",
                )
            },
            LeftOut::new("CREATE TABLE `near` ( `id` int )", "ERROR 1118: no"),
        ];
        without_data_like_their_tables(&mut refused);
        let empty: Vec<bool> = refused.iter().map(|it| it.holds_no_data).collect();
        assert_eq!(empty, [true, true, false, true, false]);
    }
}
