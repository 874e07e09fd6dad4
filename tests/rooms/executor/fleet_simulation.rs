//! What it costs to read a fleet, by the number of requests at public prices. The table in `src/storage/fleet.rs` has the
//! figures of 10,000 devices with a backup a day for a year: `COFFER_FLEET_DEVICES=10000 COFFER_FLEET_DAYS=365`.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use coffer::catalog::{FleetRules, Scope};
use coffer::config::Config;
use coffer::domain::{
    BackupId, Caller, FleetArchive, InstanceId, Kind, Location, ProjectId, Role, Timestamp,
};
use coffer::encryption::{Identities, Signers};
use coffer::executor::{Context, FleetTarget, read_fleet};
use coffer::server::open_and_lock;
use coffer::storage::{Fleet, FleetPage, Place, StorageError};
use parking_lot::Mutex;
use uuid::Builder;

const DEVICES: u64 = 60;
const DAYS: u64 = 40;

/// Prices in tenths of a millionth of a dollar.
const LIST: u64 = 50;
const GET: u64 = 4;
const PUT: u64 = LIST;
/// What reading the manifest of an archive takes: two for a small one, some more for a large one.
const OF_MANIFEST: u64 = 4;
/// Of a LIST.
const NAMES: u64 = 1000;

const DAY: Duration = Duration::from_secs(24 * 3600);

fn setting(name: &str, usual: u64) -> u64 {
    std::env::var(name).map_or(usual, |it| it.parse().unwrap())
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Requests {
    lists: u64,
    /// Devices of which a manifest was to be read.
    manifests: u64,
}

/// A bucket that has only names, and makes them as they are asked for.
#[derive(Debug)]
struct Names {
    devices: u64,
    /// When the first backup of each device was made, by its number.
    first: Timestamp,
    /// How many each device has.
    days: Mutex<Vec<u64>>,
    requests: Mutex<Requests>,
}

impl Names {
    fn key(&self, device: u64, day: u64) -> String {
        let project: ProjectId = "a".parse().unwrap();
        let made = self.first.plus(DAY * u32::try_from(day).unwrap());
        let millis = u64::try_from(made.as_micros() / 1000).unwrap() + device;
        let id = Builder::from_unix_timestamp_millis(millis, &[7; 10]).into_uuid();
        let id = BackupId::from_uuid(id);
        let instance = InstanceId::derived(&project, "shop");
        let kind = if day.is_multiple_of(7) { Kind::Full } else { Kind::Incremental };
        let location = Location::of(&project, None, instance, id, kind);
        format!("device-{device:05}/archives/{location}")
    }

    fn take(&self) -> Requests {
        std::mem::take(&mut self.requests.lock())
    }
}

impl Fleet for Names {
    fn name(&self) -> &'static str {
        "all"
    }

    fn page(&self, after: &str) -> Result<FleetPage, StorageError> {
        self.requests.lock().lists += 1;
        let days = self.days.lock();
        let from = after.get(7..12).map_or(0, |it| it.parse().unwrap());
        let mut names = (from..self.devices)
            .flat_map(|device| {
                let count = usize::try_from(device).ok().and_then(|it| days.get(it).copied());
                (0..count.unwrap()).map(move |day| (device, day))
            })
            .map(|(device, day)| self.key(device, day))
            .filter(|it| it.as_str() > after);
        let page: Vec<String> = names.by_ref().take(usize::try_from(NAMES).unwrap()).collect();
        let next = names.next().and(page.last().cloned());
        let archives = page.iter().map(|it| FleetArchive::parse(it, 40_000).unwrap()).collect();
        Ok(FleetPage { archives, next })
    }

    fn device(&self, name: &str) -> Result<Arc<dyn Place>, StorageError> {
        self.requests.lock().manifests += 1;
        Err(StorageError::NotFound { what: name.to_owned() })
    }
}

fn dollars(tenths_of_millionths: u64) -> String {
    format!("${}.{:07}", tenths_of_millionths / 10_000_000, tenths_of_millionths % 10_000_000)
}

fn open(folder: &std::path::Path) -> (Context, coffer::storage::DataDirLock) {
    let text = format!("data_dir = {:?}\n", folder.join("data"));
    let config = Config::from_toml(&text, "test.toml").unwrap();
    open_and_lock(&config).unwrap()
}

fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|it| it.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

