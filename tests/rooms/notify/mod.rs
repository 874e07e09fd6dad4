//! Alerts from what is wrong to the receiver, over a real catalog, with a clock and problems that the tests set.

mod causes;
mod channels;
mod monitors;
mod on_time;
mod queue;
mod said;
mod secrets;
mod tls;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use coffer::bell::Bell;
use coffer::catalog::Catalog;
use coffer::domain::{Clock, InstanceId, Secret, Timestamp};
use coffer::notify::{
    Address, Authorities, Channel, Channels, Credential, Notifier, Service, Target,
};
use coffer::policy::{AlertRoute, AlertRoutes, Problem, ProblemKind, Span};
use parking_lot::Mutex;
use tempfile::TempDir;

use crate::catalog::fixture::{START, configured, settings, shop, sqlite};
use crate::receivers::{HttpReceiver, Received};

/// How long a test waits for anything. Only a test that fails waits so long.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug)]
struct SetClock(AtomicI64);

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}

/// Polls until there is an answer.
#[track_caller]
fn wait_until<T>(what: &str, mut poll: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    let pause = Bell::default();
    loop {
        if let Some(answer) = poll() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} for {what}");
        pause.wait_past(0, Duration::from_millis(5));
    }
}

/// A catalog with two instances, `shop` and `blog`, on the first day of 2026, and somebody who tells people.
struct House {
    catalog: Arc<Catalog>,
    clock: Arc<SetClock>,
    notifier: Notifier,
    bell: Arc<Bell>,
    problems: Arc<Mutex<Vec<Problem>>>,
    channels: Vec<Channel>,
    routes: AlertRoutes,
    folder: TempDir,
}

impl House {
    /// All channels hear of everything.
    fn new(channels: Vec<Channel>) -> Self {
        let names: Vec<String> = channels.iter().map(|it| it.name.clone()).collect();
        let default = AlertRoute { channels: names, reminder: Span::days(1) };
        Self::with_routes(channels, AlertRoutes { default, ..AlertRoutes::default() })
    }

    fn with_routes(channels: Vec<Channel>, routes: AlertRoutes) -> Self {
        let folder = TempDir::new().unwrap();
        let clock = Arc::new(SetClock(AtomicI64::new(START.as_micros())));
        let problems = Arc::default();
        let (catalog, notifier, bell) = open(&folder, &clock, &problems, &channels, &routes);
        Self { catalog, clock, notifier, bell, problems, channels, routes, folder }
    }

    /// The process is killed, and another one begins.
    fn restart(&mut self) {
        self.catalog.close();
        let (catalog, notifier, bell) =
            open(&self.folder, &self.clock, &self.problems, &self.channels, &self.routes);
        (self.catalog, self.notifier, self.bell) = (catalog, notifier, bell);
        let names = self.channels.iter().map(|it| it.name.clone()).collect();
        self.catalog.retry_deliveries(names).wait().unwrap();
    }

    /// This is wrong, and nothing else.
    fn set_problems(&self, problems: &[Problem]) {
        *self.problems.lock() = problems.to_vec();
    }

    /// So many seconds later, it is looked once.
    fn tick_after(&mut self, seconds: u64) {
        let now = self.clock.now().plus(Duration::from_secs(seconds));
        self.clock.0.store(now.as_micros(), Ordering::SeqCst);
        self.notifier.tick();
    }

    /// Waits until nothing waits to be delivered.
    #[track_caller]
    fn delivered(&mut self) {
        wait_until("an empty queue", || {
            // The thread of a channel may have ended just before its next message was due.
            self.notifier.tick();
            (self.catalog.count_undelivered().unwrap() == 0).then_some(())
        });
    }

    /// Waits until an attempt to deliver the next message has failed so often; why.
    #[track_caller]
    fn failed(&mut self, attempts: u32) -> String {
        wait_until("a failed attempt", || {
            self.notifier.tick();
            let waiting = self.catalog.undelivered().unwrap();
            waiting.first().filter(|it| it.attempts == attempts)?.last_error.clone()
        })
    }
}

fn open(
    folder: &TempDir,
    clock: &Arc<SetClock>,
    problems: &Arc<Mutex<Vec<Problem>>>,
    channels: &[Channel],
    routes: &AlertRoutes,
) -> (Arc<Catalog>, Notifier, Arc<Bell>) {
    let path = folder.path().join("catalog.db");
    let clock: Arc<dyn Clock> = Arc::<SetClock>::clone(clock);
    let bell = Arc::new(Bell::default());
    let catalog = Catalog::open(&path, settings(), Arc::clone(&clock), Arc::clone(&bell)).unwrap();
    let catalog = Arc::new(catalog);
    catalog.set_engines(vec![sqlite()]);
    let instances = vec![configured("a", "shop"), configured("a", "blog")];
    catalog.sync_instances(instances).wait().unwrap();
    catalog.set_alert_routes(routes.clone());
    let channels = Arc::new(Channels::new(channels.to_vec()));
    let problems = Arc::clone(problems);
    let asked = Box::new(move || Ok(problems.lock().clone()));
    let notifier = Notifier::new(Arc::clone(&catalog), clock, channels, Arc::clone(&bell), asked);
    (catalog, notifier, bell)
}

fn blog() -> InstanceId {
    configured("a", "blog").id
}

fn problem(kind: ProblemKind, instance: Option<InstanceId>) -> Problem {
    Problem {
        kind,
        instance,
        since: START,
        message: format!("what happened: {}", kind.as_str()),
        advice: "what to do".to_owned(),
    }
}

/// A channel of a service at this URL.
fn channel(name: &str, service: Service, url: &str) -> Channel {
    let url = Credential::Text(Secret::new(url.to_owned()));
    Channel {
        name: name.to_owned(),
        target: Target::Service(Address {
            service,
            url,
            token: None,
            authorities: Authorities::default(),
        }),
    }
}

fn webhook(receiver: &HttpReceiver) -> Channel {
    channel("ops", Service::Webhook, &receiver.url("/hook"))
}

/// What a webhook got, as `event kind` of each message.
fn events(receiver: &HttpReceiver) -> Vec<String> {
    let word = |it: &Received| {
        let message = it.json();
        let kind = message["kind"].as_str().unwrap_or_default().to_owned();
        format!("{} {kind}", message["event"].as_str().unwrap())
    };
    receiver.received().iter().map(word).collect()
}

/// The instances and who hears of them.
fn routes(of: &[(InstanceId, &str)]) -> AlertRoutes {
    let route =
        |channel: &str| AlertRoute { channels: vec![channel.to_owned()], reminder: Span::days(1) };
    let instances: HashMap<_, _> = of.iter().map(|(id, channel)| (*id, route(channel))).collect();
    AlertRoutes { instances, ..AlertRoutes::default() }
}

/// Past the first minute, in which no alert ends.
const A_WHILE: u64 = 61;
