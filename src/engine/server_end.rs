//! A server that ended while it was read. Its tools then say almost anything, so it is asked itself.

use super::{EngineError, Result};
use crate::domain::FailureCode::{self, DiskFull, SourceMissing, Tool};

/// What it means that reading the server `shown` failed. `is_same` asks whether it is still the one that began to
/// answer, and was not started again since.
pub(super) fn explain(
    error: EngineError,
    shown: &str,
    is_same: impl FnOnce() -> Result<bool>,
) -> EngineError {
    if matches!(code(&error), None | Some(DiskFull | SourceMissing)) {
        return error;
    }
    let what = match is_same() {
        Ok(false) => "was started again",
        Err(why) if matches!(code(&why), Some(SourceMissing | Tool)) => "ended or hung",
        Ok(true) | Err(_) => return error,
    };
    EngineError::known(
        SourceMissing,
        format!(
            "while {shown} was read, it {what}: look into its log, and back up again; what failed was: {error}"
        ),
    )
}

/// `None` for what is not the source's fault: the backup was cancelled, or its archive cannot be written.
fn code(error: &EngineError) -> Option<FailureCode> {
    error.failure().map(|it| it.code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::FailureCode::{SourceDamaged, SourceDenied, SourceLocked};

    fn known(code: FailureCode) -> EngineError {
        EngineError::known(code, "a message")
    }

    #[test]
    fn the_end_of_a_server_explains_whatever_its_tools_said() {
        let explained = |failed, answer| {
            let error = explain(known(failed), "the server", || answer);
            (code(&error), error.to_string().contains("a message"))
        };
        for failed in [Tool, SourceDamaged, SourceDenied] {
            assert_eq!(explained(failed, Ok(false)), (Some(SourceMissing), true));
            assert_eq!(explained(failed, Err(known(SourceMissing))), (Some(SourceMissing), true));
            assert_eq!(explained(failed, Err(known(Tool))), (Some(SourceMissing), true));
        }
    }

    #[test]
    fn a_server_that_answers_and_a_full_disk_change_no_word() {
        let unchanged = |failed, answer| code(&explain(known(failed), "the server", || answer));
        assert_eq!(unchanged(SourceDamaged, Ok(true)), Some(SourceDamaged));
        assert_eq!(unchanged(Tool, Err(known(SourceLocked))), Some(Tool));
        assert_eq!(unchanged(DiskFull, Ok(false)), Some(DiskFull));
        assert_eq!(code(&explain(EngineError::Cancelled, "the server", || Ok(false))), None);
    }
}