/// How many backups the catalog has of each device.
fn counted(context: &Context) -> Vec<u32> {
    let project: ProjectId = "ops".parse().unwrap();
    let caller =
        Caller { name: "t".to_owned(), project: Some(project.clone()), roles: vec![Role::Admin] };
    let scope = Scope::enter(caller, project).unwrap();
    let found = context.catalog.fleet_instances(&scope, (0, u32::MAX), false).unwrap();
    let devices: BTreeSet<_> = found.iter().map(|it| it.device.clone()).collect();
    assert_eq!(devices.len(), found.len());
    found.into_iter().map(|it| it.backups).collect()
}

fn target(names: &Arc<Names>) -> FleetTarget {
    let rules = FleetRules { place: "all".to_owned(), silent_after: None, retired: Vec::new() };
    FleetTarget {
        fleet: Arc::<Names>::clone(names),
        identities: Arc::<Identities>::default(),
        signers: Signers::default(),
        every: Duration::from_secs(3600),
        rules,
    }
}

#[test]
fn a_refresh_reads_what_is_new_and_its_price_is_known() {
    let (devices, days) =
        (setting("COFFER_FLEET_DEVICES", DEVICES), setting("COFFER_FLEET_DAYS", DAYS));
    let folder = tempfile::tempdir().unwrap();
    let (context, _lock) = open(folder.path());
    let length = DAY * u32::try_from(days).unwrap();
    let names = Arc::new(Names {
        devices,
        first: context.clock.now().minus(length),
        days: Mutex::new(vec![days; usize::try_from(devices).unwrap()]),
        requests: Mutex::default(),
    });
    let target = target(&names);
    let archives = devices * days;
    let before = peak_mib();
    let began = Instant::now();
    read_fleet(&context, &target, true).unwrap();
    let (whole, took) = (names.take(), began.elapsed());
    assert_eq!(whole.lists, archives.div_ceil(NAMES));
    assert_eq!(whole.manifests, devices, "one of each instance");
    assert_eq!(counted(&context), vec![u32::try_from(days).unwrap(); names.days.lock().len()]);

    // An hour later a part of the devices has a new backup.
    let new = devices.div_ceil(24);
    for count in names.days.lock().iter_mut().step_by(24) {
        *count += 1;
    }
    let began = Instant::now();
    read_fleet(&context, &target, false).unwrap();
    let (refresh, refreshed) = (names.take(), began.elapsed());
    assert!(refresh.lists <= whole.lists, "{refresh:?}");
    assert_eq!(counted(&context).iter().map(|it| u64::from(*it)).sum::<u64>(), archives + new);
    let (memory, rows) = (peak_mib() - before, counted(&context).len());

    let price = |lists: u64, gets: u64| dollars(lists * LIST + gets * GET);
    println!("{devices} devices, {days} days, {archives} archives, {rows} instances");
    println!(
        "first reading: {whole:?} in {took:.1?}, {}",
        price(whole.lists, devices * OF_MANIFEST)
    );
    println!("a reading of all every hour: {}", price(whole.lists, 0));
    let gets = refresh.manifests * OF_MANIFEST;
    println!("refresh: {refresh:?} in {refreshed:.1?}, {}", price(refresh.lists, gets));
    let (pages, daily) = (archives.div_ceil(NAMES), devices.div_ceil(NAMES) * 24);
    println!("index objects, first reading: {}", price(pages, archives));
    println!("index objects, read every hour of a day: {}", price(daily, devices));
    println!("index objects, written in a day: {}", dollars(devices * PUT));
    println!("memory that reading added at its peak: {memory} MiB");
    // With others beside it in this process it says nothing.
    if std::env::var_os("COFFER_FLEET_DEVICES").is_some() {
        assert!(memory < 64, "{memory} MiB");
    }
}

#[test]
fn what_is_gone_is_forgotten_and_a_place_that_is_suddenly_empty_is_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    let (context, _lock) = open(folder.path());
    let names = Arc::new(Names {
        devices: 3,
        first: context.clock.now().minus(DAY * 5),
        days: Mutex::new(vec![4; 3]),
        requests: Mutex::default(),
    });
    let target = target(&names);
    read_fleet(&context, &target, true).unwrap();
    *names.days.lock() = vec![2, 4, 4];
    read_fleet(&context, &target, false).unwrap();
    assert_eq!(counted(&context), [4, 4, 4], "what is gone is seen when all is read");
    read_fleet(&context, &target, true).unwrap();
    assert_eq!(counted(&context), [2, 4, 4]);
    *names.days.lock() = vec![0; 3];
    let error = read_fleet(&context, &target, true).unwrap_err().to_string();
    assert!(error.contains("there is no archive any more"), "{error}");
    assert_eq!(counted(&context), [2, 4, 4], "it may be another bucket, or an empty mount point");
}
