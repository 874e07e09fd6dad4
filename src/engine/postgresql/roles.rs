//! The statements of `pg_dumpall --roles-only`, without those for roles that are there already.

use std::collections::BTreeSet;

/// What is to be run.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Script {
    pub(super) text: Vec<u8>,
    /// The roles it makes, as they are quoted in it.
    pub(super) made: Vec<String>,
}

/// Leaves out the making of roles in `there`. A role of a running server is not altered either; in a new
/// cluster the one that is there is the original's own first role, and is to be as it was.
pub(super) fn without(text: &[u8], there: &[String], new: bool) -> Script {
    let text = String::from_utf8_lossy(text);
    let there: BTreeSet<&str> = there.iter().map(String::as_str).collect();
    let mut script = Script { text: Vec::new(), made: Vec::new() };
    let mut skipping = false;
    for line in text.split_inclusive('\n') {
        let bare = line.trim_end();
        let statement = bare.strip_suffix(';').unwrap_or(bare);
        if !skipping {
            if let Some(role) = statement.strip_prefix("CREATE ROLE ") {
                skipping = there.contains(role);
                if !skipping {
                    script.made.push(role.to_owned());
                }
            } else if let Some(rest) = statement.strip_prefix("ALTER ROLE ") {
                skipping = !new && there.contains(role_of(rest));
            } else if let Some(rest) = statement.strip_prefix("GRANT ") {
                skipping = !new && is_between(rest, &there);
            } else if statement.starts_with("\\restrict ") || statement.starts_with("\\unrestrict ")
            {
                // Frames of newer versions for psql, which never gets to see this.
                continue;
            }
        }
        if skipping {
            skipping = !bare.ends_with(';');
        } else {
            script.text.extend_from_slice(line.as_bytes());
        }
    }
    script
}

/// The script as psql sends it to the server byte for byte: as a text that it is given back and told to
/// run. In a script from elsewhere, `\!` would be a command for this machine's shell.
pub(super) fn sent_as_it_is(text: &[u8]) -> Vec<u8> {
    let occurs = |tag: &str| text.windows(tag.len()).any(|it| it == tag.as_bytes());
    let mut tags = (0..=text.len()).map(|number| format!("$coffer{number}$"));
    let tag =
        tags.find(|tag| !occurs(tag)).expect("a text has no room for more tags than it has bytes");
    [b"SELECT ", tag.as_bytes(), text, tag.as_bytes(), b" \\gexec\n"].concat()
}

/// Whether both roles of a membership are there: who belongs to whom in a running server is its own affair.
fn is_between(rest: &str, there: &BTreeSet<&str>) -> bool {
    let role = role_of(rest);
    let member = rest.get(role.len()..).and_then(|rest| rest.strip_prefix(" TO ")).map(role_of);
    there.contains(role) && member.is_some_and(|member| there.contains(member))
}

/// The role's name, quoted or not, at the begin of what follows `ALTER ROLE`.
fn role_of(rest: &str) -> &str {
    let mut quotes = false;
    let end = rest.char_indices().find(|(_, letter)| {
        quotes ^= *letter == '"';
        *letter == ' ' && !quotes
    });
    end.and_then(|(at, _)| rest.get(..at)).unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "SET x = on;\nCREATE ROLE \"a b\";\nALTER ROLE \"a b\" WITH LOGIN;\n\
        CREATE ROLE postgres;\nALTER ROLE postgres WITH SUPERUSER;\n\
        ALTER ROLE postgres SET note TO 'two\nlines';\nGRANT \"a b\" TO postgres;\n";

    fn run(there: &str, new: bool) -> (String, Vec<String>) {
        let script = without(TEXT.as_bytes(), &[there.to_owned()], new);
        (String::from_utf8(script.text).unwrap(), script.made)
    }

    #[test]
    fn a_role_of_a_running_server_is_neither_made_nor_altered() {
        let (text, made) = run("postgres", false);
        assert_eq!(made, ["\"a b\""]);
        assert_eq!(
            text,
            "SET x = on;\nCREATE ROLE \"a b\";\nALTER ROLE \"a b\" WITH LOGIN;\nGRANT \"a b\" TO postgres;\n"
        );
        let (text, made) = run("\"a b\"", false);
        assert_eq!(made, ["postgres"]);
        assert!(!text.contains("LOGIN") && text.contains("two\nlines"), "{text}");
    }

    #[test]
    fn a_script_cannot_end_the_text_it_is_sent_as() {
        let sent = sent_as_it_is(b"$coffer0$ \\! id");
        assert_eq!(sent, b"SELECT $coffer1$$coffer0$ \\! id$coffer1$ \\gexec\n");
        let framed = without(b"\\restrict x\nSELECT 1;\n\\unrestrict x\n", &[], true);
        assert_eq!(framed.text, b"SELECT 1;\n");
    }

    #[test]
    fn memberships_of_a_running_server_stay_as_they_are() {
        let there = ["postgres".to_owned(), "\"a b\"".to_owned()];
        let script = without(TEXT.as_bytes(), &there, false);
        assert_eq!(script.text, b"SET x = on;\n");
    }

    #[test]
    fn the_first_role_of_a_new_cluster_becomes_as_it_was() {
        let (text, _) = run("postgres", true);
        assert!(!text.contains("CREATE ROLE postgres") && text.contains("SUPERUSER"), "{text}");
    }
}
