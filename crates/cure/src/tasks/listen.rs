//! Being woken: a connection that listens for tasks that were enqueued.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::{AsyncMessage, Config, Socket};

use super::CHANNEL;
use crate::retry::jittered;

/// Listens for tasks of a queue, for ever.
pub(crate) type Listener =
    Box<dyn FnOnce(String, Arc<Notify>) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

/// Pauses between attempts to connect: the first, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(30));

pub(crate) fn listener<T>(database: Config, tls: T) -> Listener
where
    T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
    T::Stream: Send,
    T::TlsConnect: Send,
    <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
{
    Box::new(move |queue, wake| {
        Box::pin(async move {
            let mut failures = 0_u32;
            loop {
                let mut heard = false;
                let error = hear(&database, tls.clone(), &queue, &wake, &mut heard).await;
                tracing::warn!(?error, queue, "not listening for tasks any more");
                failures = if heard { 1 } else { failures.saturating_add(1) };
                tokio::time::sleep(jittered(PAUSES.0, PAUSES.1, failures)).await;
            }
        })
    })
}

/// Listens until the connection ends, and says why it did.
async fn hear<T>(
    database: &Config,
    tls: T,
    queue: &str,
    wake: &Notify,
    heard: &mut bool,
) -> Option<tokio_postgres::Error>
where
    T: MakeTlsConnect<Socket>,
{
    let (client, mut connection) = match database.connect(tls).await {
        Ok(connected) => connected,
        Err(error) => return Some(error),
    };
    let sql = format!("listen {CHANNEL}");
    let mut listening = pin!(client.batch_execute(&sql));
    let mut asked = false;
    loop {
        let message = tokio::select! {
            answer = &mut listening, if !asked => {
                if let Err(error) = answer {
                    return Some(error);
                }
                asked = true;
                *heard = true;
                // What was enqueued before this was not heard.
                wake.notify_one();
                continue;
            }
            message = poll_fn(|context| connection.poll_message(context)) => message,
        };
        match message {
            Some(Ok(AsyncMessage::Notification(note))) if note.payload() == queue => {
                wake.notify_one();
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => return Some(error),
            None => return None,
        }
    }
}
