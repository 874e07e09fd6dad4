//! The databases and directories that are backed up.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::process::geteuid;

use crate::cli::terminal::human;
use crate::config::{Config, InstanceConfig};
use crate::engine::{self, ENGINES, Engine, Probe};
use crate::server::user_name;

use super::as_service;
use super::finding::{Finding, Findings};
use super::service_view::ServiceView;

/// How many things that the backups of a file or a folder leave out are named. Of a server it is all that its engine
/// found worth naming.
const LEFT_OUT_SHOWN: usize = 10;

/// Probes every instance of the configuration as a backup would. `free`: bytes left for archives.
pub(super) fn instances(
    config: &Config,
    free: Option<u64>,
    verbose: bool,
    findings: &mut Findings,
) {
    let service = ServiceView::of_server(config);
    let tried = service.as_ref().and_then(|it| as_service::findings(it, config, verbose));
    for instance in &config.instances {
        match (tried.as_deref().unwrap_or_default(), &service) {
            ([], service) => {
                probe(config, instance, free, verbose, findings);
                if let Some(service) = service {
                    seen(instance, service, findings);
                }
                staging(instance, findings);
            }
            (tried, service) => {
                // What hides the source says more than that it is not there.
                let is_seen = service.as_ref().is_none_or(|it| !seen(instance, it, findings));
                let staging = staging_check(instance);
                let of_it = |it: &&Finding| {
                    it.check == staging || is_seen && it.check == check_of(instance)
                };
                findings.all.extend(tried.iter().filter(of_it).cloned());
                findings.wrong_configuration |= engine::find(&instance.engine)
                    .is_none_or(|it| it.check_source(&instance.source).is_err());
            }
        }
    }
}

fn check_of(instance: &InstanceConfig) -> String {
    format!("instance {}", instance.name)
}

fn staging_check(instance: &InstanceConfig) -> String {
    format!("staging of {}", instance.name)
}

fn probe(
    config: &Config,
    instance: &InstanceConfig,
    free: Option<u64>,
    verbose: bool,
    findings: &mut Findings,
) {
    let check = check_of(instance);
    let source = &instance.source;
    let Some(engine) = engine::find(&instance.engine) else {
        let names: Vec<&str> = ENGINES.iter().map(|engine| engine.name()).collect();
        let advice = format!("the engines of this build: {}", names.join(", "));
        findings.wrong_configuration = true;
        return findings.problem(
            &check,
            format!("there is no engine {:?}", instance.engine),
            advice,
        );
    };
    if let Err(error) = engine.check_source(source) {
        findings.wrong_configuration = true;
        return findings.problem(&check, error.to_string(), "correct it in the configuration");
    }
    let catalog = config.catalog_file();
    let is_own_catalog = source.text("path").is_some_and(|path| catalog.as_os_str() == path);
    if is_own_catalog && !catalog.exists() {
        return findings.ok(&check, "Coffer's own catalog, which the first start makes");
    }
    match engine.probe(source) {
        Ok(probe) => {
            let found = text(engine, &probe, verbose);
            let staging = free.and_then(|free| probe.staging?.problem(free));
            match (staging, free) {
                (Some(problem), _) => findings.problem(&check, found, problem),
                (None, Some(free)) if probe.source_bytes / 2 > free => findings.warning(
                    &check,
                    found,
                    format!(
                        "a full backup is about half its size, and only {} are left for archives",
                        human(free)
                    ),
                ),
                _ => findings.ok(&check, found),
            }
        }
        Err(error) => findings.problem(&check, error.to_string(), failing(config)),
    }
}

/// What to say where a source cannot be read. A database server may know the user that runs Coffer, and not root.
fn failing(config: &Config) -> String {
    let advice = "its backups fail until this works for the user that runs Coffer";
    let owner = config.data_dir.metadata().map_or(0, |it| it.uid());
    if geteuid().is_root() && owner != 0 {
        let user = user_name(owner).unwrap_or_else(|| format!("#{owner}"));
        format!("{advice}; to try it as that user: sudo -u '{user}' coffer doctor")
    } else {
        advice.to_owned()
    }
}

/// Checks whether the server that runs sees the source, too, and may read it. Returns whether there is a problem.
fn seen(instance: &InstanceConfig, service: &ServiceView, findings: &mut Findings) -> bool {
    let Some(path) = instance.source.text("path").map(Path::new) else { return false };
    let hidden = service.remedy_if_hidden(path).map(|remedy| {
        (format!("{} is there, but the service that runs does not see it", path.display()), remedy)
    });
    let Some((found, remedy)) = hidden.or_else(|| service.remedy_if_unreadable(path)) else {
        return false;
    };
    findings.problem(&check_of(instance), found, remedy);
    true
}

/// Checks whether the database that is refreshed could be replaced.
fn staging(instance: &InstanceConfig, findings: &mut Findings) {
    let target = instance.staging.as_ref().and_then(|it| it.in_server());
    let (Some((server, database)), Some(engine)) = (target, engine::find(&instance.engine)) else {
        return;
    };
    let check = staging_check(instance);
    if let Err(error) = engine.check_refresh(&instance.source, server, database) {
        findings.wrong_configuration = true;
        return findings.problem(&check, error.to_string(), "correct it in the configuration");
    }
    match engine.probe_refresh(&instance.source, server, database) {
        Ok(found) => findings.ok(&check, found),
        Err(error) => findings.problem(
            &check,
            error.to_string(),
            "it is not refreshed until this works for the user that runs Coffer",
        ),
    }
}

/// What a probe found, a line for each note.
fn text(engine: &dyn Engine, probe: &Probe, verbose: bool) -> String {
    let (name, size) = (engine.name(), human(probe.source_bytes));
    let mut lines = vec![format!("{name} {}, about {size}", probe.version)];
    lines.extend(probe.notes.iter().chain(probe.details.iter().filter(|_| verbose)).cloned());
    let most = if engine.reads_server() { usize::MAX } else { LEFT_OUT_SHOWN };
    lines.extend(probe.left_out.iter().take(most).cloned());
    if let more @ 1.. = probe.left_out.len().saturating_sub(most) {
        lines.push(format!("and {more} more"));
    }
    lines.join("\n")
}
