//! Look-ups, which block: off the event loop, but for those that are over sooner than another thread
//! would wake up.

use actix_web::web;

use super::State;
use super::error::ApiError;

/// Asks something that may block.
pub(super) async fn read<T: Send + 'static>(
    state: &web::Data<State>,
    ask: impl FnOnce(&State) -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let state = state.clone();
    web::block(move || ask(&state))
        .await
        .map_err(|error| ApiError::Fault(format!("a look-up was not run: {error}")))?
}

/// Asks for something that is one indexed look-up. It is made right here while a connection is idle: a
/// profile of handing it to another thread showed the switches between the two at the top. Else it goes off
/// the event loop, so that a worker never waits for somebody else's long look.
pub(super) async fn look_up<T: Send + 'static>(
    state: &web::Data<State>,
    ask: impl FnOnce(&State) -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    if state.catalog.answers_at_once() { ask(state) } else { read(state, ask).await }
}
