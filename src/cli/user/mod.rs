//! `coffer user`: who signs in with a password, as OpenStack's clients do.

mod credential;

use std::io::{self, IsTerminal as _};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::config::Config;
use crate::domain::{Action, Actor, ProjectId, Role, with_causes};
use crate::server::{self, ServerError};
use crate::storage::{Local, LocalSettings, StorageError};
use crate::users::{PasswordHash, User, UserList, UsersError};

use super::args::WithConfig;
use super::error::{CommandError, Result};
use super::terminal;
use super::token::parse_role;

#[derive(Debug, Args)]
pub(super) struct UserArgs {
    #[command(subcommand)]
    command: UserCommand,
}

#[derive(Debug, Subcommand)]
enum UserCommand {
    /// Add a user. The password is asked for.
    Add(AddArgs),
    /// List the users.
    List(ListArgs),
    /// Remove a user, with the credentials. Tokens of the user end within a second.
    Remove(RemoveArgs),
    /// Set another password, which is asked for. Tokens of the user end.
    Password(PasswordArgs),
    /// Add, list and remove application credentials, which programs sign in with instead of a password.
    Credential(credential::CredentialArgs),
}

#[derive(Debug, Args)]
struct AddArgs {
    /// The name to sign in with. It is in the log and the events.
    #[arg(value_name = "NAME")]
    name: String,
    /// The project that it gives access to.
    #[arg(long, value_name = "PROJECT", default_value = "default")]
    project: ProjectId,
    /// What it allows: reader, member or admin.
    #[arg(long, value_name = "ROLE", default_value = "member", value_parser = parse_role)]
    role: Role,
    /// Read the password from the first line of the standard input.
    #[arg(long)]
    password_stdin: bool,
    /// Report as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    with: WithConfig,
}

#[derive(Debug, Args)]
struct ListArgs {
    /// Report as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    with: WithConfig,
}

#[derive(Debug, Args)]
struct RemoveArgs {
    /// The user.
    #[arg(value_name = "NAME")]
    name: String,
    /// Report as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    with: WithConfig,
}

#[derive(Debug, Args)]
struct PasswordArgs {
    /// The user.
    #[arg(value_name = "NAME")]
    name: String,
    /// Read the password from the first line of the standard input.
    #[arg(long)]
    password_stdin: bool,
    /// Report as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    with: WithConfig,
}

pub(super) fn run(args: &UserArgs) -> Result<()> {
    match &args.command {
        UserCommand::Add(args) => add(args),
        UserCommand::List(args) => list(args),
        UserCommand::Remove(args) => remove(args),
        UserCommand::Password(args) => set_password(args),
        UserCommand::Credential(args) => credential::run(args),
    }
}

fn add(args: &AddArgs) -> Result<()> {
    let config = args.with.load()?;
    let (name, project, role) = (&args.name, &args.project, args.role);
    if config.auth.tokens.iter().any(|it| it.name == *name) {
        let why = format!("{name:?} is the name of a token of the configuration; use another one");
        return Err(CommandError::Failed(why));
    }
    // Before anything is typed in vain.
    if read(&config)?.named(name).is_some() {
        return Err(refused(UsersError::NameTaken(name.clone())));
    }
    let hash = new_password(args.password_stdin)?;
    let user = User::new(name, project.clone(), role, hash).map_err(refused)?;
    let shown = view(&user);
    change(&config, |users| users.add(user))?;
    record(&config, Action::UserAdd, (name, project), format!("as {}", role.as_str()));
    if args.json {
        terminal::say_json(&json!({ "user": shown }));
    } else {
        let role = role.as_str();
        terminal::say(format_args!("{name} signs in to project {project} as {role}."));
    }
    Ok(())
}

fn list(args: &ListArgs) -> Result<()> {
    let users = read(&args.with.load()?)?;
    if args.json {
        let users: Vec<_> = users.all().iter().map(view).collect();
        terminal::say_json(&json!({ "users": users }));
        return Ok(());
    }
    if users.all().is_empty() {
        terminal::say(
            "There are no users. Add one: coffer user add NAME --project PROJECT --role ROLE",
        );
    }
    let width = users.all().iter().map(|it| it.name.chars().count()).max().unwrap_or_default();
    for user in users.all() {
        let (name, project, role) = (&user.name, &user.project_id, user.role.as_str());
        let credentials =
            terminal::counted(user.credentials.len().try_into().unwrap_or(u32::MAX), "credential");
        terminal::say(format_args!("{name:<width$}  {role:<6}  {project}  {credentials}"));
    }
    Ok(())
}

fn remove(args: &RemoveArgs) -> Result<()> {
    let config = args.with.load()?;
    let user = change(&config, |users| users.remove(&args.name))?;
    record(&config, Action::UserRemove, (&user.name, &user.project_id), String::new());
    if args.json {
        terminal::say_json(&json!({ "removed": view(&user) }));
    } else {
        terminal::say(format_args!("{} is removed.", user.name));
    }
    Ok(())
}

