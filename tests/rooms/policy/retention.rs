//! Retention over random histories: what must never go never goes.

use coffer::policy::Guard;
use jiff::tz::TimeZone;

use super::world::World;
use super::{invariant, seeds};

/// Steps of a history.
const STEPS: usize = 60;

/// Runs one history; what it broke, and how many chains went and backups were consolidated.
fn run(seed: u64, zone: &TimeZone, missing: Option<Guard>) -> Result<(usize, usize), String> {
    let mut world = World::new(seed, zone);
    let (mut gone, mut consolidated) = (0, 0);
    for step in 0..STEPS {
        world.step();
        if step % 2 == 0 {
            continue;
        }
        let preview = world.decide(missing);
        let decision = world.decide(missing);
        if preview != decision {
            return Err(format!("history {seed}, step {step}: not what the preview said"));
        }
        if let Err(why) = invariant::check(&world, &decision) {
            return Err(format!("history {seed}, step {step}: {why}; {decision:#?}"));
        }
        if world.decide_renamed().going().next().is_some() {
            return Err(format!("history {seed}, step {step}: something of the old name goes"));
        }
        gone += decision.going().count();
        world.remove(&decision);
        consolidated += world.consolidate(&decision);
    }
    Ok((gone, consolidated))
}

#[test]
fn in_random_histories_the_last_good_backup_never_goes() {
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    let (mut gone, mut consolidated) = (0, 0);
    let seeds = seeds(500);
    let enough = usize::try_from(seeds.end - seeds.start).unwrap();
    for seed in seeds {
        let (went, made) = run(seed, &zone, None).unwrap_or_else(|why| panic!("{why}"));
        (gone, consolidated) = (gone + went, consolidated + made);
    }
    assert!(gone > enough, "only {gone} chains went: the histories show little");
    assert!(consolidated > enough / 50, "only {consolidated} were consolidated");
}

#[test]
fn each_guard_left_out_lets_something_go_that_must_not() {
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    // Without places nothing waits for its copies, or the keys to them.
    let about_copies = [Guard::NotCopied, Guard::NoKey];
    for guard in Guard::ALL.iter().filter(|it| !about_copies.contains(it)) {
        let broken = (0..3_000).find_map(|seed| run(seed, &zone, Some(*guard)).err());
        assert!(broken.is_some(), "without {guard:?} nothing was broken: is it needed?");
    }
}
