//! The command `coffer serve`: runs the server until a signal stops it.

use crate::{server, telemetry};

use super::args::WithConfig;
use super::error::CommandError;

pub(super) fn run(with: &WithConfig) -> Result<(), CommandError> {
    let config = with.load()?;
    telemetry::start(config.server.log_level);
    let served = server::serve(&config);
    telemetry::flush();
    Ok(served?)
}
