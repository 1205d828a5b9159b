//! HTTP requests as an actor makes them: one connection a request, cookies kept, redirects followed on request.
//!
//! A connection of its own for each request keeps servers that serve one connection a thread or a worker from
//! being held by an actor that is parked.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use bytes::Bytes;
use deadheat_scenario::{Filled, Saved};
use http_body_util::{BodyExt, Full};
use hyper::header::{COOKIE, HOST, LOCATION, SET_COOKIE};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::record::Reply;

/// Redirects followed for one request before it is given up; browsers stop at about 20.
const MOST_REDIRECTS: usize = 20;

/// Cookies and saved values, by name of who has them.
pub(crate) type Browsers = BTreeMap<String, Browser>;

/// What somebody carries from request to request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Browser {
    /// Cookies by name.
    pub cookies: BTreeMap<String, String>,
    /// Values saved from replies.
    pub saved: Saved,
}

/// A request with all its templates filled.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    method: Method,
    path: String,
    headers: Vec<(String, String)>,
    body: Bytes,
    follow: bool,
}

/// An answer with all its headers.
pub(crate) struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    /// The answer as a run remembers it: only the headers that can matter to a user.
    pub fn into_reply(self, call: &Call) -> Reply {
        Reply::Http {
            request: call.title(),
            status: self.status,
            headers: self
                .headers
                .into_iter()
                .filter(|(name, _)| {
                    matches!(name.as_str(), "content-type" | "location" | "set-cookie")
                })
                .collect(),
            body: self.body,
        }
    }
}

impl Call {
    /// Takes over a request of the scenario.
    pub fn new(filled: Filled, follow: bool) -> Self {
        Self {
            method: Method::from_bytes(filled.method.as_str().as_bytes()).unwrap_or_default(),
            path: filled.path,
            headers: filled.headers,
            body: filled.body.map_or_else(Bytes::new, Bytes::from),
            follow,
        }
    }

    /// A request without anything in it.
    pub fn plain(method: deadheat_scenario::Method, path: &str) -> Self {
        Self {
            method: Method::from_bytes(method.as_str().as_bytes()).unwrap_or_default(),
            path: path.to_owned(),
            headers: Vec::new(),
            body: Bytes::new(),
            follow: false,
        }
    }

