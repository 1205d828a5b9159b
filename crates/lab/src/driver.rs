//! What makes an actor move: a task that sends its requests, statements or command, one each time it is told to go
//! on, and says what came back.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use deadheat_explore::Actor;
use deadheat_sandbox::{Exit, Look, Process};
use deadheat_scenario::{Request, SqlStep, fill_sql};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio_postgres::{Client, SimpleQueryMessage};

use crate::again::Again;
use crate::base::results;
use crate::http::{Browser, Call, send};
use crate::outside::{Outside, reply};
use crate::record::{Reply, SqlError, Table};

/// Begins the questions that evaluate conditions: they are the scenario's own and no statements of the actor.
pub(crate) const CONDITION: &str = "/* deadheat: when */ ";

/// What drivers say to the lab.
#[derive(Debug)]
pub(crate) enum Said {
    /// One thing was answered; unless it was the `last`, the driver waits to be told to go on.
    Replied {
        actor: Actor,
        reply: Reply,
        last: bool,
    },
    /// It failed and is done again: so many replies before it are taken back.
    Again { actor: Actor, replies: usize },
    /// There was nothing (more) to do.
    Nothing { actor: Actor },
}

/// What a driver is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Go {
    /// Do the next thing.
    On,
    /// What was answered last did not hold: ask once more.
    Again,
}

/// An actor's driver in one run.
pub(crate) struct Driver {
    go: UnboundedSender<Go>,
    task: JoinHandle<()>,
    process: Option<Arc<Process>>,
    /// Who plays it, if that is somebody outside.
    outside: Option<Arc<dyn Outside>>,
    /// To be told when the database has refused a statement of the actor.
    pub again: Again,
}

/// How a driver talks to its lab.
struct Line {
    actor: Actor,
    again: Again,
    go: UnboundedReceiver<Go>,
    say: UnboundedSender<Said>,
}

impl Line {
    /// Waits to be told to go on; `false` when the run is over.
    async fn told(&mut self) -> bool {
        self.go.recv().await.is_some()
    }

    fn replied(&self, reply: Reply, last: bool) {
        let actor = self.actor;
        // When the lab no longer listens there is nobody to tell.
        let _ = self.say.send(Said::Replied { actor, reply, last });
    }

    /// Whether what has failed is to be done again; then so many replies of it are taken back.
    fn again(&self, failed: bool, replies: usize) -> bool {
        let due = self.again.is_due(failed);
        if due {
            let actor = self.actor;
            let _ = self.say.send(Said::Again { actor, replies });
        }
        due
    }

    fn nothing(&self) {
        let _ = self.say.send(Said::Nothing { actor: self.actor });
    }
}

impl Driver {
    /// Tells the driver to do its next thing.
    pub fn go(&self) {
        let _ = self.go.send(Go::On);
    }

    /// Tells a driver of requests that the last answer did not hold.
    pub fn go_again(&self) {
        let _ = self.go.send(Go::Again);
    }

    /// A look at the actor's own process, if it is a command.
    pub fn look(&self) -> Option<Look> {
        match (&self.process, &self.outside) {
            (Some(process), _) => Some(process.look()),
            (None, Some(outside)) => outside.look(),
            (None, None) => None,
        }
    }

    /// Ends the driver, and its process if there is one.
    pub fn end(self) {
        self.task.abort();
    }

    /// Ends the driver, and kills its process without a word.
    pub fn kill(self) {
        self.task.abort();
        if let Some(process) = &self.process {
            process.kill();
        }
    }

    /// An actor that sends HTTP requests.
    pub fn http(
        actor: Actor,
        requests: Vec<(Request, SocketAddr)>,
        browser: Browser,
        (say, again): (UnboundedSender<Said>, Again),
    ) -> Self {
        Self::start(actor, (say, again), None, |line| {
            http(line, requests, browser)
        })
    }

    /// An actor that is a command, already started.
    pub fn command(
        actor: Actor,
        run: String,
        process: Process,
        say: UnboundedSender<Said>,
    ) -> Self {
        let process = Arc::new(process);
        let watched = Arc::clone(&process);
        let say = (say, Again::default());
        Self::start(actor, say, Some(process), |line| {
            command(line, run, watched)
        })
    }

