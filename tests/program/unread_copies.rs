//! Encrypted copies that no key on the machine reads: its archives stay.

use super::encryption::{archives, database, new_key, stdout, wait_for_copy};
use crate::support::{TestServer, wait_until, write_file};

#[test]
fn without_a_key_archives_do_not_leave_for_encrypted_copies_and_that_is_said() {
    let (folder, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let path = database(folder.path());
    let (key, public) = new_key(folder.path(), "key");
    let text = format!(
        "[[places]]\nname = \"nas\"\ntype = \"disk\"\npath = \"{}\"\nsame_disk = true\nkeep = {{ last = 9 }}\n\
         [encryption]\nrecipients = [\"{public}\"]\nidentity_files = []",
        place.path().display()
    );
    let mut server = TestServer::builder()
        .instance_sqlite("shop", &path)
        .toml("copies = [\"nas\"]\nkeep = { last = 1 }")
        .toml(&text)
        .setting("storage.trash_window_s", "0")
        .allow_warning("was never tried")
        .start();
    let backups = [(); 2].map(|()| server.admin().full("shop"));
    for backup in &backups {
        wait_for_copy(&server, backup);
    }
    let preview = stdout(server.run(&["retention", "preview", "shop"]));
    assert!(preview.contains("no key of encryption.identity_files reads them"), "{preview}");
    let said = String::from_utf8(server.run(&["doctor"]).stdout).unwrap();
    assert!(said.contains("no key on this machine reads them"), "{said}");
    let config = std::fs::read_to_string(server.config()).unwrap();
    let with_key = config.replace("identity_files = []", &format!("identity_files = [{key:?}]"));
    write_file(server.config(), with_key);
    server.restart();
    wait_until("the older archive to leave", || {
        (archives(server.data_dir(), ".tar.zst").len() == 1).then_some(())
    });
    assert_eq!(archives(place.path(), ".age").len(), 2);
}
