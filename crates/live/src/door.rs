//! Who is let in: whoever knows the token, and asks this machine for this machine.
//!
//! A page somewhere else can have a browser ask for addresses here: it does not know the token. A name of its own that
//! it has point to 127.0.0.1 would make the answers its own: so the name that was asked for is looked at too.

use std::io;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// Bytes of a token.
const TOKEN: usize = 16;

/// What every answer says: it is for this page alone, and stays nowhere.
const HEADERS: [(HeaderName, &str); 5] = [
    (header::CACHE_CONTROL, "no-store"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
];

/// The door of one server.
pub(crate) struct Door {
    pub token: String,
    pub port: u16,
}

impl Door {
    /// A door with a new token.
    pub fn new(port: u16) -> io::Result<Self> {
        let mut bytes = [0; TOKEN];
        let mut filled = 0;
        while filled < TOKEN {
            filled += rustix::rand::getrandom(
                &mut bytes[filled..],
                rustix::rand::GetRandomFlags::empty(),
            )?;
        }
        let token = format!("{:032x}", u128::from_ne_bytes(bytes));
        Ok(Self { token, port })
    }

    /// Whether the request may come in.
    fn opens(&self, path: &str, headers: &HeaderMap) -> bool {
        let token = path.trim_start_matches('/').split('/').next();
        token == Some(self.token.as_str()) && self.is_meant(headers)
    }

    /// Whether this machine was asked for by a name that always means this machine.
    fn is_meant(&self, headers: &HeaderMap) -> bool {
        let asked = headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok());
        let names = ["127.0.0.1", "localhost"];
        names
            .iter()
            .any(|name| asked == Some(&format!("{name}:{}", self.port)))
    }
}

/// Lets requests in, or not.
pub(crate) async fn guard(State(door): State<Arc<Door>>, request: Request, next: Next) -> Response {
    let mut response = if door.opens(request.uri().path(), request.headers()) {
        next.run(request).await
    } else {
        let why = "the address lacks its token: copy all of it\n";
        (StatusCode::FORBIDDEN, why).into_response()
    };
    for (name, value) in HEADERS {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    response
}
