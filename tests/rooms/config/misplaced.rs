//! The error about a key in the wrong section says where it belongs.

use coffer::config::Config;
use coffer::domain::Source;
use coffer::engine::ENGINES;
use rstest::rstest;

fn error_of(text: &str) -> String {
    Config::from_toml(text, "test.toml").unwrap_err().to_string()
}

fn instance(engine: &str, more: &str) -> String {
    format!(
        "[[instances]]\nname = \"shop\"\nproject_id = \"p\"\nengine = \"{engine}\"\nsource = {{}}\n{more}\n"
    )
}

/// The keys of the engine's source, as the engine itself lists them.
fn source_keys(engine: &dyn coffer::engine::Engine) -> Vec<String> {
    let wrong = Source([("no such key".to_owned(), true.into())].into());
    let error = engine.check_source(&wrong).unwrap_err().to_string();
    let (_, keys) = error.split_once("its keys are ").unwrap();
    keys.split(", ").map(str::to_owned).collect()
}

#[test]
fn a_key_of_an_engines_source_in_the_instance_is_told_to_belong_into_source() {
    let mut all: Vec<_> = ENGINES.iter().flat_map(|it| source_keys(*it)).collect();
    all.sort();
    all.dedup();
    for engine in ENGINES {
        let own = source_keys(*engine);
        for key in &all {
            let error = error_of(&instance(engine.name(), &format!("{key} = \"x\"")));
            let hint = format!(
                "instances[0].{key} stands in the wrong place: it belongs into the source of this instance: source = \
                 {{ {key} = …"
            );
            assert_eq!(error.contains(&hint), own.contains(key), "{}: {error}", engine.name());
        }
    }
}

#[rstest]
#[case("[storage]\nkeep = { last = 3 }", "storage.keep", "[defaults], or into [[instances]]")]
#[case("[server]\nmax_size = \"1 GiB\"", "server.max_size", "into [defaults.keep]")]
#[case("[defaults]\ndaily = 7", "defaults.daily", "into [defaults.keep]")]
#[case("[server]\ndata_dir = \"/x\"", "server.data_dir", "to the top of the file, before")]
#[case("trash_window_s = 1", "trash_window_s", "into [storage]")]
#[case("[catalog]\nscrub_days = 1", "catalog.scrub_days", "into [storage]")]
#[case("[auth]\nlisten = \"[::1]:1\"", "auth.listen", "into [server]")]
#[case("[executor]\nsmtp = \"a\"", "executor.smtp", "into [alerts.email]")]
#[case("[storage]\nbucket = \"a\"", "storage.bucket", "into [[places]]")]
#[case("[storage]\nexclude = []", "storage.exclude", "into the source of an instance")]
#[case(
    "[[places]]\nname = \"a\"\ntype = \"disk\"\nweekly = 2",
    "places[0].weekly",
    "into [places.keep]"
)]
#[case("[[alerts]]\nname = \"a\"\nreminder = \"1d\"", "alerts[0].reminder", "into [defaults], or")]
#[case("[defaults.keep]\nschedule = \"daily\"", "defaults.keep.schedule", "into [defaults]")]
#[case("[defaults.health]\nlast = 3", "defaults.health.last", "into [defaults.keep]")]
fn a_key_of_another_section_is_told_which(
    #[case] text: &str,
    #[case] key: &str,
    #[case] there: &str,
) {
    let error = error_of(text);
    let start = format!("{key} stands in the wrong place: it belongs ");
    assert!(error.contains(&start) && error.contains(there), "{error}");
}

#[rstest]
#[case("verify = \"restore\"")]
#[case("schedule = \"daily 02:00\"")]
#[case("keep = { daily = 7 }")]
#[case("project_id = \"p\"")]
fn a_key_of_an_instance_in_its_source_is_told_to_belong_outside(#[case] line: &str) {
    for engine in ENGINES {
        let head = instance(engine.name(), "").replace("source = {}\n", "[instances.source]\n");
        let error = error_of(&format!("{}{line}\n", head.trim_end().to_owned() + "\n"));
        let key = line.split(' ').next().unwrap();
        let start = format!("instances[0] (shop): source.{key} belongs to the instance itself");
        assert!(error.contains(&start), "{error}");
    }
}

#[test]
fn every_misplaced_key_is_told_at_once_and_a_key_that_nothing_has_is_still_named() {
    let error = error_of(&instance("mariadb", "method = \"logical\"\nsocket = \"/s\""));
    assert!(error.contains("instances[0].method ") && error.contains("instances[0].socket "));
    assert!(!error.contains("expected one of"), "{error}");
    let error = error_of(&instance("mariadb", "methode = \"logical\""));
    assert!(error.contains("unknown field `methode`"), "{error}");
}
