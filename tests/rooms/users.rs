//! The list of users: what may be in it, and how it is read back.

use coffer::domain::Role;
use coffer::users::{PasswordHash, User, UserList, UsersError};

fn user(name: &str, role: Role) -> Result<User, UsersError> {
    User::new(name, "p".parse().unwrap(), role, PasswordHash::of("a password")?)
}

#[test]
fn a_list_is_read_back_as_it_was_written_and_holds_no_secret() {
    let mut list = UserList::default();
    list.add(user("mia", Role::Member).unwrap()).unwrap();
    let (credential, secret) = list.add_credential("mia", "ci", None).unwrap();
    let text = list.to_text().unwrap();
    assert_eq!(UserList::parse(text.as_bytes()).unwrap(), list);
    for hidden in ["a password", secret.reveal()] {
        assert!(!text.contains(hidden), "{text}");
    }
    let shown = format!("{list:?}");
    assert!(!shown.contains("ln=13") && !shown.contains(secret.reveal()), "{shown}");
    let (of, removed) = list.remove_credential(&credential.id).unwrap();
    assert_eq!((of.as_str(), removed), ("mia", credential));
}

#[test]
fn names_are_unique_and_a_credential_allows_no_more_than_its_user() {
    let mut list = UserList::default();
    list.add(user("rita", Role::Reader).unwrap()).unwrap();
    let again = list.add(user("rita", Role::Admin).unwrap());
    assert!(matches!(again, Err(UsersError::NameTaken(_))), "{again:?}");
    let more = list.add_credential("rita", "ci", Some(Role::Member));
    assert!(matches!(more, Err(UsersError::MoreThanUser { .. })), "{more:?}");
    list.add_credential("rita", "ci", Some(Role::Reader)).unwrap();
    let again = list.add_credential("rita", "ci", None);
    assert!(matches!(again, Err(UsersError::CredentialTaken { .. })), "{again:?}");
    for bad in ["", "a:b", "a/b", "a\nb", "…", &"x".repeat(256)] {
        assert!(matches!(user(bad, Role::Member), Err(UsersError::BadName(_))), "{bad:?}");
    }
}

#[test]
fn a_list_that_makes_no_sense_is_refused_whole() {
    let mut list = UserList::default();
    list.add(user("mia", Role::Member).unwrap()).unwrap();
    let text = list.to_text().unwrap();
    let twice = text.replace("\"users\": [", &format!("\"users\": [{},", entry(&text)));
    for bad in [
        String::new(),
        "[]".to_owned(),
        text.replace("\"version\": 1", "\"version\": 2"),
        text.replace("member", "owner"),
        text.replace("ln=13", "ln=40"),
        text.replace("\"role\"", "\"rolle\""),
        twice,
    ] {
        assert!(UserList::parse(bad.as_bytes()).is_err(), "{bad}");
    }
}

/// The text of the only user.
fn entry(text: &str) -> String {
    let value: serde_json::Value = serde_json::from_str(text).unwrap();
    value["users"][0].to_string()
}
