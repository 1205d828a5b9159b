//! A session: one query at a time, its results one by one, notices and notifications on the way.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use fallible_iterator::FallibleIterator;
use postgres_protocol::IsNull;
use postgres_protocol::message::backend::{
    DataRowBody, ErrorFields, Message as Backend, RowDescriptionBody,
};
use postgres_protocol::message::frontend;

use super::socket::Socket;
use super::{CLOSED, Target, WireError, handshake};
use crate::reply::{Message, Notification, Reply, Table};

/// Where the reading of replies is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    /// No query is under way.
    Idle,
    /// On the way to the next result.
    Busy,
    /// A result was read and not yet taken.
    Ready,
}

/// A session of a spec, or its control connection.
pub struct Session {
    target: Target,
    socket: Socket,
    /// Its process on the server.
    pid: i32,
    key: i32,
    reading: Reading,
    result: Option<Reply>,
    rows: Option<Table>,
    query: String,
    transaction: u8,
    /// The connection is at its end, and a query was told so.
    gone: bool,
    notices: VecDeque<Message>,
    notifications: VecDeque<Notification>,
}

impl Session {
    /// Begins to connect; several sessions begin together, so that the server starts their processes side by side.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub fn begin(target: &Target, settings: &[(String, String)]) -> Result<Self, WireError> {
        let mut socket = Socket::connect(target)?;
        handshake::begin(&mut socket, target, settings)?;
        Ok(Self {
            target: target.clone(),
            socket,
            pid: 0,
            key: 0,
            reading: Reading::Idle,
            result: None,
            rows: None,
            query: String::new(),
            transaction: b'I',
            gone: false,
            notices: VecDeque::new(),
            notifications: VecDeque::new(),
        })
    }

    /// Finishes what [`begin`](Self::begin) began.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn finish(&mut self) -> Result<(), WireError> {
        (self.pid, self.key) = handshake::finish(&mut self.socket, &self.target)?;
        Ok(())
    }

    /// The id of its process on the server.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Whether a transaction (also a failed one) was open when its last query ended.
    pub fn in_transaction(&self) -> bool {
        self.transaction != b'I'
    }

    /// Whether the connection has ended.
    pub fn is_gone(&self) -> bool {
        self.gone
    }

    /// Sends a query.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn send(&mut self, sql: &str) -> Result<(), WireError> {
        let mut bytes = BytesMut::new();
        frontend::query(sql, &mut bytes).map_err(WireError::io("send a query"))?;
        self.launch(sql, &bytes)
    }

    /// Prepares a statement and waits until it is.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn prepare(&mut self, name: &str, sql: &str) -> Result<Option<Reply>, WireError> {
        let mut bytes = BytesMut::new();
        frontend::parse(name, sql, [], &mut bytes).map_err(WireError::io("prepare a statement"))?;
        frontend::sync(&mut bytes);
        self.launch(sql, &bytes)?;
        Ok(self.last_result())
    }

    /// Executes a prepared statement with one parameter and waits for its result.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn execute(&mut self, name: &str, parameter: &str) -> Result<Option<Reply>, WireError> {
        let mut bytes = BytesMut::new();
        let text = |parameter: &str, out: &mut BytesMut| {
            out.extend_from_slice(parameter.as_bytes());
            Ok(IsNull::No)
        };
        let wrong = || WireError::io("execute a statement");
        let bound = frontend::bind("", name, [], [parameter], text, [], &mut bytes);
        bound.map_err(|_| wrong()(std::io::Error::other("its parameter cannot be written")))?;
        frontend::describe(b'P', "", &mut bytes).map_err(wrong())?;
        frontend::execute("", 0, &mut bytes).map_err(wrong())?;
        frontend::sync(&mut bytes);
        self.launch("", &bytes)?;
        Ok(self.last_result())
    }

    fn launch(&mut self, sql: &str, bytes: &[u8]) -> Result<(), WireError> {
        if self.gone {
            return Err(WireError::Closed);
        }
        sql.clone_into(&mut self.query);
        // Where it cannot be written any more, there is a farewell to be read.
        if self.socket.write(bytes).is_err() {
            tracing::debug!(self.pid, "a query could not be sent");
        }
        self.reading = Reading::Busy;
        Ok(())
    }

    /// Whether no result of the query has been read yet. Reads what has arrived, not further than to the next result.
    ///
    /// # Errors
    /// When what the server sends cannot be understood.
    pub fn is_busy(&mut self) -> Result<bool, WireError> {
        self.digest()?;
        if self.reading == Reading::Busy && self.socket.has_ended() {
            self.broken();
        }
        Ok(self.reading == Reading::Busy)
    }

    /// Waits at most so long for something to arrive. Whether it did.
    ///
    /// # Errors
    /// When waiting fails.
    pub fn wait(&mut self, most: Duration) -> Result<bool, WireError> {
        self.socket.wait(most)
    }

    /// The next result of the query, waited for; `None` when there are no more.
    ///
    /// # Errors
    /// When what the server sends cannot be understood.
    pub fn result(&mut self) -> Result<Option<Reply>, WireError> {
        loop {
            if !self.is_busy()? {
                break;
            }
            match self.socket.read() {
                Ok(()) | Err(WireError::Closed) => {}
                Err(error) => return Err(error),
            }
        }
        if self.reading == Reading::Idle {
            return Ok(None);
        }
        self.reading = if self.gone {
            Reading::Idle
        } else {
            Reading::Busy
        };
        Ok(self.result.take())
    }

    /// The last result of the query under way, as `PQexec` gives it.
    fn last_result(&mut self) -> Option<Reply> {
        let mut last = None;
        while let Ok(Some(reply)) = self.result() {
            last = Some(reply);
        }
        last
    }

    /// Sends a query and waits for its last result.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn run(&mut self, sql: &str) -> Result<Option<Reply>, WireError> {
        self.send(sql)?;
        Ok(self.last_result())
    }

    /// Notices that were read and not yet taken.
    pub fn take_notices(&mut self) -> Vec<Message> {
        self.notices.drain(..).collect()
    }

    /// Notifications that have arrived and were not yet taken. For a session that does nothing.
    ///
    /// # Errors
    /// When what the server sends cannot be understood.
    pub fn take_notifications(&mut self) -> Result<Vec<Notification>, WireError> {
        self.socket.wait(Duration::ZERO)?;
        self.digest()?;
        Ok(self.notifications.drain(..).collect())
    }

    /// Asks the server, on another connection, to cancel the query.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub fn cancel(&self) -> Result<(), WireError> {
        let mut bytes = BytesMut::new();
        frontend::cancel_request(self.pid, self.key, &mut bytes);
        let mut socket = Socket::connect(&self.target)?;
        socket.write(&bytes)?;
        // The server closes it when the signal was sent.
        let _ = socket.read();
        Ok(())
    }

    /// Takes leave of the server.
    pub(crate) fn leave(&mut self) {
        let mut bytes = BytesMut::new();
        frontend::terminate(&mut bytes);
        // A server that is gone need not be told.
        let _ = self.socket.write(&bytes);
    }

    /// Waits, for a second at most, until the server has ended the session.
    pub(crate) fn left(&mut self) {
        let end = Instant::now() + Duration::from_secs(1);
        while !self.socket.has_ended() && Instant::now() < end {
            if self.socket.wait(Duration::from_millis(100)).is_err() {
                return;
            }
        }
    }

    /// Understands what was read, up to the next result.
    fn digest(&mut self) -> Result<(), WireError> {
        while self.reading != Reading::Ready {
            let Some(message) = self.socket.message()? else {
                break;
            };
            self.understand(message)?;
        }
        Ok(())
    }

    fn understand(&mut self, got: Backend) -> Result<(), WireError> {
        match got {
            Backend::NoticeResponse(body) => {
                let notice = message(body.fields(), &self.query);
                self.notices.push_back(notice);
            }
            Backend::NotificationResponse(body) => {
                let text =
                    |text: std::io::Result<&str>| text.unwrap_or_default().as_bytes().to_vec();
                self.notifications.push_back(Notification {
                    from: body.process_id(),
                    channel: text(body.channel()),
                    payload: text(body.message()),
                });
            }
            Backend::ErrorResponse(body) => {
                self.rows = None;
                let error = message(body.fields(), &self.query);
                if self.reading == Reading::Idle {
                    // Nothing was asked, so that it is no answer: the server ends the session.
                    self.notices.push_back(error);
                } else {
                    self.ready(Reply::Failed(error));
                }
            }
            Backend::RowDescription(body) => self.rows = Some(described(&body)?),
            Backend::DataRow(body) => {
                let values = values(&body)?;
                if let Some(table) = &mut self.rows {
                    table.rows.push(values);
                }
            }
            Backend::CommandComplete(body) => {
                let tag = body
                    .tag()
                    .map_err(WireError::io("understand the server"))?
                    .to_owned();
                let reply = match self.rows.take() {
                    Some(rows) => Reply::Rows(Table { tag, ..rows }),
                    None => Reply::Done(tag),
                };
                self.ready(reply);
            }
            Backend::EmptyQueryResponse => self.ready(Reply::Empty),
            Backend::ReadyForQuery(body) => {
                self.transaction = body.status();
                self.reading = Reading::Idle;
            }
            Backend::CopyInResponse(_) => {
                let mut bytes = BytesMut::new();
                let no_data = "a step cannot send data";
                frontend::copy_fail(no_data, &mut bytes)
                    .map_err(WireError::io("refuse to copy"))?;
                self.socket.write(&bytes)?;
                self.ready(Reply::Odd("PGRES_COPY_IN"));
            }
            Backend::CopyOutResponse(_) => self.ready(Reply::Odd("PGRES_COPY_OUT")),
            // What was copied out, settings that changed, answers that carry nothing.
            _ => {}
        }
        Ok(())
    }

    fn ready(&mut self, reply: Reply) {
        self.result = Some(reply);
        self.reading = Reading::Ready;
    }

    /// The server is gone in the middle of a query.
    fn broken(&mut self) {
        self.gone = true;
        self.transaction = b'I';
        self.rows = None;
        self.ready(Reply::Failed(Message::own(CLOSED)));
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.leave();
    }
}

/// An error or a notice.
pub(super) fn message(mut fields: ErrorFields<'_>, query: &str) -> Message {
    let mut message = Message {
        fields: Vec::new(),
        query: query.to_owned(),
    };
    while let Ok(Some(field)) = fields.next() {
        message
            .fields
            .push((field.type_(), field.value_bytes().to_vec()));
    }
    message
}

fn described(body: &RowDescriptionBody) -> Result<Table, WireError> {
    let mut table = Table::default();
    let mut fields = body.fields();
    while let Some(field) = fields
        .next()
        .map_err(WireError::io("understand the server"))?
    {
        table.columns.push(field.name().as_bytes().to_vec());
    }
    Ok(table)
}

fn values(body: &DataRowBody) -> Result<Vec<Option<Vec<u8>>>, WireError> {
    let mut values = Vec::new();
    let mut ranges = body.ranges();
    while let Some(range) = ranges
        .next()
        .map_err(WireError::io("understand the server"))?
    {
        values.push(range.map(|range| body.buffer()[range].to_vec()));
    }
    Ok(values)
}
