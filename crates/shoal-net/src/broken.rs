//! A broken invariant of ours (DESIGN §8): what is said of it, and how a test breaks one on purpose.
//!
//! - BREAK-1 the hook is this library's own: panics of other extension modules never come here.
//! - BREAK-2 the hook takes no lock that the panicking thread may hold.
use std::fmt::Arguments;
use std::io::Write;
use std::sync::OnceLock;

/// The exit code of a daemon or worker that has met a broken invariant.
pub const EXIT_CODE: i32 = 101;

/// From now on a panic in this process calls `then` with one line on what broke, and the stack.
pub fn on_panic(then: impl Fn(&str, &str) + Send + Sync + 'static) {
    std::panic::set_hook(Box::new(move |info| {
        let words = info.payload().downcast_ref::<&str>().copied();
        let words = words.or_else(|| info.payload().downcast_ref::<String>().map(String::as_str));
        let what = words.unwrap_or("a panic without words");
        let place = info.location().map(|l| format!(" ({}:{})", l.file(), l.line())).unwrap_or_default();
        let stack = std::backtrace::Backtrace::force_capture().to_string();
        then(&format!("an invariant of shoal's own is broken: {what}{place}"), &stack);
    }));
}

/// Writes a line to standard error, which may be closed, or a file on a full disk: then nobody can be told.
#[macro_export]
macro_rules! say {
    ($($what:tt)*) => { $crate::broken::say(format_args!($($what)*)) };
}

/// What [`say!`] calls.
pub fn say(what: Arguments<'_>) {
    let _ = writeln!(std::io::stderr(), "shoal: {what}");
}

/// What a daemon or worker does: says so where its log is, and ends at once.
pub fn log_and_exit(line: &str, stack: &str) {
    let _ = writeln!(std::io::stderr(), "{stack}\nshoal: {line}; process {} ends", std::process::id());
    // SAFETY: nothing of this process is to run any more, its exit handlers included.
    unsafe { libc::_exit(EXIT_CODE) };
}

/// Breaks here when `SHOAL_BREAK_AT`, read once, names this place.
pub fn break_point(place: &str) {
    static ARMED: OnceLock<Option<String>> = OnceLock::new();
    let armed = ARMED.get_or_init(|| std::env::var("SHOAL_BREAK_AT").ok());
    assert!(armed.as_deref() != Some(place), "BREAK-0: broken on purpose at {place}");
}
