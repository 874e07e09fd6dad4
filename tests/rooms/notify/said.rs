//! What is said: once when it begins, as a reminder, once when it is over.

use coffer::notify::Service;
use coffer::policy::{Alert, AlertRoute, AlertRoutes, Digest, ProblemKind, Span};

use super::*;

const DAY: u64 = 24 * 3600;

#[test]
fn each_kind_of_alert_begins_and_ends_once_at_the_receiver() {
    let receiver = HttpReceiver::start();
    let mut house = House::new(vec![webhook(&receiver)]);
    house.tick_after(A_WHILE);
    let mut expected = Vec::new();
    for kind in ProblemKind::ALL {
        let of = (*kind != ProblemKind::ServerStopped).then(shop);
        house.set_problems(&[problem(*kind, of)]);
        for _ in 0..3 {
            house.tick_after(60);
        }
        house.set_problems(&[]);
        for _ in 0..3 {
            house.tick_after(60);
        }
        house.delivered();
        expected.extend(["began", "ended"].map(|event| format!("{event} {}", kind.as_str())));
        assert_eq!(events(&receiver), expected);
    }
    let [began, ended] = &receiver.received()[..2] else { panic!() };
    let message = began.json();
    assert_eq!(message["instance"]["name"], "shop");
    assert_eq!(message["title"], "shop: the backup failed");
    assert_eq!(message["text"], "what happened: failed");
    assert_eq!(message["advice"], "what to do");
    assert_eq!(message["severity"], "critical");
    assert_eq!(message["since"], "2026-01-01T00:00:00Z");
    assert_eq!(message["id"], began.header("idempotency-key"));
    assert_eq!(ended.json()["title"], "shop: over: the backup failed");
    assert!(house.catalog.open_alerts().unwrap().is_empty());
    let over = house.catalog.every_alert().unwrap();
    assert_eq!(over.len(), ProblemKind::ALL.len());
    assert!(over.iter().all(|it| it.ended.is_some()));
}

#[test]
fn a_reminder_comes_whenever_the_interval_has_passed_and_no_more() {
    let receiver = HttpReceiver::start();
    let mut house = House::new(vec![webhook(&receiver)]);
    house.set_problems(&[problem(ProblemKind::ProofOld, Some(shop()))]);
    house.tick_after(0);
    for _ in 0..5 {
        house.tick_after(DAY / 2);
        house.delivered();
    }
    assert_eq!(events(&receiver), ["began proof_old", "reminder proof_old", "reminder proof_old"]);
    assert_eq!(receiver.received()[1].json()["title"], "shop: still: the last drill is too old");
}

#[test]
fn the_success_of_one_instance_ends_nothing_of_another() {
    let receiver = HttpReceiver::start();
    let mut house = House::new(vec![webhook(&receiver)]);
    let both = [shop(), blog()].map(|id| problem(ProblemKind::Failed, Some(id)));
    house.set_problems(&both);
    house.tick_after(A_WHILE);
    house.set_problems(&both[..1]);
    house.tick_after(A_WHILE);
    house.delivered();
    assert_eq!(events(&receiver), ["began failed", "began failed", "ended failed"]);
    assert_eq!(receiver.received()[2].json()["instance"]["name"], "blog");
    let open = house.catalog.open_alerts().unwrap();
    assert_eq!(open.iter().map(Alert::instance_id).collect::<Vec<_>>(), [Some(shop())]);
}

#[test]
fn a_restart_neither_repeats_an_alert_nor_ends_one_before_it_could_be_found_again() {
    let receiver = HttpReceiver::start();
    let mut house = House::new(vec![webhook(&receiver)]);
    let full = [problem(ProblemKind::ServerStopped, None)];
    house.set_problems(&full);
    house.tick_after(0);
    house.delivered();
    house.restart();
    house.set_problems(&[]);
    house.tick_after(3);
    house.set_problems(&full);
    house.tick_after(A_WHILE);
    house.delivered();
    assert_eq!(events(&receiver), ["began server_stopped"]);
    house.set_problems(&[]);
    house.tick_after(A_WHILE);
    house.delivered();
    assert_eq!(events(&receiver), ["began server_stopped", "ended server_stopped"]);
    assert!(receiver.received()[0].json()["title"].as_str().unwrap().starts_with("Coffer: "));
}

#[test]
fn each_instance_is_told_to_its_own_channels_and_the_end_to_those_that_heard_of_it() {
    let (one, other) = (HttpReceiver::start(), HttpReceiver::start());
    let channels = vec![
        channel("one", Service::Webhook, &one.url("/")),
        channel("other", Service::Webhook, &other.url("/")),
    ];
    let mut house = House::with_routes(channels, routes(&[(shop(), "one"), (blog(), "other")]));
    house.set_problems(&[shop(), blog()].map(|id| problem(ProblemKind::Failed, Some(id))));
    house.tick_after(A_WHILE);
    // The configuration changes.
    house.catalog.set_alert_routes(routes(&[(shop(), "other"), (blog(), "other")]));
    house.set_problems(&[]);
    house.tick_after(A_WHILE);
    house.delivered();
    assert_eq!(events(&one), ["began failed", "ended failed"]);
    assert_eq!(events(&other), ["began failed", "ended failed"]);
}

#[test]
fn an_alert_of_an_instance_that_left_the_configuration_is_not_said_to_be_over() {
    let receiver = HttpReceiver::start();
    let mut house = House::new(vec![webhook(&receiver)]);
    house.set_problems(&[problem(ProblemKind::Damaged, Some(blog()))]);
    house.tick_after(A_WHILE);
    house.catalog.sync_instances(vec![configured("a", "shop")]).wait().unwrap();
    house.set_problems(&[]);
    house.tick_after(A_WHILE);
    house.delivered();
    let title = receiver.received()[1].json()["title"].clone();
    assert_eq!(title, "blog: no longer watched: a backup is damaged or missing");
}

#[test]
fn a_digest_comes_by_its_schedule_and_never_twice() {
    let receiver = HttpReceiver::start();
    let route = AlertRoute { channels: vec!["ops".to_owned()], reminder: Span::default() };
    let digest = Digest { channel: "ops".to_owned(), schedule: "daily 08:00".parse().unwrap() };
    let routes = AlertRoutes {
        instances: HashMap::from([(shop(), route)]),
        digests: vec![digest],
        ..AlertRoutes::default()
    };
    let mut house = House::with_routes(vec![webhook(&receiver)], routes);
    // From midnight, a look each hour, for two days; the process is started anew in between.
    for hour in 0..48 {
        house.tick_after(if hour == 0 { 0 } else { 3600 });
        house.delivered();
        if hour == 20 {
            house.restart();
        }
    }
    assert_eq!(events(&receiver), ["digest ", "digest "]);
    let text = receiver.received()[0].json()["text"].as_str().unwrap().to_owned();
    assert!(text.contains("shop: 0 made, 0 failed; there is none that can be restored"), "{text}");
    assert!(text.starts_with("Since 2026-01-01T00:00:00Z. Alerts that are not over: 0."), "{text}");
}
