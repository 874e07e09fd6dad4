//! Documents for users, checked against the program: the messages they quote, the configuration they show, their links.

use std::path::{Path, PathBuf};

use coffer::config::Config;

use super::{root, sources};

/// Every document for users, by its path in the repository.
pub(crate) fn all() -> Vec<(String, String)> {
    let mut names = vec!["README.md".to_owned(), "CHANGELOG.md".to_owned()];
    for folder in ["packaging/doc", "packaging/doc/engines"] {
        let entries = std::fs::read_dir(root().join(folder)).expect("the folder can be listed");
        let paths = entries.map(|it| it.expect("the folder can be listed").path());
        for page in paths.filter(|it| it.extension().is_some_and(|it| it == "md")) {
            let page = page.strip_prefix(root()).expect("it was found there");
            names.push(page.to_string_lossy().into_owned());
        }
    }
    assert!(names.len() > 8, "the pages were not found: {names:?}");
    let read = |name: String| {
        let text = std::fs::read_to_string(root().join(&name)).expect("a document is text");
        (name, text)
    };
    names.into_iter().map(read).collect()
}

/// The text of `src` on one line, with the texts in it as they are shown: an escaped end of a line joins two parts.
fn program() -> String {
    let sources = sources().into_iter().filter(|(path, _)| path.starts_with("src"));
    let text: String = sources.map(|(_, text)| text).collect();
    let mut shown = String::with_capacity(text.len());
    for (at, part) in text.split("\\\n").enumerate() {
        shown.push_str(if at == 0 { part } else { part.trim_start() });
    }
    shown
}

#[test]
fn every_message_in_the_table_of_troubles_is_one_of_the_program() {
    let page = root().join("packaging/doc/troubleshooting.md");
    let page = std::fs::read_to_string(page).expect("the page is text");
    let quoted = page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let quoted: Vec<&str> = quoted.collect();
    assert!(quoted.len() > 30, "the tables were not found: {quoted:?}");
    let program = program();
    let missing: Vec<&str> = quoted.into_iter().filter(|it| !program.contains(it)).collect();
    assert_eq!(missing, [""; 0]);
}

#[test]
fn the_configuration_in_the_documents_is_understood() {
    for (name, text) in all() {
        for block in text.split("```toml\n").skip(1) {
            let (block, _) = block.split_once("```").expect("the block ends");
            // What stands for a key of the reader's own.
            let block = block.replace("\"age1…\", \"ssh-ed25519 AAAA…\"", "");
            // A block shows one thing; what it refers to stands in another.
            let read = Config::from_toml(&(block.clone() + &what_it_refers_to(&block)), &name);
            assert!(read.is_ok(), "{name}:\n{block}\n{}", read.unwrap_err());
        }
    }
}

/// The other half of a block that shows how something that it does not repeat is used.
fn what_it_refers_to(block: &str) -> String {
    let mut more = String::new();
    if block.contains("name = \"shop\"") && !block.contains("engine = ") {
        more +=
            "project_id = \"default\"\nengine = \"sqlite\"\nsource = { path = \"/srv/shop.db\" }\n";
    }
    if block.contains("[[places]]") && !block.contains("type = ") {
        more += "type = \"s3\"\nendpoint = \"https://s3.example.org\"\nbucket = \"backups\"\n";
    }
    if block.contains("copies = [") && !block.contains("[[places]]") {
        more += "[[places]]\nname = \"offsite\"\ntype = \"disk\"\npath = \"/mnt/nas\"\n";
    }
    if block.contains("alerts = [") && !block.contains("[[alerts]]") {
        more += "[[alerts]]\nname = \"ops\"\nntfy = \"https://ntfy.example.org/backups\"\n";
    }
    more
}

#[test]
fn the_links_in_the_documents_lead_somewhere() {
    let mut broken = Vec::new();
    for (name, text) in all() {
        let folder: PathBuf = Path::new(&name).parent().expect("it has a folder").into();
        for link in text.split("](").skip(1).filter_map(|it| it.split(')').next()) {
            let file = link.split('#').next().unwrap_or_default();
            let is_a_file = !file.is_empty() && !file.contains("://");
            if is_a_file && !root().join(&folder).join(file).exists() {
                broken.push(format!("{name}: {link}"));
            }
        }
    }
    assert_eq!(broken, [""; 0]);
}