    /// An actor that somebody outside plays.
    pub fn attached(
        actor: Actor,
        name: String,
        environment: Vec<(String, String)>,
        (say, outside): (UnboundedSender<Said>, &Arc<dyn Outside>),
    ) -> Self {
        let player = Arc::clone(outside);
        let say = (say, Again::default());
        let mut driver = Self::start(actor, say, None, |line| {
            attached(line, name, environment, player)
        });
        driver.outside = Some(Arc::clone(outside));
        driver
    }

    /// An actor that is a SQL session.
    pub fn sql(
        actor: Actor,
        steps: Vec<SqlStep>,
        client: Arc<Client>,
        (say, again): (UnboundedSender<Said>, Again),
    ) -> Self {
        Self::start(actor, (say, again), None, |line| sql(line, steps, client))
    }

    fn start<F: Future<Output = ()> + Send + 'static>(
        actor: Actor,
        (say, again): (UnboundedSender<Said>, Again),
        process: Option<Arc<Process>>,
        script: impl FnOnce(Line) -> F,
    ) -> Self {
        let (go, told) = unbounded_channel();
        let line = Line {
            actor,
            again: again.clone(),
            go: told,
            say,
        };
        Self {
            go,
            task: tokio::spawn(script(line)),
            process,
            outside: None,
            again,
        }
    }
}

async fn http(mut line: Line, requests: Vec<(Request, SocketAddr)>, mut browser: Browser) {
    let mut at = 0;
    while let Some(go) = line.go.recv().await {
        if go == Go::Again {
            at -= 1;
        }
        let Some((request, service)) = requests.get(at) else {
            return;
        };
        let reply = loop {
            let reply = ask(&mut browser, *service, request).await;
            if !line.again(reply.has_failed(), 0) {
                break reply;
            }
        };
        at += 1;
        line.replied(reply, at == requests.len());
    }
}

/// Sends one request of the scenario and saves what it asks to be saved.
pub(crate) async fn ask(browser: &mut Browser, service: SocketAddr, request: &Request) -> Reply {
    let filled = match request.fill(&browser.saved) {
        Ok(filled) => filled,
        Err(unfilled) => {
            return Reply::NoAnswer {
                request: request.line(),
                error: unfilled.to_string(),
            };
        }
    };
    let call = Call::new(filled, request.follow);
    match send(browser, service, &call).await {
        Ok(answer) => {
            for save in &request.save {
                if let Some(value) = save.from.read(&answer.headers, &answer.body) {
                    browser.saved.insert(save.name.clone(), value);
                }
            }
            answer.into_reply(&call)
        }
        Err(error) => Reply::NoAnswer {
            request: call.title(),
            error,
        },
    }
}

async fn command(mut line: Line, run: String, process: Arc<Process>) {
    if !line.told().await {
        return;
    }
    let exit = process.exited().await;
    let printed = std::fs::read(process.stdout()).unwrap_or_default();
    line.replied(
        Reply::Command {
            run,
            status: exit.map_or(-1, Exit::code),
            output: String::from_utf8_lossy(&printed).into_owned(),
        },
        true,
    );
}

async fn attached(
    mut line: Line,
    name: String,
    environment: Vec<(String, String)>,
    player: Arc<dyn Outside>,
) {
    if !line.told().await {
        return;
    }
    let ended = player.begin(&name, &environment).await.ok();
    line.replied(reply(&name, ended), true);
}

/// Where a SQL actor may have to begin again: at the start of its transaction.
struct Start {
    /// The step.
    at: usize,
    values: BTreeMap<String, Option<String>>,
    /// Replies that were given since.
    replies: usize,
    /// Whether a transaction is open.
    open: bool,
}

