//! Schedules and retention as the configuration says them.

use coffer::config::{Config, ConfigError};
use coffer::policy::{FullEvery, Policy, Tier};
use rstest::rstest;

const INSTANCE: &str = "[[instances]]\nname = \"shop\"\nproject_id = \"p\"\nengine = \"sqlite\"\n\
                        source = { path = \"/srv/shop.db\" }\n";

fn policy(defaults: &str, own: &str) -> Policy {
    let text = format!("{defaults}\n{INSTANCE}{own}");
    let config = Config::from_toml(&text, "test.toml").unwrap();
    config.instances[0].policy(&config.defaults)
}

fn problem(defaults: &str, own: &str) -> String {
    match Config::from_toml(&format!("{defaults}\n{INSTANCE}{own}"), "test.toml") {
        Err(ConfigError::Values(problems)) if problems.len() == 1 => problems[0].to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn without_a_schedule_and_a_number_to_keep_nothing_runs_and_nothing_goes() {
    let policy = policy("", "");
    assert_eq!((policy.timetable, policy.keep), (None, None));
}

#[test]
fn what_an_instance_says_wins_over_the_defaults() {
    let defaults = "[defaults]\nschedule = \"daily 02:30\"\ntimezone = \"Europe/Berlin\"\n\
                    keep = { daily = 7, weekly = 5 }";
    let plain = policy(defaults, "");
    let timetable = plain.timetable.unwrap();
    assert_eq!(timetable.schedule.to_string(), "daily 02:30");
    assert_eq!(timetable.full_every, FullEvery::Week);
    assert_eq!(plain.zone.iana_name(), Some("Europe/Berlin"));
    let own = policy(
        defaults,
        "schedule = \"hourly\"\nfull_every = 24\nkeep = { last = 3 }\nwindow = \"22:00-06:00\"",
    );
    let timetable = own.timetable.unwrap();
    assert_eq!(timetable.schedule.to_string(), "hourly");
    assert_eq!(timetable.full_every.to_string(), "24");
    assert_eq!(timetable.window.unwrap().to_string(), "22:00-06:00");
    let keep = own.keep.unwrap();
    let tiers: Vec<_> = keep.tiers().iter().map(|(tier, count)| (*tier, count.get())).collect();
    assert_eq!(tiers, [(Tier::Last, 3)], "an instance's own keep replaces that of the defaults");
    assert_eq!(policy(defaults, "schedule = \"\"").timetable, None, "this one is not backed up");
}

#[rstest]
#[case("schedule = \"dayly 02:30\"", "schedule \"dayly 02:30\" is not a schedule")]
#[case("timezone = \"Berlin\"", "timezone is \"Berlin\"; use a name such as")]
#[case("jitter = \"5\"", "jitter \"5\" is not a time")]
#[case("jitter = \"2 days\"", "jitter is longer than a day")]
#[case("window = \"22\"", "window \"22\" is not two different times")]
#[case("full_every = 0", "full_every \"0\" is neither")]
#[case("retries = 101", "retries is 101")]
#[case("keep = { last = 0 }", "keep says nothing that is to be kept")]
#[case("keep = {}", "keep says nothing that is to be kept")]
#[case("keep = { min_age = \"3 days\" }", "keep.min_age alone lets nothing go")]
#[case("keep = { daily = 7, max_size = \"5\" }", "keep.max_size \"5\" is not a size")]
#[case(
    "keep = { daily = 7, max_size = \"0\" }",
    "keep.max_size is 0, and then all but the newest chain would go"
)]
#[case("keep = { daily = 100001 }", "keep.daily is 100001")]
fn a_value_that_makes_no_sense_is_named_where_it_stands(#[case] line: &str, #[case] why: &str) {
    let in_defaults = problem(&format!("[defaults]\n{line}"), "");
    assert!(in_defaults.starts_with(&format!("defaults.{why}")), "{in_defaults}");
    let own = problem("", line);
    assert!(own.starts_with(&format!("instances[0] (shop): {why}")), "{own}");
}

#[test]
fn an_unknown_key_of_the_policy_is_named() {
    for text in ["[defaults]\nshedule = \"hourly\"", "[defaults]\nkeep = { dayly = 7 }"] {
        let error = Config::from_toml(text, "test.toml").unwrap_err().to_string();
        assert!(error.contains("shedule") || error.contains("dayly"), "{error}");
    }
}
