//! What the roles that Keystone knows allow here.

use std::sync::Arc;

use crate::domain::{Caller, Role};

use super::KeystoneError;
use super::answer::Token;

/// The longest name of a user that is shown, in characters, and that of a domain.
const NAME_SHOWN: usize = 120;

/// Names of roles in Keystone, by what they allow. Keystone's names are the same in capitals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roles {
    pub admin: Vec<String>,
    pub member: Vec<String>,
    pub reader: Vec<String>,
    /// Whether administrators act in every project; otherwise they are members of their own.
    pub admin_everywhere: bool,
}

impl Roles {
    /// Who sends the token.
    pub(super) fn caller(&self, token: &Token) -> Result<Arc<Caller>, KeystoneError> {
        let project = token.project.clone().ok_or(KeystoneError::NoProject)?;
        let role = self.role(&token.roles).ok_or(KeystoneError::NoRole)?;
        // No token of ours has a colon in its name.
        let name = format!("keystone:{}@{}", shown(&token.user), shown(&token.domain));
        Ok(Arc::new(Caller { name, project: Some(project), roles: vec![role] }))
    }

    fn role(&self, has: &[String]) -> Option<Role> {
        let any =
            |of: &[String]| of.iter().any(|it| has.iter().any(|has| has.eq_ignore_ascii_case(it)));
        if any(&self.admin) {
            return Some(if self.admin_everywhere { Role::Admin } else { Role::Member });
        }
        if any(&self.member) {
            return Some(Role::Member);
        }
        any(&self.reader).then_some(Role::Reader)
    }
}

/// A name as the log and the events show it.
fn shown(name: &str) -> String {
    name.chars().map(|it| if it.is_control() { '?' } else { it }).take(NAME_SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roles() -> Roles {
        let one = |it: &str| vec![it.to_owned()];
        Roles {
            admin: one("admin"),
            member: one("member"),
            reader: one("reader"),
            admin_everywhere: false,
        }
    }

    fn token(roles: &[&str]) -> Token {
        Token {
            user: "mia\n".to_owned(),
            domain: "Default".to_owned(),
            project: Some("p".parse().unwrap()),
            roles: roles.iter().map(|it| (*it).to_owned()).collect(),
            expires_at: "2026-11-23T20:00:00Z".parse().unwrap(),
        }
    }

    #[test]
    fn the_strongest_role_counts_and_admin_acts_everywhere_only_if_it_may() {
        let mut roles = roles();
        let role = |roles: &Roles, has: &[&str]| roles.caller(&token(has)).unwrap().roles.clone();
        assert_eq!(role(&roles, &["reader"]), [Role::Reader]);
        assert_eq!(role(&roles, &["reader", "Member"]), [Role::Member]);
        assert_eq!(role(&roles, &["admin", "member"]), [Role::Member]);
        roles.admin_everywhere = true;
        assert_eq!(role(&roles, &["admin"]), [Role::Admin]);
        assert_eq!(roles.caller(&token(&["reader"])).unwrap().name, "keystone:mia?@Default");
    }

    #[test]
    fn a_token_without_a_project_or_a_named_role_allows_nothing() {
        for none in [&[][..], &["service"], &["administrator"]] {
            assert_eq!(roles().caller(&token(none)), Err(KeystoneError::NoRole));
        }
        let unscoped = Token { project: None, ..token(&["admin"]) };
        assert_eq!(roles().caller(&unscoped), Err(KeystoneError::NoProject));
    }
}
