//! The statements of `pg_dumpall --roles-only`, without those about roles that exist already.

use std::collections::BTreeSet;

/// What to do with roles that exist already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Existing {
    /// Leave them and the memberships between them as they are.
    Keep,
    /// Make them as they were: in a new cluster, the only role is the original's bootstrap role.
    Update,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct RoleScript {
    text: Vec<u8>,
    /// The roles it creates, quoted as in the script.
    pub(super) created: Vec<String>,
}

impl RoleScript {
    /// Leaves out what would create a role in `roles` or, for [`Existing::Keep`], change it.
    pub(super) fn filter(text: &[u8], roles: &[String], existing: Existing) -> Self {
        let text = String::from_utf8_lossy(text);
        let roles: BTreeSet<&str> = roles.iter().map(String::as_str).collect();
        let mut script = Self { text: Vec::new(), created: Vec::new() };
        let mut skipping = false;
        for line in text.split_inclusive('\n') {
            let trimmed = line.trim_end();
            let statement = trimmed.strip_suffix(';').unwrap_or(trimmed);
            if !skipping {
                if let Some(role) = statement.strip_prefix("CREATE ROLE ") {
                    skipping = roles.contains(role);
                    if !skipping {
                        script.created.push(role.to_owned());
                    }
                } else if let Some(rest) = statement.strip_prefix("ALTER ROLE ") {
                    skipping = existing == Existing::Keep && roles.contains(role_of(rest));
                } else if let Some(rest) = statement.strip_prefix("GRANT ") {
                    skipping = existing == Existing::Keep && is_membership_in(&roles, rest);
                } else if statement.starts_with("\\restrict ")
                    || statement.starts_with("\\unrestrict ")
                {
                    // Commands for psql, which does not interpret this script.
                    continue;
                }
            }
            if skipping {
                skipping = !trimmed.ends_with(';');
            } else {
                script.text.extend_from_slice(line.as_bytes());
            }
        }
        script
    }

    /// Each statement. One ends with its line; a setting of several lines may not be told apart.
    pub(super) fn statements(&self) -> Vec<String> {
        let text = String::from_utf8_lossy(&self.text);
        let mut statements = Vec::new();
        let mut statement = String::new();
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with("--")) {
            statement.push_str(line);
            statement.push('\n');
            if line.ends_with(';') {
                statements.push(std::mem::take(&mut statement));
            }
        }
        statements
    }

    /// What to give to psql.
    pub(super) fn as_one_text(&self) -> Vec<u8> {
        as_one_text(&self.text)
    }
}

/// A script for psql as one SQL string, which the server returns and psql then executes. Run directly, a `\!` in an
/// archive's script would be a command for this machine's shell.
pub(super) fn as_one_text(script: &[u8]) -> Vec<u8> {
    let occurs = |tag: &str| script.windows(tag.len()).any(|it| it == tag.as_bytes());
    let mut tags = (0..=script.len()).map(|number| format!("$coffer{number}$"));
    let tag = tags.find(|tag| !occurs(tag)).expect("a text has fewer tags than bytes");
    [b"SELECT ", tag.as_bytes(), script, tag.as_bytes(), b" \\gexec\n"].concat()
}

/// Whether a `GRANT` makes one of `roles` a member of another.
fn is_membership_in(roles: &BTreeSet<&str>, grant: &str) -> bool {
    let role = role_of(grant);
    let member = grant.get(role.len()..).and_then(|rest| rest.strip_prefix(" TO ")).map(role_of);
    roles.contains(role) && member.is_some_and(|member| roles.contains(member))
}

/// The role's name, quoted or not, at the beginning of what follows `ALTER ROLE`.
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

    fn filtered(role: &str, existing: Existing) -> (String, Vec<String>) {
        let script = RoleScript::filter(TEXT.as_bytes(), &[role.to_owned()], existing);
        (String::from_utf8(script.text).unwrap(), script.created)
    }

    #[test]
    fn an_existing_role_is_neither_created_nor_changed() {
        let (text, created) = filtered("postgres", Existing::Keep);
        assert_eq!(created, ["\"a b\""]);
        assert_eq!(
            text,
            "SET x = on;\nCREATE ROLE \"a b\";\nALTER ROLE \"a b\" WITH LOGIN;\nGRANT \"a b\" TO postgres;\n"
        );
        let (text, created) = filtered("\"a b\"", Existing::Keep);
        assert_eq!(created, ["postgres"]);
        assert!(!text.contains("LOGIN") && text.contains("two\nlines"), "{text}");
    }

    #[test]
    fn a_script_cannot_end_the_string_it_is_sent_in() {
        let sent = RoleScript::filter(b"$coffer0$ \\! id", &[], Existing::Update);
        assert_eq!(sent.as_one_text(), b"SELECT $coffer1$$coffer0$ \\! id$coffer1$ \\gexec\n");
        let script = b"\\restrict x\nSELECT 1;\n\\unrestrict x\n";
        assert_eq!(RoleScript::filter(script, &[], Existing::Update).text, b"SELECT 1;\n");
    }

    #[test]
    fn memberships_between_existing_roles_are_not_changed() {
        let roles = ["postgres".to_owned(), "\"a b\"".to_owned()];
        let script = RoleScript::filter(TEXT.as_bytes(), &roles, Existing::Keep);
        assert_eq!(script.text, b"SET x = on;\n");
    }

    #[test]
    fn the_bootstrap_role_of_a_new_cluster_gets_its_settings() {
        let (text, _) = filtered("postgres", Existing::Update);
        assert!(!text.contains("CREATE ROLE postgres") && text.contains("SUPERUSER"), "{text}");
    }
}