fn set_password(args: &PasswordArgs) -> Result<()> {
    let (config, name) = (args.with.load()?, &args.name);
    let users = read(&config)?;
    let user = users.named(name).ok_or_else(|| refused(UsersError::NoSuchUser(name.clone())))?;
    let hash = new_password(args.password_stdin)?;
    change(&config, |users| users.set_password(name, hash))?;
    record(&config, Action::UserPassword, (name, &user.project_id), String::new());
    if args.json {
        terminal::say_json(&json!({ "changed": name }));
    } else {
        terminal::say(format_args!("{name} has another password."));
    }
    Ok(())
}

fn view(user: &User) -> Value {
    json!({
        "id": user.id,
        "name": user.name,
        "project_id": user.project_id,
        "role": user.role,
        "credentials": user.credentials.len(),
    })
}

/// The hash of a password that was typed twice in the same way, or is the first line of the standard input.
fn new_password(from_stdin: bool) -> Result<PasswordHash> {
    if !from_stdin && !io::stdin().is_terminal() {
        let why = "the password is asked for on a terminal; without one, give --password-stdin";
        return Err(CommandError::Usage(why.to_owned()));
    }
    let nothing = || CommandError::Usage("the password is empty; nothing was changed".to_owned());
    let password = terminal::ask_secret("New password: ").ok_or_else(nothing)?;
    if !from_stdin && terminal::ask_secret("The same again: ").as_ref() != Some(&password) {
        return Err(CommandError::Failed(
            "the two passwords differ; nothing was changed".to_owned(),
        ));
    }
    PasswordHash::of(&password).map_err(refused)
}

fn local(config: &Config) -> Result<Local> {
    let path = &config.data_dir;
    if path.try_exists().is_ok_and(|exists| !exists) {
        let why = format!(
            "there is no data directory {}; is data_dir right? The first start of the server makes it",
            path.display()
        );
        return Err(CommandError::Failed(why));
    }
    Local::existing(path, LocalSettings::default()).map_err(|error| not_used(config, error))
}

/// The users of the data directory.
pub(super) fn read(config: &Config) -> Result<UserList> {
    let text = local(config)?.users().map_err(|error| not_used(config, error))?;
    parse(text.as_deref()).map_err(refused)
}

fn parse(text: Option<&[u8]>) -> Result<UserList, UsersError> {
    text.map_or_else(|| Ok(UserList::default()), UserList::parse)
}

/// Changes the users of the data directory. A running server notices by itself.
fn change<T>(
    config: &Config,
    change: impl FnOnce(&mut UserList) -> Result<T, UsersError>,
) -> Result<T> {
    let mut made = None;
    let changed = local(config)?.change_users(|text| {
        let mut users = parse(text.as_deref())?;
        made = Some(change(&mut users)?);
        users.to_text()
    });
    changed.map_err(|error| not_used(config, error))?.map_err(refused)?;
    made.ok_or_else(|| CommandError::Failed("nothing was changed".to_owned()))
}

/// Writes to the event log what was done with a user; it is done also if that fails. Before the first start of the server
/// there is no log.
fn record(config: &Config, action: Action, user: (&str, &ProjectId), detail: String) {
    if !config.catalog_file().exists() {
        return;
    }
    let opened = server::open_existing(config).map_err(|error| with_causes(&error));
    let recorded = opened.and_then(|context| {
        let recorded = context.catalog.record_user(action, Actor::command_line(), user, detail);
        let recorded = recorded.wait();
        context.catalog.close();
        recorded.map_err(|error| with_causes(&error))
    });
    if let Err(why) = recorded {
        terminal::warn(format_args!("it is done, but not in the event log: {why}"));
    }
}

/// The error for the file of users; a refusal says who may.
fn not_used(config: &Config, error: StorageError) -> CommandError {
    let error = match error {
        StorageError::Io { action, what, source }
            if source.kind() == io::ErrorKind::PermissionDenied =>
        {
            let mend = server::mended_by(&config.data_dir, true);
            ServerError::Denied { what: format!("{action} {what}"), mend }
        }
        error => error.into(),
    };
    CommandError::Server(error)
}

fn refused(error: UsersError) -> CommandError {
    let text = error.to_string();
    match error {
        UsersError::NoSuchUser(_) | UsersError::NoSuchCredential(_) => CommandError::NotFound(text),
        UsersError::BadName(_) | UsersError::BadPassword(_) | UsersError::MoreThanUser { .. } => {
            CommandError::Usage(text)
        }
        UsersError::Malformed(why) => {
            CommandError::Failed(format!("users.json is not a list of users: {why}"))
        }
        _ => CommandError::Failed(text),
    }
}
