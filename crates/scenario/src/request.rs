//! HTTP requests: what is sent, what is saved of the answer.

use serde::Serialize;
use serde_json::Value;

use crate::decode::{At, Context, Json, Named, OneOrMany, Scalar};
use crate::names::Names;
use crate::problem::Problem;
use crate::save::Save;
use crate::section::{nearest, section};
use crate::template::{Saved, Unfilled, fill, fill_json, names};

section! {
    /// An HTTP request.
    struct RequestKeys {
        /// Method and path of an HTTP request: "POST /games/1/players".
        request: Option<At<String>>,
        /// A JSON body, any value.
        json: Option<At<Json>>,
        /// A form body: names and values; an array repeats its name.
        form: Option<At<Named<OneOrMany<At<Scalar>>>>>,
        /// A body as it is; give its type in `headers`.
        body: Option<At<String>>,
        /// Headers: names and values.
        headers: Named<At<Scalar>>,
        /// Values to take out of the answer, for `{name}` in later requests of the same actor: "json:$.path",
        /// "header:NAME", "cookie:NAME" or "regex:PATTERN" (its first group, on the body).
        save: Named<At<String>>,
        /// The service to ask; needed where there are several.
        service: Option<At<String>>,
        /// Whether redirects are followed, as a browser does, as part of the request (default: false).
        follow: Option<At<bool>>,
    }
}

/// An HTTP request as it stands in the file: strings may hold templates, see [`Request::fill`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Request {
    /// The service to ask.
    pub service: String,
    /// The method.
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// Headers in the order they were written.
    pub headers: Vec<(String, String)>,
    /// What is sent with it.
    pub body: Body,
    /// What to take out of the answer.
    pub save: Vec<Save>,
    /// Whether redirects are followed.
    pub follow: bool,
}

/// Methods of HTTP requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// `GET`.
    Get,
    /// `POST`.
    Post,
    /// `PUT`.
    Put,
    /// `PATCH`.
    Patch,
    /// `DELETE`.
    Delete,
    /// `HEAD`.
    Head,
    /// `OPTIONS`.
    Options,
}

const METHODS: [Method; 7] = [
    Method::Get,
    Method::Post,
    Method::Put,
    Method::Patch,
    Method::Delete,
    Method::Head,
    Method::Options,
];

impl Method {
    /// The method as it is sent: `GET`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Head => "HEAD",
            Self::Options => "OPTIONS",
        }
    }
}

/// What is sent with a request.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// Nothing.
    None,
    /// A JSON value.
    Json(Value),
    /// Names and values of a form.
    Form(Vec<(String, String)>),
    /// Text as it is.
    Text(String),
}

/// A request that can be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filled {
    /// The method.
    pub method: Method,
    /// Path and query, without characters that a request line cannot hold.
    pub path: String,
    /// Headers, with the content type of the body when the scenario gives none. No Host, Cookie or Content-Length.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Option<String>,
}

impl Request {
    /// Method and path as written: `POST /games/1/players`.
    pub fn line(&self) -> String {
        format!("{} {}", self.method.as_str(), self.path)
    }

    /// Puts saved values in and encodes the body.
    ///
    /// # Errors
    /// If a template names a value that was not saved.
    pub fn fill(&self, saved: &Saved) -> Result<Filled, Unfilled> {
        let mut headers = Vec::new();
        for (name, value) in &self.headers {
            headers.push((name.clone(), fill(value, saved)?));
        }
        let (body, content_type) = match &self.body {
            Body::None => (None, None),
            Body::Text(text) => (Some(fill(text, saved)?), None),
            Body::Json(value) => (
                Some(fill_json(value, saved)?.to_string()),
                Some("application/json"),
            ),
            Body::Form(pairs) => (
                Some(encode_form(pairs, saved)?),
                Some("application/x-www-form-urlencoded"),
            ),
        };
        if let Some(content_type) = content_type
            && !headers
                .iter()
                .any(|(name, _)| name.eq_ignore_ascii_case("content-type"))
        {
            headers.push(("content-type".into(), content_type.into()));
        }
        let path = encode_path(&fill(&self.path, saved)?);
        Ok(Filled {
            method: self.method,
            path,
            headers,
            body,
        })
    }
}