async fn sql(mut line: Line, steps: Vec<SqlStep>, client: Arc<Client>) {
    let mut values: BTreeMap<String, Option<String>> = BTreeMap::new();
    // A statement left out is no reply, so which one is the last shows only when the next is due.
    let mut pending: Option<Reply> = None;
    let mut start = Start {
        at: 0,
        values: values.clone(),
        replies: 0,
        open: false,
    };
    let (mut at, mut again) = (0, false);
    while let Some(step) = steps.get(at) {
        at += 1;
        let due = due(step, &values, &client).await;
        let (sql, ready) = match due {
            Ok(None) => continue,
            Ok(Some(sql)) => (sql, Ok(())),
            Err(error) => (step.run.clone(), Err(error)),
        };
        if let Some(reply) = pending.take() {
            line.replied(reply, false);
            start.replies += 1;
        }
        // What is done again is still the same turn.
        if !again && !line.told().await {
            return;
        }
        again = false;
        if !start.open {
            start = Start {
                at: at - 1,
                values: values.clone(),
                replies: 0,
                open: false,
            };
        }
        start.open = is_open_after(&sql, start.open);
        let reply = match ready {
            Ok(()) => run_sql(&client, sql, &mut values).await,
            Err(error) => failed(sql, "", error),
        };
        if line.again(reply.has_failed(), start.replies) {
            if start.open {
                // It fails only where the connection is gone, which the next statement will say.
                let _ = client.simple_query("rollback").await;
            }
            (at, start.open, again) = (start.at, false, true);
            values.clone_from(&start.values);
            continue;
        }
        pending = Some(reply);
    }
    match pending {
        Some(reply) => line.replied(reply, true),
        None => line.nothing(),
    }
}

/// Whether a transaction is open behind the statement.
fn is_open_after(sql: &str, open: bool) -> bool {
    let words: Vec<String> = sql
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .take(3)
        .map(str::to_lowercase)
        .collect();
    match words.first().map(String::as_str) {
        Some("begin" | "start") => true,
        Some("commit" | "end" | "abort") => false,
        Some("rollback") => words.iter().any(|word| word == "to") && open,
        _ => open,
    }
}

/// The statement with its values, unless its condition leaves it out.
async fn due(
    step: &SqlStep,
    values: &BTreeMap<String, Option<String>>,
    client: &Client,
) -> Result<Option<String>, String> {
    if let Some(when) = &step.when {
        let condition = fill_sql(when, values).map_err(|unfilled| unfilled.to_string())?;
        let answer = client
            .simple_query(&format!("{CONDITION}select ({condition}) is true"))
            .await
            .or_else(|error| match error.as_db_error() {
                // In a transaction that has failed nothing can be asked, and nothing conditional is due.
                Some(db) if db.code().code() == "25P02" => Ok(Vec::new()),
                Some(db) => Err(format!("`when = \"{when}\"`: {}", db.message())),
                None => Err(error.to_string()),
            })?;
        let answer = results(answer).pop().unwrap_or_default();
        if answer.rows.first().and_then(|row| row[0].as_deref()) != Some("t") {
            return Ok(None);
        }
    }
    fill_sql(&step.run, values)
        .map(Some)
        .map_err(|unfilled| unfilled.to_string())
}

async fn run_sql(
    client: &Client,
    sql: String,
    values: &mut BTreeMap<String, Option<String>>,
) -> Reply {
    match client.simple_query(&sql).await {
        Ok(messages) => {
            let count = messages.iter().rev().find_map(|message| match message {
                SimpleQueryMessage::CommandComplete(count) => Some(*count),
                _ => None,
            });
            let table = results(messages).pop().unwrap_or_default();
            if let [row] = table.rows.as_slice() {
                for (column, value) in table.columns.iter().zip(row) {
                    values.insert(column.clone(), value.clone());
                }
            }
            Reply::Sql {
                sql,
                table,
                tag: count.map_or_else(String::new, |count| count.to_string()),
                error: None,
            }
        }
        Err(error) => match error.as_db_error() {
            Some(db) => failed(sql, db.code().code(), db.message().to_owned()),
            None => failed(sql, "08006", error.to_string()),
        },
    }
}

fn failed(sql: String, code: &str, message: String) -> Reply {
    Reply::Sql {
        sql,
        table: Table::default(),
        tag: String::new(),
        error: Some(SqlError {
            code: code.to_owned(),
            message,
        }),
    }
}
