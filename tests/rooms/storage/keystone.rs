//! Logging in at Keystone for a container of Swift.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use coffer::storage::{LoginSource, Place as _, Refusal, StorageError, Swift, SwiftSettings};

use super::places;
use super::swift::plan;
use super::swift::server::{LOGIN, SwiftServer};

#[path = "../../servers/keystone.rs"]
mod server;

use self::server::{Keystone, SECRET};

fn container(auth_url: &str, region: Option<&str>, login: LoginSource) -> Swift {
    Swift::new(SwiftSettings {
        name: "offsite".to_owned(),
        auth_url: auth_url.to_owned(),
        region: region.map(str::to_owned),
        container: "kept".to_owned(),
        prefix: String::new(),
        ca_file: None,
        login,
        patience: Duration::from_secs(60),
        retry_after: Duration::from_millis(1),
    })
    .unwrap()
}

fn file(folder: &tempfile::TempDir, name: &str, text: &str) -> LoginSource {
    let path = folder.path().join(name);
    #[expect(clippy::disallowed_methods, reason = "a test sets up files")]
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    LoginSource::File(path)
}

fn password(folder: &tempfile::TempDir, password: &str) -> LoginSource {
    let text = format!(
        "export OS_AUTH_URL=elsewhere\nexport OS_USERNAME=coffer\nexport OS_PROJECT_NAME=backups\n\
         export OS_PASSWORD='{password}'\n"
    );
    file(folder, "password", &text)
}

#[test]
fn a_login_at_keystone_finds_the_store_in_its_region_and_is_renewed_when_its_token_has_run_out() {
    let (swift, folder) = (SwiftServer::start(), tempfile::tempdir().unwrap());
    swift.make_container("kept");
    let keystone = Keystone::before(&swift.auth_url(), LOGIN.map(|(_, value)| value));
    let base = keystone.base();
    let (plan, bytes) = (plan(2000, 1500), vec![7; 2000]);
    let place = container(&format!("{base}/v3"), Some("two"), password(&folder, SECRET));
    places::copy(&place, &plan, &bytes).unwrap();
    assert!(places::read(&place, &plan.location) == bytes);
    let by = |how: &str, taken| (how.to_owned(), taken);
    assert_eq!(keystone.logins(), [by("password", true), by("password", true)], "and no more");

    let text =
        format!("OS_APPLICATION_CREDENTIAL_ID=app\nOS_APPLICATION_CREDENTIAL_SECRET={SECRET}\n");
    let place = container(&format!("{base}/"), Some("two"), file(&folder, "application", &text));
    assert_eq!(place.list().unwrap().len(), 1);
    assert_eq!(keystone.logins()[2..], [by("application", true)]);

    let wrong = container(base, Some("two"), password(&folder, "guessed"));
    let error = wrong.list().unwrap_err();
    let is_it = matches!(&error, StorageError::Refused { refusal: Refusal::WrongLogin, .. });
    assert!(is_it && error.is_about_place(), "{error}");
    assert_eq!(keystone.logins().len(), 4, "what is wrong is not tried again");
    let nowhere = container(base, Some("three"), password(&folder, SECRET)).list().unwrap_err();
    assert!(nowhere.to_string().contains("region three"), "{nowhere}");
    assert!(nowhere.to_string().contains("(regions: one, two)"), "{nowhere}");
    for error in [error, nowhere] {
        let text = format!("{error} {error:?}");
        assert!(
            !text.contains("guessed") && !text.contains("s3cr"),
            "a password is a secret: {text}"
        );
    }
}
