//! What is heard, line by line: aligned and coloured for a person, or JSON.

use std::io::{ErrorKind, IsTerminal, Write, stdout};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anstyle::{AnsiColor, Effects, Style as Ansi};
use deadheat_report::Style;
use deadheat_sql::shorten;
use serde_json::{Value, json};

use super::summary::Summary;
use super::watch::{Heard, Statement};
use crate::problem::Problem;

/// Statements that take longer are painted as slow.
const SLOW: Duration = Duration::from_millis(100);
/// Columns in front of the statement, besides what it touches.
const FRONT: usize = 43;
/// Columns for what a statement touches, at least.
const TOUCHES: usize = 22;
/// Characters of a statement where there is no terminal, whose width would count.
const LONGEST: usize = 2000;
/// Shapes in the summary.
const SHAPES: usize = 15;

/// How it is printed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Form {
    Text(Style),
    Json,
}

/// Prints what is heard.
pub(super) struct Lines {
    form: Form,
}

impl Lines {
    pub fn new(form: Form) -> Self {
        Self { form }
    }

    /// Prints one thing; returns whether anybody still reads.
    pub fn print(&mut self, heard: &Heard) -> Result<bool, Problem> {
        let line = match self.form {
            Form::Json => in_json(heard).to_string(),
            Form::Text(style) => in_text(heard, style),
        };
        write(&format!("{line}\n"))
    }

    /// Prints the summary.
    pub fn sum_up(&mut self, summary: &Summary) -> Result<bool, Problem> {
        let text = match self.form {
            Form::Json => format!("{}\n", summary.in_json()),
            Form::Text(style) => summed(summary, style),
        };
        write(&text)
    }
}

fn write(text: &str) -> Result<bool, Problem> {
    let mut out = stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        // Whoever reads has enough (`| head`).
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Problem::other(format!("cannot print: {error}"), None)),
    }
}

const FAINT: Ansi = Ansi::new().effects(Effects::DIMMED);
const BAD: Ansi = AnsiColor::Red.on_default().effects(Effects::BOLD);
const WARN: Ansi = AnsiColor::Yellow.on_default();
const READS: Ansi = AnsiColor::Cyan.on_default();
const WRITES: Ansi = AnsiColor::Magenta.on_default();

fn paint(style: Style, ansi: Ansi, text: &str) -> String {
    if style.colour && !text.is_empty() {
        format!("{ansi}{text}{ansi:#}")
    } else {
        text.to_owned()
    }
}

fn in_text(heard: &Heard, style: Style) -> String {
    match heard {
        Heard::Statement(statement) => line(statement, style),
        Heard::Again {
            connection,
            times,
            sql,
        } => {
            let text = format!(
                "N+1? connection {connection} has run this {times} times on end, one query could do: {}",
                shorten(sql, 100)
            );
            paint(style, WARN, &text)
        }
        Heard::Connected {
            connection,
            user,
            database,
            application,
        } => {
            let by = if application.is_empty() {
                String::new()
            } else {
                format!(" by {application}")
            };
            let text = format!("connection {connection} opened: {user} to {database}{by}");
            paint(style, FAINT, &text)
        }
        Heard::Closed { connection, reason } => paint(
            style,
            FAINT,
            &format!("connection {connection} closed: {reason}"),
        ),
        Heard::Remark(text) => paint(style, WARN, text),
    }
}

/// Time of day, connection, transaction, duration, rows, tables, statement.
fn line(statement: &Statement, style: Style) -> String {
    let transaction = statement
        .transaction
        .map_or_else(String::new, |number| format!("t{number}"));
    let time = statement.time.map_or_else(String::new, in_millis);
    let rows = statement.rows.map_or_else(String::new, |rows| {
        format!("{rows} {}", if rows == 1 { "row " } else { "rows" })
    });
    let slow = statement.time.is_some_and(|time| time >= SLOW);
    let touches = in_words(statement);
    let wrote = touches.starts_with("writes");
    let (wide, room) = if stdout().is_terminal() {
        let wide = (style.width / 4).max(TOUCHES);
        (wide, style.width.saturating_sub(FRONT + wide).max(30))
    } else {
        (touches.chars().count().max(2 * TOUCHES), LONGEST)
    };
    let mut text = shorten(&statement.sql, room);
    let left = room.saturating_sub(text.chars().count() + 1);
    let params = shown(&statement.params);
    if !params.is_empty() && left >= 4 {
        text.push(' ');
        text.push_str(&paint(style, FAINT, &cut(&params, left)));
    }
    let mut line = format!(
        "{} {} {} {} {} {} {text}",
        paint(style, FAINT, &clock(statement.at)),
        paint(
            style,
            FAINT,
            &format!("{:<3}", format!("#{}", statement.connection))
        ),
        paint(style, FAINT, &format!("{transaction:<4}")),
        paint(
            style,
            if slow { WARN } else { Ansi::new() },
            &format!("{time:>8}")
        ),
        format_args!("{rows:>10}"),
        paint(
            style,
            if wrote { WRITES } else { READS },
            &format!("{:<wide$}", cut(&touches, wide))
        ),
    );
    if let Some(error) = &statement.error {
        let said = format!("  ✗ {} {}", error.code, error.message);
        line.push_str(&paint(style, BAD, &said));
    }
    line
}