/// Encodes what a request line cannot hold; reserved characters mean what they mean. A saved `Location` may be a
/// whole URL: its path is taken.
fn encode_path(path: &str) -> String {
    let after_scheme = path
        .strip_prefix("http://")
        .or_else(|| path.strip_prefix("https://"));
    let path = match after_scheme {
        Some(rest) => rest.find('/').map_or("/", |at| &rest[at..]),
        None => path,
    };
    let path = if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("/{path}")
    };
    percent_encode(&path, |byte| {
        byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte)
    })
}

fn encode_form(pairs: &[(String, String)], saved: &Saved) -> Result<String, Unfilled> {
    let encode = |text: &str| {
        percent_encode(text, |byte| {
            byte.is_ascii_alphanumeric() || b"*-._".contains(&byte)
        })
    };
    let mut encoded = Vec::new();
    for (name, value) in pairs {
        encoded.push(format!("{}={}", encode(name), encode(&fill(value, saved)?)));
    }
    Ok(encoded.join("&").replace("%20", "+"))
}

fn percent_encode(text: &str, plain: impl Fn(u8) -> bool) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if plain(byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.extend(
                [byte >> 4, byte & 15]
                    .map(|digit| char::from(b"0123456789ABCDEF"[usize::from(digit)])),
            );
        }
    }
    encoded
}

/// Method and path, or the problem with them.
pub(crate) fn parse_line(line: &At<String>, cx: &mut Context) -> Option<(Method, String)> {
    let words: Vec<_> = line.value.split_whitespace().collect();
    let [method, path] = words.as_slice() else {
        let problem = Problem::at(line.span.clone(), "a request is a method and a path");
        cx.report(
            problem.help("write \"POST /games/1/players\"; spaces in the path are written %20"),
        );
        return None;
    };
    let known = METHODS.map(Method::as_str);
    let found = METHODS.into_iter().find(|known| known.as_str() == *method);
    if found.is_none() {
        let problem = Problem::at(line.span.clone(), format!("unknown method `{method}`"));
        cx.report(problem.help(match nearest(method, &known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("the methods are {}", known.join(", ")),
        }));
    }
    // A saved Location is a path, too.
    if !path.starts_with(['/', '{']) {
        let problem = Problem::at(line.span.clone(), "a path begins with `/`");
        let tail = path.split_once("://").map_or(*path, |(_, rest)| {
            rest.split_once('/').map_or("", |(_, tail)| tail)
        });
        let help =
            format!("write \"{method} /{tail}\"; where the service listens is known without it");
        cx.report(problem.help(help));
        return None;
    }
    found.map(|method| (method, (*path).to_owned()))
}

/// What a sequence of requests says once for all of them.
#[derive(Clone, Debug)]
pub(crate) struct Shared<'a> {
    pub service: Option<&'a At<String>>,
    pub headers: &'a Named<At<Scalar>>,
    pub follow: Option<&'a At<bool>>,
}

impl RequestKeys {
    /// The request, or the problems with it.
    pub fn resolve(
        &self,
        line: &At<String>,
        shared: &Shared<'_>,
        names: &Names,
        cx: &mut Context,
    ) -> Option<Request> {
        let parsed = parse_line(line, cx);
        let place = line.span.clone();
        let service = names.service(self.service.as_ref().or(shared.service), place, cx);
        let body = self.body(cx);
        let headers = self.headers(shared.headers, cx);
        let saves: Vec<_> = self
            .save
            .0
            .iter()
            .map(|(name, from)| Save::resolve(name, from, cx))
            .collect();
        let (method, path) = parsed?;
        Some(Request {
            service: service?,
            method,
            path,
            headers: headers?,
            body: body?,
            save: saves.into_iter().collect::<Option<_>>()?,
            follow: self
                .follow
                .as_ref()
                .or(shared.follow)
                .is_some_and(|follow| follow.value),
        })
    }

