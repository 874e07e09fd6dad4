//! Delivery: again until it is accepted, once, in order, and without one receiver holding up another.

use std::path::Path;

use coffer::notify::Service;
use coffer::policy::ProblemKind;

use super::*;

fn ids(receiver: &HttpReceiver) -> Vec<String> {
    receiver.received().iter().map(|it| it.header("idempotency-key").to_owned()).collect()
}

#[test]
fn a_message_is_sent_again_after_growing_waits_with_the_same_id_and_leaves_the_queue_when_accepted()
{
    let receiver = HttpReceiver::start();
    receiver.answer_next(503, "come back");
    receiver.answer_next(500, "not yet");
    let mut house = House::new(vec![webhook(&receiver)]);
    house.set_problems(&[problem(ProblemKind::Failed, Some(shop()))]);
    house.tick_after(0);
    assert_eq!(house.failed(1), "the webhook answered 503: come back");
    house.tick_after(9);
    assert_eq!(receiver.received().len(), 1, "the wait is not over");
    house.tick_after(1);
    assert_eq!(house.failed(2), "the webhook answered 500: not yet");
    house.tick_after(29);
    house.tick_after(1);
    house.delivered();
    let ids = ids(&receiver);
    assert_eq!(ids.len(), 3);
    assert!(ids.iter().all(|id| *id == ids[0] && !id.is_empty()), "{ids:?}");
}

#[test]
fn a_message_of_a_process_that_was_killed_before_it_was_delivered_arrives_once() {
    let receiver = HttpReceiver::start();
    receiver.answer_next(503, "down");
    let mut house = House::new(vec![webhook(&receiver)]);
    house.set_problems(&[problem(ProblemKind::Missed, Some(shop()))]);
    house.tick_after(0);
    house.failed(1);
    house.restart();
    house.tick_after(3);
    house.delivered();
    house.restart();
    house.tick_after(3);
    house.delivered();
    let ids = ids(&receiver);
    assert_eq!(ids.len(), 2, "one that was refused, and one that was accepted");
    assert_eq!(ids[0], ids[1]);
    assert_eq!(house.catalog.open_alerts().unwrap().len(), 1);
}

#[test]
fn a_receiver_that_does_not_answer_holds_up_no_other_and_the_order_of_messages_stays() {
    let (stuck, good) = (HttpReceiver::start(), HttpReceiver::start());
    stuck.set_silent(true);
    let mut house = House::new(vec![
        channel("stuck", Service::Webhook, &stuck.url("/")),
        channel("good", Service::Webhook, &good.url("/")),
    ]);
    house.set_problems(&[problem(ProblemKind::Failed, Some(shop()))]);
    house.tick_after(A_WHILE);
    wait_until("a request without an answer", || (!stuck.received().is_empty()).then_some(()));
    house.set_problems(&[]);
    house.tick_after(A_WHILE);
    wait_until("both messages", || {
        // Its thread may have ended between the two.
        house.notifier.tick();
        (good.received().len() == 2).then_some(())
    });
    assert_eq!(events(&good), ["began failed", "ended failed"]);
    assert_eq!(events(&stuck), ["began failed"], "the next one waits for this one");
    stuck.set_silent(false);
    assert_eq!(house.failed(1), "the webhook: no answer within 10 s");
    house.tick_after(10);
    house.delivered();
    assert_eq!(events(&stuck), ["began failed", "began failed", "ended failed"]);
}

#[test]
fn a_message_that_is_refused_for_what_it_is_does_not_hold_up_those_behind_it_for_ever() {
    let receiver = HttpReceiver::start();
    for _ in 0..3 {
        receiver.answer_next(400, "I do not like it");
    }
    let mut house = House::new(vec![webhook(&receiver)]);
    house.set_problems(&[problem(ProblemKind::Failed, Some(shop()))]);
    house.tick_after(A_WHILE);
    house.failed(1);
    house.set_problems(&[]);
    house.tick_after(10);
    house.failed(2);
    house.tick_after(A_WHILE);
    house.delivered();
    let began = |it: &String| it == "began failed";
    let events = events(&receiver);
    assert_eq!(events.iter().filter(|it| began(it)).count(), 3);
    assert_eq!(events.last().unwrap(), "ended failed");
}

#[test]
fn a_message_is_given_up_after_three_days() {
    let receiver = HttpReceiver::start();
    let mut house = House::new(vec![webhook(&receiver)]);
    receiver.answer_next(502, "");
    receiver.answer_next(502, "");
    house.set_problems(&[problem(ProblemKind::Failed, Some(shop()))]);
    house.tick_after(0);
    house.failed(1);
    house.set_problems(&[]);
    house.tick_after(3 * 24 * 3600);
    house.delivered();
    assert_eq!(events(&receiver), ["began failed", "began failed", "ended failed"]);
}

#[test]
fn at_most_five_hundred_messages_wait_for_a_channel_and_the_newest_stay() {
    let house = House::new(vec![channel("ops", Service::Webhook, "http://127.0.0.1:1/")]);
    let instances: Vec<_> = (0..600).map(|at| configured("b", &at.to_string())).collect();
    house.catalog.sync_instances(instances.clone()).wait().unwrap();
    let problems = instances.iter().map(|it| problem(ProblemKind::Failed, Some(it.id)));
    house.catalog.update_alerts(problems.collect(), false).unwrap();
    let waiting = house.catalog.undelivered().unwrap();
    assert_eq!(waiting.len(), 500);
    assert_eq!(waiting[0].message.instance.as_ref().unwrap().name, "100");
    assert_eq!(house.catalog.open_alerts().unwrap().len(), 600);
}

#[test]
fn messages_of_a_channel_that_left_the_configuration_are_dropped() {
    let receiver = HttpReceiver::start();
    receiver.answer_next(503, "");
    let mut house = House::new(vec![webhook(&receiver)]);
    house.set_problems(&[problem(ProblemKind::Failed, Some(shop()))]);
    house.tick_after(0);
    house.failed(1);
    let dropped = house.catalog.retry_deliveries(vec!["new".to_owned()]).wait().unwrap();
    assert_eq!(dropped, [("ops".to_owned(), 1)]);
    assert_eq!(house.catalog.count_undelivered().unwrap(), 0);
}

#[test]
fn what_is_wrong_with_the_server_is_said_even_while_nothing_can_be_recorded_and_so_is_its_end() {
    let receiver = HttpReceiver::start();
    let mut house = House::new(vec![webhook(&receiver)]);
    house.tick_after(A_WHILE);
    let (catalog, elsewhere) =
        (house.folder.path().join("catalog.db"), house.folder.path().join("gone"));
    rename(&catalog, &elsewhere);
    assert!(house.catalog.why_moved().is_some());
    let gone =
        [problem(ProblemKind::ServerStopped, None), problem(ProblemKind::Failed, Some(shop()))];
    house.set_problems(&gone);
    for _ in 0..3 {
        house.tick_after(30);
    }
    wait_until("the message", || (!receiver.received().is_empty()).then_some(()));
    rename(&elsewhere, &catalog);
    assert_eq!(house.catalog.why_moved(), None);
    house.tick_after(30);
    house.delivered();
    assert_eq!(events(&receiver), ["began server_stopped", "began failed"], "each once");
    house.set_problems(&gone[1..]);
    house.tick_after(30);
    house.delivered();
    assert_eq!(events(&receiver).last().unwrap(), "ended server_stopped");
}

#[expect(clippy::disallowed_methods, reason = "a test's own files need not survive a crash")]
fn rename(from: &Path, to: &Path) {
    std::fs::rename(from, to).unwrap();
}