/// Time of day, UTC: programs' logs are easily put beside it.
fn clock(at: SystemTime) -> String {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = since.as_secs() % 86_400;
    format!(
        "{:02}:{:02}:{:02}.{:03}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60,
        since.subsec_millis()
    )
}

fn in_millis(time: Duration) -> String {
    let millis = time.as_secs_f64() * 1000.0;
    if millis < 10.0 {
        format!("{millis:.2} ms")
    } else if millis < 1000.0 {
        format!("{millis:.0} ms")
    } else {
        format!("{:.1} s", millis / 1000.0)
    }
}

/// What a statement touched: what it wrote first.
fn in_words(statement: &Statement) -> String {
    let touched = &statement.touched;
    if touched.anything.is_some() {
        return "touches anything".to_owned();
    }
    let named = |write: bool| {
        let mut names: Vec<String> = Vec::new();
        for (table, row, _) in touched.tables.iter().filter(|(.., wrote)| *wrote == write) {
            let name = row
                .as_ref()
                .map_or_else(|| table.clone(), |row| format!("{table}({row})"));
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names.join(", ")
    };
    let parts = [("writes", named(true)), ("reads", named(false))];
    let said = parts.iter().filter(|(_, names)| !names.is_empty());
    said.map(|(word, names)| format!("{word} {names}"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// Parameters as in a list of values.
fn shown(params: &[Option<String>]) -> String {
    if params.is_empty() {
        return String::new();
    }
    let one = |param: &Option<String>| param.clone().unwrap_or_else(|| "NULL".to_owned());
    format!(
        "[{}]",
        params.iter().map(one).collect::<Vec<_>>().join(", ")
    )
}

fn cut(text: &str, columns: usize) -> String {
    if text.chars().count() <= columns {
        return text.to_owned();
    }
    let mut out: String = text.chars().take(columns.saturating_sub(1)).collect();
    out.push('…');
    out
}

fn in_json(heard: &Heard) -> Value {
    match heard {
        Heard::Statement(statement) => {
            let touched = &statement.touched;
            let tables: Vec<Value> = touched
                .tables
                .iter()
                .map(|(table, row, wrote)| json!({"table": table, "row": row, "write": wrote}))
                .collect();
            let since = statement.at.duration_since(UNIX_EPOCH).unwrap_or_default();
            json!({
                "kind": "statement",
                "at": since.as_secs_f64(),
                "connection": statement.connection,
                "transaction": statement.transaction,
                "sql": &*statement.sql,
                "params": statement.params,
                "shape": format!("{:016x}", touched.shape),
                "touches": tables,
                "anything": touched.anything,
                "seconds": statement.time.map(|time| time.as_secs_f64()),
                "rows": statement.rows,
                "error": statement.error.as_ref().map(|error| json!({
                    "code": error.code, "message": error.message,
                })),
                "repeated": statement.repeated,
            })
        }
        Heard::Again {
            connection,
            times,
            sql,
        } => json!({"kind": "repeated", "connection": connection, "times": times, "sql": &**sql}),
        Heard::Connected {
            connection,
            user,
            database,
            application,
        } => json!({
            "kind": "connected", "connection": connection, "user": user, "database": database,
            "application": application,
        }),
        Heard::Closed { connection, reason } => {
            json!({"kind": "closed", "connection": connection, "reason": reason})
        }
        Heard::Remark(text) => json!({"kind": "remark", "text": text}),
    }
}

/// The shapes that took most time.
fn summed(summary: &Summary, style: Style) -> String {
    let (statements, shapes) = (summary.statements(), summary.shapes());
    let mut out = format!(
        "\n{statements} {} of {} {}, {} in the database{}\n",
        if statements == 1 {
            "statement"
        } else {
            "statements"
        },
        shapes.len(),
        if shapes.len() == 1 { "shape" } else { "shapes" },
        in_millis(summary.time()),
        summary.errors(),
    );
    if shapes.is_empty() {
        return out;
    }
    out.push_str(&paint(
        style,
        FAINT,
        "  count      total    longest       rows  statement\n",
    ));
    for shape in shapes.iter().take(SHAPES) {
        let again = if shape.on_end > 1 {
            format!("  ({} times on end)", shape.on_end)
        } else {
            String::new()
        };
        out.push_str(&format!(
            "{:>7} {:>10} {:>10} {:>10}  {}{}\n",
            shape.count,
            in_millis(shape.time),
            in_millis(shape.longest),
            shape.rows,
            shorten(&shape.sql, style.width.saturating_sub(44).max(40)),
            paint(style, WARN, &again),
        ));
    }
    if let Some(more) = shapes.len().checked_sub(SHAPES).filter(|more| *more > 0) {
        out.push_str(&format!("{more:>7} more\n"));
    }
    out
}
