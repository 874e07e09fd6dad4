//! A thousand instances with one schedule.

use coffer::catalog::Catalog;

use super::*;

const INSTANCES: usize = 1000;

fn waiting(catalog: &Catalog) -> usize {
    catalog.every_backup().unwrap().len()
}

#[test]
fn a_thousand_instances_that_are_due_at_once_all_begin_and_none_twice() {
    let mut house = House::new(daily());
    let instances: Vec<Instance> =
        (0..INSTANCES).map(|number| configured("a", &format!("instance {number}"))).collect();
    let policies = instances.iter().map(|it| (it.id, daily())).collect();
    house.catalog.sync_instances(instances).wait().unwrap();
    house.catalog.set_policies(policies);
    house.tick_at(half_past_two(0).minus(Duration::from_secs(1)));
    assert_eq!(waiting(&house.catalog), 0);
    house.tick_at(half_past_two(0));
    assert_eq!(waiting(&house.catalog), INSTANCES);
    house.tick_at(half_past_two(0).plus(Duration::from_secs(1)));
    let clock: Arc<dyn Clock> = Arc::<SetClock>::clone(&house.clock);
    house.scheduler = Scheduler::new(Arc::clone(&house.catalog), clock, Box::new(|| true));
    house.tick_at(half_past_two(0).plus(Duration::from_secs(2)));
    assert_eq!(waiting(&house.catalog), INSTANCES);
}
