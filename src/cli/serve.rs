//! The command `coffer serve`: runs the server until a signal stops it.

use crate::domain::{LogFormat, with_causes};
use crate::{server, telemetry};

use super::args::{self, WithConfig};
use super::error::{CommandError, Result};

pub(super) fn run(with: &WithConfig) -> Result<()> {
    let config = with.load_silently()?;
    telemetry::start(config.server.log_level, config.server.log_format);
    if let Some(warning) = args::without_file(&config) {
        log::warn!("{warning}");
    }
    let served = server::serve(&config).map_err(|error| match config.server.log_format {
        LogFormat::Text => CommandError::from(error),
        LogFormat::Json => {
            log::error!("{}", with_causes(&error));
            CommandError::Logged(error)
        }
    });
    telemetry::flush();
    served
}