    /// Checks that the request's templates name values that are saved by then.
    pub fn check_saved(&self, saved: &[&str], cx: &mut Context) {
        for (place, name) in self.templates() {
            if saved.contains(&name) {
                continue;
            }
            let problem = Problem::at(place, format!("nothing has saved `{name}` by then"));
            cx.report(problem.help(match (nearest(name, saved), name) {
                (Some(near), _) => format!("did you mean `{{{near}}}`?"),
                (None, "n") => "`{n}` is the number of a copy: add `copies`".to_owned(),
                (None, _) => format!("save it from an earlier request: `save = {{ {name} = \"json:$.{name}\" }}`; for the text itself write {{{{{name}}}}}"),
            }));
        }
    }

    /// Names of the templates in its strings, and where they are.
    fn templates(&self) -> Vec<(std::ops::Range<usize>, &str)> {
        fn of(at: &At<String>) -> Vec<(std::ops::Range<usize>, &str)> {
            names(&at.value)
                .map(|name| (at.span.clone(), name))
                .collect()
        }
        let mut found: Vec<_> = self.request.iter().chain(&self.body).flat_map(of).collect();
        for (_, value) in &self.headers.0 {
            found.extend(names(&value.value.0).map(|name| (value.span.clone(), name)));
        }
        found.extend(
            self.json
                .iter()
                .flat_map(|json| &json.value.strings)
                .flat_map(of),
        );
        for (_, values) in self.form.iter().flat_map(|form| &form.value.0) {
            found.extend(
                values
                    .0
                    .iter()
                    .flat_map(|value| names(&value.value.0).map(|name| (value.span.clone(), name))),
            );
        }
        found
    }

    /// The keys that say what is sent, and where they are.
    pub fn bodies(&self) -> Vec<(&'static str, std::ops::Range<usize>)> {
        let json = self.json.as_ref().map(|json| ("json", json.span.clone()));
        let form = self.form.as_ref().map(|form| ("form", form.span.clone()));
        let body = self.body.as_ref().map(|body| ("body", body.span.clone()));
        [json, form, body].into_iter().flatten().collect()
    }

    fn body(&self, cx: &mut Context) -> Option<Body> {
        if let [(first, _), (second, place), ..] = self.bodies().as_slice() {
            let problem = Problem::at(
                place.clone(),
                format!("`{first}` and `{second}` in one request"),
            );
            cx.report(problem.help("keep one of `json`, `form` and `body`"));
            return None;
        }
        Some(if let Some(json) = &self.json {
            Body::Json(json.value.value.clone())
        } else if let Some(form) = &self.form {
            let fields = form.value.0.iter();
            let pairs = fields.flat_map(|(name, values)| {
                values
                    .0
                    .iter()
                    .map(|value| (name.value.clone(), value.value.0.clone()))
            });
            Body::Form(pairs.collect())
        } else if let Some(body) = &self.body {
            Body::Text(body.value.clone())
        } else {
            Body::None
        })
    }

    fn headers(
        &self,
        shared: &Named<At<Scalar>>,
        cx: &mut Context,
    ) -> Option<Vec<(String, String)>> {
        let own = |name: &str| {
            self.headers
                .0
                .iter()
                .any(|(own, _)| own.value.eq_ignore_ascii_case(name))
        };
        let inherited = shared.0.iter().filter(|(name, _)| !own(&name.value));
        let mut headers = Some(Vec::new());
        for (name, value) in inherited.chain(&self.headers.0) {
            let text = &value.value.0;
            if name.value.is_empty() || !name.value.bytes().all(is_header_byte) {
                cx.report(Problem::at(
                    name.span.clone(),
                    format!("`{}` cannot be the name of a header", name.value),
                ));
                headers = None;
            }
            if text.contains(|c: char| c.is_control() && c != '\t') {
                cx.report(Problem::at(
                    value.span.clone(),
                    "a header's value is one line",
                ));
                headers = None;
            }
            if let Some(headers) = &mut headers {
                headers.push((name.value.clone(), text.clone()));
            }
        }
        headers
    }
}

/// Characters of a header's name (RFC 9110, section 5.6.2: token).
fn is_header_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