    /// `POST /games/1/players`.
    pub fn title(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    fn redirected(&self, status: StatusCode, location: &str) -> Self {
        let keeps_method = matches!(
            status,
            StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT
        );
        Self {
            method: if keeps_method || self.method == Method::HEAD {
                self.method.clone()
            } else {
                Method::GET
            },
            path: resolve(&self.path, location),
            headers: self.headers.clone(),
            body: if keeps_method {
                self.body.clone()
            } else {
                Bytes::new()
            },
            follow: true,
        }
    }
}

/// The path that a Location header leads to, seen from `path`.
fn resolve(path: &str, location: &str) -> String {
    if let Some((_, rest)) = location.split_once("://") {
        return rest
            .find('/')
            .map_or_else(|| "/".to_owned(), |slash| rest[slash..].to_owned());
    }
    if location.starts_with('/') {
        return location.to_owned();
    }
    let bare = path.split(['?', '#']).next().unwrap_or("/");
    if location.starts_with('?') {
        return format!("{bare}{location}");
    }
    let folder = bare.rfind('/').map_or("/", |slash| &bare[..=slash]);
    format!("{folder}{location}")
}

/// Sends the request, following redirects where it asks for it.
///
/// # Errors
/// In words, when no answer came: connection refused, broken, or not HTTP.
pub(crate) async fn send(
    browser: &mut Browser,
    service: SocketAddr,
    call: &Call,
) -> Result<Answer, String> {
    let mut call = call.clone();
    for _ in 0..=MOST_REDIRECTS {
        let response = once(browser, service, &call).await?;
        let status = response.status();
        let headers: Vec<(String, String)> = response
            .headers()
            .iter()
            .map(|(name, value)| {
                (
                    name.as_str().to_owned(),
                    String::from_utf8_lossy(value.as_bytes()).into_owned(),
                )
            })
            .collect();
        for (name, value) in &headers {
            if name == SET_COOKIE.as_str() {
                keep_cookie(&mut browser.cookies, value);
            }
        }
        let location = headers
            .iter()
            .find(|(name, _)| name == LOCATION.as_str())
            .map(|(_, value)| value.clone());
        match location {
            Some(location) if call.follow && status.is_redirection() => {
                // The body of a redirect is of no use, but an unread one would look like a broken connection.
                let _ = response.into_body().collect().await;
                call = call.redirected(status, &location);
            }
            _ => {
                let body = response
                    .into_body()
                    .collect()
                    .await
                    .map_err(|error| format!("the answer broke off: {error}"))?
                    .to_bytes();
                return Ok(Answer {
                    status: status.as_u16(),
                    headers,
                    body: String::from_utf8_lossy(&body).into_owned(),
                });
            }
        }
    }
    Err(format!("more than {MOST_REDIRECTS} redirects"))
}

async fn once(
    browser: &Browser,
    service: SocketAddr,
    call: &Call,
) -> Result<Response<hyper::body::Incoming>, String> {
    let stream = TcpStream::connect(service)
        .await
        .map_err(|error| format!("cannot connect to {service}: {error}"))?;
    let _ = stream.set_nodelay(true);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| error.to_string())?;
    tokio::spawn(async move {
        // An error of the connection reaches the request as well.
        let _ = connection.await;
    });
    let mut request = Request::builder()
        .method(call.method.clone())
        .uri(&call.path)
        .header(HOST, service.to_string())
        .header("connection", "close")
        .header("accept", "*/*");
    if !browser.cookies.is_empty() {
        let cookies: Vec<String> = browser
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        request = request.header(COOKIE, cookies.join("; "));
    }
    for (name, value) in &call.headers {
        request = request.header(name, value);
    }
    let request = request
        .body(Full::new(call.body.clone()))
        .map_err(|error| format!("cannot be sent: {error}"))?;
    sender
        .send_request(request)
        .await
        .map_err(|error| broken(&error))
}

fn broken(error: &hyper::Error) -> String {
    if error.is_incomplete_message() {
        "the service closed the connection without an answer".to_owned()
    } else {
        error.to_string()
    }
}

/// Keeps (or drops) the cookie of one Set-Cookie header (RFC 6265, section 5.2, names and ages only: all requests
/// go to one host).
fn keep_cookie(cookies: &mut BTreeMap<String, String>, header: &str) {
    let mut parts = header.split(';');
    let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else {
        return;
    };
    let gone = parts.any(|attribute| {
        attribute.trim().split_once('=').is_some_and(|(key, age)| {
            key.eq_ignore_ascii_case("max-age")
                && age.trim().parse::<i64>().is_ok_and(|seconds| seconds <= 0)
        })
    });
    if gone {
        cookies.remove(name.trim());
    } else {
        cookies.insert(name.trim().to_owned(), value.trim().to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_lives_until_its_age_is_over() {
        let mut cookies = BTreeMap::new();
        keep_cookie(&mut cookies, "sessionid=abc; Path=/; HttpOnly");
        assert_eq!(cookies.get("sessionid").map(String::as_str), Some("abc"));
        keep_cookie(&mut cookies, "sessionid=; Max-Age=0; Path=/");
        assert!(cookies.is_empty());
    }

    #[test]
    fn a_redirect_leads_where_a_browser_would_go() {
        assert_eq!(resolve("/a/b?x=1", "http://127.0.0.1:1/c?d"), "/c?d");
        assert_eq!(resolve("/a/b", "/c"), "/c");
        assert_eq!(resolve("/a/b?x=1", "c"), "/a/c");
        assert_eq!(resolve("/a/b?x=1", "?y=2"), "/a/b?y=2");
    }
}
