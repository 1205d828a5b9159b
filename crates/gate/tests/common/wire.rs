//! A client that speaks bytes: what it sends is written out, what it gets is kept as it came.

use std::fmt;
use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A message of the server.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    pub tag: u8,
    pub body: Vec<u8>,
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text: String = self
            .body
            .iter()
            .take(300)
            .flat_map(|byte| byte.escape_ascii())
            .map(char::from)
            .collect();
        write!(f, "{} {text}", char::from(self.tag))
    }
}

impl Message {
    /// A field of an error or notice.
    pub fn field(&self, field: u8) -> Option<String> {
        self.body
            .split(|byte| *byte == 0)
            .find(|part| part.first() == Some(&field))
            .map(|part| String::from_utf8_lossy(&part[1..]).into_owned())
    }

    pub fn code(&self) -> Option<String> {
        self.field(b'C')
    }
}

pub struct Wire {
    pub stream: Box<dyn Stream>,
    pub pid: i32,
    pub key: Vec<u8>,
}

pub fn startup(user: &str, database: &str) -> Vec<u8> {
    let mut body = 196_608u32.to_be_bytes().to_vec();
    for text in ["user", user, "database", database, ""] {
        body.extend(text.as_bytes());
        body.push(0);
    }
    let mut packet = (body.len() as u32 + 4).to_be_bytes().to_vec();
    packet.extend(body);
    packet
}

impl Wire {
    pub async fn tcp(addr: SocketAddr, database: &str) -> Wire {
        Wire::on(
            Box::new(TcpStream::connect(addr).await.expect("a connection")),
            database,
        )
        .await
    }

    /// A connection on which nothing was said yet.
    pub fn bare(stream: Box<dyn Stream>) -> Wire {
        Wire {
            stream,
            pid: 0,
            key: Vec::new(),
        }
    }

    pub async fn on(stream: Box<dyn Stream>, database: &str) -> Wire {
        let mut wire = Wire::bare(stream);
        wire.send(&startup("postgres", database)).await;
        wire.greet().await;
        wire
    }

    /// Reads up to the first ReadyForQuery.
    pub async fn greet(&mut self) {
        for message in self.until(b'Z').await {
            if message.tag == b'K' {
                self.pid = i32::from_be_bytes(message.body[..4].try_into().expect("four bytes"));
                self.key = message.body[4..].to_vec();
            }
        }
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        self.stream
            .write_all(bytes)
            .await
            .expect("the other side reads");
    }

    /// The next message; `None` at the end of the stream.
    pub async fn next(&mut self) -> Option<Message> {
        let tag = self.stream.read_u8().await.ok()?;
        let length = self.stream.read_u32().await.ok()? as usize - 4;
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).await.ok()?;
        if tag == b'A' {
            // The process id of the notifier.
            body[..4].fill(0);
        }
        Some(Message { tag, body })
    }

    /// Messages up to the next one of this type, or to the end of the stream.
    pub async fn until(&mut self, tag: u8) -> Vec<Message> {
        let mut messages = Vec::new();
        while let Some(message) = self.next().await {
            messages.push(message);
            if messages.last().is_some_and(|message| message.tag == tag) {
                break;
            }
        }
        messages
    }

    /// Sends a simple Query and reads its reply.
    pub async fn run(&mut self, sql: &str) -> Vec<Message> {
        self.send(&query(sql)).await;
        self.until(b'Z').await
    }
}

pub fn tags(messages: &[Message]) -> String {
    messages
        .iter()
        .map(|message| char::from(message.tag))
        .collect()
}

/// Text of the first cell of the first row.
pub fn cell(messages: &[Message]) -> String {
    let row = messages
        .iter()
        .find(|message| message.tag == b'D')
        .expect("a row");
    String::from_utf8_lossy(&row.body[6..]).into_owned()
}

pub fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    out.extend((body.len() as u32 + 4).to_be_bytes());
    out.extend(body);
    out
}

fn text(text: &str) -> Vec<u8> {
    let mut out = text.as_bytes().to_vec();
    out.push(0);
    out
}

pub fn query(sql: &str) -> Vec<u8> {
    message(b'Q', &text(sql))
}

pub fn parse(name: &str, sql: &str) -> Vec<u8> {
    message(b'P', &[text(name), text(sql), vec![0, 0]].concat())
}

pub fn bind(portal: &str, statement: &str, params: &[Option<&str>]) -> Vec<u8> {
    let mut body = [text(portal), text(statement), vec![0, 0]].concat();
    body.extend((params.len() as u16).to_be_bytes());
    for param in params {
        match param {
            Some(value) => {
                body.extend((value.len() as i32).to_be_bytes());
                body.extend(value.as_bytes());
            }
            None => body.extend((-1i32).to_be_bytes()),
        }
    }
    body.extend([0, 0]);
    message(b'B', &body)
}

pub fn execute(portal: &str, rows: u32) -> Vec<u8> {
    message(b'E', &[text(portal), rows.to_be_bytes().to_vec()].concat())
}

pub fn describe(kind: u8, name: &str) -> Vec<u8> {
    message(b'D', &[vec![kind], text(name)].concat())
}

pub fn close(kind: u8, name: &str) -> Vec<u8> {
    message(b'C', &[vec![kind], text(name)].concat())
}

pub fn sync() -> Vec<u8> {
    message(b'S', &[])
}

pub fn flush() -> Vec<u8> {
    message(b'H', &[])
}

/// Parse, Bind, Describe, Execute of the unnamed statement.
pub fn run(sql: &str, params: &[Option<&str>]) -> Vec<u8> {
    [
        parse("", sql),
        bind("", "", params),
        describe(b'P', ""),
        execute("", 0),
    ]
    .concat()
}
