//! `coffer user credential`: what programs sign in with instead of their user's password.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::cli::args::WithConfig;
use crate::cli::error::{CommandError, Result};
use crate::cli::terminal;
use crate::cli::token::parse_role;
use crate::domain::{Action, Role};
use crate::users::{Credential, User, UsersError};

use super::{change, read, record, refused};

#[derive(Debug, Args)]
pub(super) struct CredentialArgs {
    #[command(subcommand)]
    command: CredentialCommand,
}

#[derive(Debug, Subcommand)]
enum CredentialCommand {
    /// Add a credential: print its id, and its secret once.
    Add(AddArgs),
    /// List credentials.
    List(ListArgs),
    /// Remove a credential. Tokens of it end within a second.
    Remove(RemoveArgs),
}

#[derive(Debug, Args)]
struct AddArgs {
    /// The user whose program it is for.
    #[arg(value_name = "USER")]
    user: String,
    /// Its name, to know it by.
    #[arg(long)]
    name: String,
    /// What it allows, at most what its user may [default: the same].
    #[arg(long, value_name = "ROLE", value_parser = parse_role)]
    role: Option<Role>,
    /// Report as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    with: WithConfig,
}

#[derive(Debug, Args)]
struct ListArgs {
    /// Only those of this user.
    #[arg(value_name = "USER")]
    user: Option<String>,
    /// Report as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    with: WithConfig,
}

#[derive(Debug, Args)]
struct RemoveArgs {
    /// The credential's id.
    #[arg(value_name = "ID")]
    id: String,
    /// Report as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    with: WithConfig,
}

pub(super) fn run(args: &CredentialArgs) -> Result<()> {
    match &args.command {
        CredentialCommand::Add(args) => add(args),
        CredentialCommand::List(args) => list(args),
        CredentialCommand::Remove(args) => remove(args),
    }
}

fn add(args: &AddArgs) -> Result<()> {
    let config = args.with.load()?;
    let made = change(&config, |users| users.add_credential(&args.user, &args.name, args.role));
    let (credential, secret) = made?;
    if let Some(user) = read(&config)?.named(&args.user) {
        let (of, detail) = ((args.user.as_str(), &user.project_id), of_credential(&credential));
        record(&config, Action::CredentialAdd, of, detail);
    }
    if args.json {
        terminal::say_json(&json!({
            "credential": view(&args.user, &credential),
            "secret": secret.reveal(),
        }));
    } else {
        terminal::say(format_args!(
            "The credential, whose secret is shown this once; for clouds.yaml:\n\n    auth_type: v3applicationcredential\n    auth:\n      \
             application_credential_id: {}\n      application_credential_secret: {}",
            credential.id,
            secret.reveal(),
        ));
    }
    terminal::lost_output().map_or(Ok(()), |error| {
        let advice =
            format!("remove it (coffer user credential remove {}) and add another", credential.id);
        Err(CommandError::Failed(format!("the secret could not be written: {error}; {advice}")))
    })
}

fn list(args: &ListArgs) -> Result<()> {
    let users = read(&args.with.load()?)?;
    if let Some(name) = args.user.as_deref().filter(|it| users.named(it).is_none()) {
        return Err(refused(UsersError::NoSuchUser(name.to_owned())));
    }
    let is_meant = |user: &&User| args.user.as_ref().is_none_or(|name| user.name == *name);
    let of_users = users.all().iter().filter(is_meant);
    let found = of_users.flat_map(|user| user.credentials.iter().map(move |it| (user, it)));
    if args.json {
        let views: Vec<_> = found.map(|(user, it)| view(&user.name, it)).collect();
        terminal::say_json(&json!({ "credentials": views }));
        return Ok(());
    }
    for (user, Credential { id, name, role, .. }) in found {
        terminal::say(format_args!("{id}  {:<6}  {}  {name}", role.as_str(), user.name));
    }
    Ok(())
}

fn remove(args: &RemoveArgs) -> Result<()> {
    let config = args.with.load()?;
    let (user, credential) = change(&config, |users| users.remove_credential(&args.id))?;
    if let Some(found) = read(&config)?.named(&user) {
        let (of, detail) = ((user.as_str(), &found.project_id), of_credential(&credential));
        record(&config, Action::CredentialRemove, of, detail);
    }
    if args.json {
        terminal::say_json(&json!({ "removed": view(&user, &credential) }));
    } else {
        terminal::say(format_args!("The credential {} of {user} is removed.", credential.name));
    }
    Ok(())
}

/// For the event log.
fn of_credential(Credential { id, name, role, .. }: &Credential) -> String {
    format!("{name} ({id}) as {}", role.as_str())
}

fn view(user: &str, credential: &Credential) -> Value {
    let Credential { id, name, role, .. } = credential;
    json!({ "id": id, "name": name, "role": role, "user": user })
}
