//! What a server says, as far as it is printed.

/// The reply to one statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Rows.
    Rows(Table),
    /// It was carried out; its command tag.
    Done(String),
    /// There was no statement.
    Empty,
    /// It failed.
    Failed(Message),
    /// Something that no step may ask for, by libpq's name for it.
    Odd(&'static str),
}

/// Rows in text form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// Names of the columns.
    pub columns: Vec<Vec<u8>>,
    /// Values, row by row; `None` is NULL.
    pub rows: Vec<Vec<Option<Vec<u8>>>>,
    /// The command tag.
    pub tag: String,
}

/// An error or a notice: its fields by their codes, as the protocol names them (`S`, `M`, `D`, …).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// The fields.
    pub fields: Vec<(u8, Vec<u8>)>,
    /// The query that was under way, which positions refer to.
    pub query: String,
}

impl Message {
    /// The code of a message that is not from the server but about it; it is printed as it is.
    pub(crate) const OWN: u8 = 0;

    /// A message about the server.
    pub(crate) fn own(text: &str) -> Self {
        Self {
            fields: vec![(Self::OWN, text.as_bytes().to_vec())],
            query: String::new(),
        }
    }

    /// A field.
    pub fn field(&self, code: u8) -> Option<&[u8]> {
        let mut fields = self.fields.iter();
        fields
            .find(|(one, _)| *one == code)
            .map(|(_, text)| text.as_slice())
    }

    /// Its SQLSTATE.
    pub fn code(&self) -> String {
        String::from_utf8_lossy(self.field(b'C').unwrap_or_default()).into_owned()
    }

    /// Its first line.
    pub fn primary(&self) -> String {
        let text = self.field(b'M').or_else(|| self.field(Self::OWN));
        String::from_utf8_lossy(text.unwrap_or_default()).into_owned()
    }
}

/// A notification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// Process id of the sender.
    pub from: i32,
    /// Channel.
    pub channel: Vec<u8>,
    /// What was sent.
    pub payload: Vec<u8>,
}
