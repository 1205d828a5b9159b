//! The server: a thread of its own, so that whoever is shown need not mind it.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{Method, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{any, get};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::door::{Door, guard};
use crate::events::events;
use crate::{Question, Site};

/// A site that is served until this is dropped.
pub struct Server {
    address: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Begins to serve.
    ///
    /// # Errors
    /// When the system refuses a port, a thread, or random bytes for the token.
    pub fn open(site: Arc<dyn Site>) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        let door = Arc::new(Door::new(port)?);
        let address = format!("http://127.0.0.1:{port}/{}/", door.token);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let listener = {
            let _inside = runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };
        let routes = routes(site, door);
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new()
            .name("deadheat-live".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        _ = axum::serve(listener, routes) => {}
                        _ = stopped => {}
                    }
                });
            })?;
        Ok(Self {
            address,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// The address of the page, with the token in it and a slash at its end.
    pub fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // It may have ended by itself.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            // If it panicked there is nothing left to end.
            let _ = thread.join();
        }
    }
}

fn routes(site: Arc<dyn Site>, door: Arc<Door>) -> Router {
    let page = |State(site): State<Arc<dyn Site>>| async move { Html(site.page()) };
    let told = |State(site): State<Arc<dyn Site>>| async move { events(site) };
    Router::new()
        .route("/{token}/", get(page))
        .route("/{token}/events", get(told))
        .route("/{token}/{*path}", any(ask))
        .with_state(site)
        .layer(from_fn_with_state(door, guard))
}

async fn ask(
    State(site): State<Arc<dyn Site>>,
    Path((_, path)): Path<(String, String)>,
    method: Method,
    body: Bytes,
) -> Response {
    let body: Value = match body.as_ref() {
        [] => Value::Null,
        body => match serde_json::from_slice(body) {
            Ok(body) => body,
            Err(error) => return refused(400, &format!("the body is no JSON: {error}")),
        },
    };
    let question = Question {
        method: method.to_string(),
        path,
        body,
    };
    match site.answer(question).await {
        Ok(answer) => Json(answer).into_response(),
        Err(refusal) => refused(refusal.status, &refusal.why),
    }
}

fn refused(status: u16, why: &str) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, Json(json!({ "error": why }))).into_response()
}
