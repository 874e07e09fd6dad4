//! Schedules that were set through the API: they outlive a restart and a reload, and the configuration wins.

use std::sync::Arc;

use super::fixture::*;
use super::*;
use coffer::config::Config;
use coffer::policy::PolicyKeys;
use coffer::server::configured_policies;

/// A configuration with one instance, `shop` of project `a`, and these keys.
fn says(own: &str) -> Arc<dyn PolicySource> {
    let text = format!(
        "[catalog]\nbackup = false\n[defaults]\ntimezone = \"UTC\"\n[[instances]]\nname = \"shop\"\nproject_id = \"a\"\nengine = \"sqlite\"\n\
         source = {{ path = \"/srv/shop.db\" }}\n{own}"
    );
    configured_policies(&Config::from_toml(&text, "test").unwrap())
}

fn hourly() -> PolicyKeys {
    PolicyKeys { schedule: Some("hourly".to_owned()), ..PolicyKeys::default() }
}

/// The schedule of `shop`, and whether it was set through the API.
fn schedule(catalog: &Catalog) -> Option<(String, bool)> {
    let found = catalog.schedule(&member("a"), shop()).unwrap();
    found.map(|it| (it.timetable.unwrap().schedule.to_string(), it.set_through_api))
}

#[test]
fn a_schedule_that_was_set_survives_restarts_and_reloads_and_yields_to_the_configuration() {
    let fixture = Fixture::new();
    fixture.catalog.set_policy_source(says("")).unwrap();
    assert_eq!(schedule(&fixture.catalog), None);
    fixture.catalog.set_policy(&member("a"), shop(), hourly()).wait().unwrap();
    let set = Some(("hourly".to_owned(), true));
    assert_eq!(schedule(&fixture.catalog), set);
    assert_eq!(fixture.catalog.scheduled(), [shop()]);

    let catalog = fixture.reopened();
    catalog.set_policy_source(says("")).unwrap();
    assert_eq!(schedule(&catalog), set);
    let seen = catalog.policies_set();
    catalog.replace_policy_source(says("schedule = \"daily 02:30\"")).wait().unwrap();
    assert_eq!(schedule(&catalog), Some(("daily 02:30".to_owned(), false)));
    assert_ne!(catalog.policies_set(), seen, "the scheduler looks again");
    let refused = catalog.set_policy(&member("a"), shop(), hourly()).wait().unwrap_err();
    assert!(matches!(refused, CatalogError::NotNow(NotNow::Configured { key: "schedule", .. })));
    catalog.replace_policy_source(says("")).wait().unwrap();
    assert_eq!(schedule(&catalog), set, "it was not forgotten");
    catalog.unset_policy(&member("a"), shop()).wait().unwrap();
    assert_eq!(schedule(&catalog), None);
}

#[test]
fn what_was_set_and_makes_no_sense_any_more_changes_nothing() {
    let fixture = Fixture::new();
    fixture.catalog.set_policy_source(says("")).unwrap();
    fixture.catalog.set_policy(&member("a"), shop(), hourly()).wait().unwrap();
    let db = rusqlite::Connection::open(&fixture.path).unwrap();
    db.execute("UPDATE policies SET keys = replace(keys, 'hourly', 'dayly')", []).unwrap();
    let catalog = fixture.reopened();
    catalog.set_policy_source(says("")).unwrap();
    assert_eq!(schedule(&catalog), None);
}

#[test]
fn only_members_of_the_project_set_the_schedule_of_an_instance() {
    let fixture = Fixture::new();
    fixture.catalog.set_policy_source(says("")).unwrap();
    let refused = fixture.catalog.set_policy(&member("b"), shop(), hourly()).wait().unwrap_err();
    assert!(refused.is_not_found(), "{refused}");
    fixture.catalog.sync_instances(Vec::new()).wait().unwrap();
    let refused = fixture.catalog.set_policy(&member("a"), shop(), hourly()).wait().unwrap_err();
    assert!(matches!(refused, CatalogError::InstanceBusy { .. }), "it left the configuration");
}
