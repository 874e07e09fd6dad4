//! Panics as log lines.

use std::any::Any;
use std::fmt::Display;
use std::thread;

/// Logs every panic from now on as an error, with its place and message.
pub(super) fn report_to_log() {
    std::panic::set_hook(Box::new(|info| {
        let thread = thread::current();
        log::error!("{}", sentence(thread.name(), info.location(), info.payload()));
        super::flush();
    }));
}

fn sentence(
    thread: Option<&str>,
    place: Option<&impl Display>,
    payload: &(dyn Any + Send),
) -> String {
    let thread = thread.unwrap_or("without a name");
    let place = place.map_or_else(String::new, |place| format!(" at {place}"));
    let message = match payload.downcast_ref::<&'static str>() {
        Some(text) => text,
        None => payload.downcast_ref::<String>().map_or("a value that is not text", String::as_str),
    };
    format!("the thread {thread} panicked{place}: {message}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_logged_with_thread_place_and_message() {
        let place = Some(&"src/x.rs:1:2");
        let expected = "the thread executor-0 panicked at src/x.rs:1:2: no way";
        assert_eq!(sentence(Some("executor-0"), place, &"no way"), expected);
        assert_eq!(sentence(Some("executor-0"), place, &"no way".to_owned()), expected);
        assert_eq!(
            sentence(None, None::<&String>, &7_u8),
            "the thread without a name panicked: a value that is not text"
        );
    }
}
