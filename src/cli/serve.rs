//! `coffer serve`.

use crate::{server, telemetry};

use super::{CommandError, WithConfig};

pub(super) fn run(with: &WithConfig) -> Result<(), CommandError> {
    let config = with.load()?;
    telemetry::start(config.server.log_level.as_str())
        .map_err(|error| CommandError::Usage(error.to_string()))?;
    server::serve(&config, |_address| ())?;
    Ok(())
}
