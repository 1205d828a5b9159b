//! The state as it changes, to everybody who looks.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::Stream;
use futures_util::stream::unfold;

use crate::Site;

/// Time between two looks at the state: faster than anybody reads.
const EVERY: Duration = Duration::from_millis(100);

/// The state at once, and whenever it has changed since it was last told.
pub(crate) fn events(site: Arc<dyn Site>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let told: Option<String> = None;
    let stream = unfold((site, told), |(site, told)| async move {
        loop {
            if told.is_some() {
                tokio::time::sleep(EVERY).await;
            }
            let state = site.state();
            if told.as_ref() != Some(&state) {
                let event = Event::default().data(&state);
                return Some((Ok(event), (site, Some(state))));
            }
        }
    });
    Sse::new(stream).keep_alive(KeepAlive::default())
}
