//! The channels for alerts: whether their files can be read, and what they name makes sense.

use crate::config::Config;
use crate::server;

use super::finding::Findings;

const CHECK: &str = "alerts";

/// Checks the channels without sending anything.
pub(super) fn alerts(config: &Config, findings: &mut Findings) {
    let channels = match server::alert_channels(config) {
        Ok(channels) => channels,
        Err(error) => {
            findings.wrong_configuration = true;
            let advice = "correct it; config/default.toml explains the keys of [[alerts]]";
            return findings.problem(CHECK, error.to_string(), advice);
        }
    };
    if channels.is_empty() {
        return findings
            .ok(CHECK, "no channel: nobody gets a message when a backup fails or is missing");
    }
    let mut good = Vec::new();
    for channel in &channels {
        match channel.check() {
            Ok(()) => good.push(channel.name.as_str()),
            Err(error) => findings.problem(
                CHECK,
                format!("channel {:?}: {error}", channel.name),
                "correct it, and try it with coffer alert test",
            ),
        }
    }
    if !good.is_empty() {
        let good = good.join(", ");
        findings.ok(CHECK, format!("{good}; coffer alert test sends a message"));
    }
    let routes = config.alert_routes();
    let named = |name: &String| {
        let mut all = routes.instances.values().chain([&routes.default]);
        all.any(|it| it.channels.contains(name))
    };
    for channel in channels.iter().filter(|it| !named(&it.name)) {
        findings.warning(
            CHECK,
            format!("channel {:?} is named by no instance, so it hears nothing", channel.name),
            format!("name it: [defaults] alerts = [{:?}]", channel.name),
        );
    }
}
