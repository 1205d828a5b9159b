//! Panics of a run: noted instead of printed, because a search makes many runs and prints the one that matters.

use std::cell::RefCell;
use std::panic::{PanicHookInfo, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    /// What was said on this thread, while it is in a run.
    static SAID: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// While it lives, panics of this thread are noted.
pub(crate) struct Noting(Option<Vec<String>>);

/// Notes panics from here on.
pub(crate) fn note() -> Noting {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |info| {
            if !noted(info) {
                before(info);
            }
        }));
    });
    Noting(SAID.replace(Some(Vec::new())))
}

fn noted(info: &PanicHookInfo<'_>) -> bool {
    SAID.try_with(|said| {
        let mut said = said.borrow_mut();
        let Some(said) = said.as_mut() else {
            return false;
        };
        let payload = info.payload();
        let message = payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "a panic without words".to_owned());
        said.push(match info.location() {
            Some(at) => format!("{message} ({}:{})", at.file(), at.line()),
            None => message,
        });
        true
    })
    .unwrap_or(false)
}

/// The first panic that was noted and not asked for yet.
pub(crate) fn first() -> Option<String> {
    SAID.with(|said| {
        let mut said = said.borrow_mut();
        let said = said.as_mut()?;
        (!said.is_empty()).then(|| said.remove(0))
    })
}

impl Drop for Noting {
    fn drop(&mut self) {
        SAID.set(self.0.take());
    }
}
