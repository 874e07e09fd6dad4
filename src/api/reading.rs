//! Reads of the catalog, which block: off the event loop.

use actix_web::web;

use super::State;
use super::error::ApiError;

/// Runs a read on a thread that may block.
pub(super) async fn read<T: Send + 'static>(
    state: &web::Data<State>,
    ask: impl FnOnce(&State) -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let state = state.clone();
    web::block(move || ask(&state))
        .await
        .map_err(|error| ApiError::Fault(format!("a look-up was not run: {error}")))?
}
