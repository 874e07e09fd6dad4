//! `coffer token new`.

use clap::{Args, Subcommand};
use serde_json::json;

use crate::domain::{ProjectId, Role};
use crate::server::NewToken;

use super::error::{CommandError, Result, failed};
use super::terminal;

#[derive(Debug, Args)]
pub(super) struct TokenArgs {
    #[command(subcommand)]
    command: TokenCommand,
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    /// Make a token: print its secret once, and the lines for the configuration, which hold only its hash.
    New(NewArgs),
}

#[derive(Debug, Args)]
struct NewArgs {
    /// The token's name, in the log and as the user name of HTTP Basic.
    #[arg(long)]
    name: String,
    /// The project that it gives access to.
    #[arg(long, value_name = "PROJECT", default_value = "default")]
    project: ProjectId,
    /// What it allows: reader, member or admin. May be given more than once.
    #[arg(long, value_name = "ROLE", default_value = "member", value_parser = parse_role)]
    role: Vec<Role>,
    /// Report as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn parse_role(word: &str) -> Result<Role, String> {
    match word {
        "admin" => Ok(Role::Admin),
        "member" => Ok(Role::Member),
        "reader" => Ok(Role::Reader),
        _ => Err("one of admin, member, reader".to_owned()),
    }
}

pub(super) fn run(args: &TokenArgs) -> Result<()> {
    let TokenCommand::New(args) = &args.command;
    if args.name.is_empty() || args.name.contains(|it: char| it == ':' || it.is_control()) {
        let why = "--name: at least one character, no colon (HTTP Basic ends a user name there)";
        return Err(CommandError::Usage(why.to_owned()));
    }
    let token = NewToken::generate().map_err(failed("making a token"))?;
    let sha256 = hex::encode(token.sha256());
    if args.json {
        terminal::say_json(&json!({
            "token": token.secret(),
            "entry": {
                "name": args.name,
                "project_id": args.project,
                "roles": args.role,
                "sha256": sha256,
            },
        }));
        return require_shown();
    }
    // A JSON string or list is a TOML one too.
    let (name, roles) = (json!(args.name), json!(args.role));
    terminal::say(format_args!(
        "The token, shown this once:\n\n    {}\n\nAdd this to the configuration, and have the server read it (systemctl reload coffer):\n\n\
         [[auth.tokens]]\nname = {name}\nproject_id = \"{}\"\nroles = {roles}\nsha256 = \"{sha256}\"",
        token.secret(),
        args.project,
    ));
    require_shown()
}

/// This is the only time that the secret is shown, so whoever did not get it has to know.
fn require_shown() -> Result<()> {
    terminal::lost_output().map_or(Ok(()), |error| {
        let advice = "do not use this one; make another";
        Err(CommandError::Failed(format!("the token could not be written: {error}; {advice}")))
    })
}
