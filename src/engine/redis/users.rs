//! The users of a server's access control list. A snapshot does not hold them.

use super::client::{ANSWER_TIMEOUT, Client};
use crate::domain::{Cancel, LeftOut};
use crate::engine::tool::ToolError;
use crate::engine::{EngineError, Result};

/// How every user begins in the answer.
const USER: &str = "user ";

/// How the server refuses to say it.
const DENIED: &str = "NOPERM";

const WHY: &str = "a snapshot holds keys and functions: ACL SAVE or CONFIG REWRITE writes them to a file; keep a copy of it";

/// The user that every server has, and what it may do there unless somebody changed it.
const DEFAULT: &str = "default";
const EVERYTHING: [&str; 4] = ["on", "nopass", "~*", "+@all"];

/// The users that somebody made or changed. There are some if one is used here.
pub(super) fn left_out(client: &Client<'_>, cancel: &Cancel) -> Result<Option<LeftOut>> {
    let answer = client.tool().args(["ACL", "LIST"]).timeout(ANSWER_TIMEOUT).output(cancel);
    let answer = match answer {
        Err(ToolError::Cancelled) => return Err(EngineError::Cancelled),
        // An old server has none, and not every user may ask.
        answer => answer.unwrap_or_default(),
    };
    let text = String::from_utf8_lossy(&answer);
    let is_listed = text.lines().any(|line| line.starts_with(USER));
    if !is_listed && (client.server.user.is_some() || text.contains(DENIED)) {
        return Ok(Some(LeftOut::new(
            "the users",
            format!("{WHY}. This user may not see which there are: +acl|list lets it"),
        )));
    }
    let names = own_users(&text);
    let what = format!("the users {}", names.join(", "));
    Ok((!names.is_empty()).then(|| LeftOut::new(what, WHY)))
}

fn own_users(answer: &str) -> Vec<&str> {
    let users = answer.lines().filter_map(|line| line.strip_prefix(USER)?.split_once(' '));
    let own = users.filter(|(name, rules)| {
        let rules: Vec<&str> = rules.split_whitespace().collect();
        *name != DEFAULT || !EVERYTHING.iter().all(|it| rules.contains(it))
    });
    own.map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_named_but_for_the_default_one_as_every_server_has_it() {
        let usual = "user default on nopass sanitize-payload ~* &* +@all\n";
        assert_eq!(own_users(usual), Vec::<&str>::new());
        assert_eq!(own_users(&format!("user app on #12 ~app:* -@all +get\n{usual}")), ["app"]);
        assert_eq!(own_users("user default on #12 ~* &* +@all\n"), ["default"]);
        assert_eq!(own_users("NOPERM this user has no permissions\n"), Vec::<&str>::new());
    }
}
