//! The stepper on a page: what people press there comes to the same desk as on a terminal.

use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use deadheat_live::{Answer, Question, Refusal, Server, Site};
use deadheat_scenario::Scenario;
use deadheat_step::{Key, Stepper};
use deadheat_verdict::Saved;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::{Front, Press};
use crate::browser;
use crate::command::file_name;
use crate::problem::Problem;
use crate::signals::Interrupted;

/// How long to wait for somebody to press something before looking whether a signal came.
const TICK: Duration = Duration::from_millis(50);

/// What was pressed, and where the state goes that it leads to.
type Pressed = (Press, oneshot::Sender<Value>);

/// The page, as those who look at it share it.
struct Room {
    shown: Mutex<Shown>,
    pressed: Sender<Pressed>,
}

struct Shown {
    title: String,
    file: String,
    state: Value,
    races: Vec<Value>,
    files: Vec<String>,
    /// How often something else was shown.
    moves: u64,
}

/// The desk's side of the page.
pub struct Page<'a> {
    room: Arc<Room>,
    pressed: Receiver<Pressed>,
    asked: Option<oneshot::Sender<Value>>,
    interrupted: &'a Interrupted,
    _server: Server,
}

impl<'a> Page<'a> {
    /// Opens the page.
    pub fn open(scenario: &Scenario, interrupted: &'a Interrupted) -> Result<Self, Problem> {
        let (press, pressed) = channel();
        let room = Arc::new(Room {
            shown: Mutex::new(Shown {
                title: scenario.title.clone(),
                file: file_name(&scenario.path),
                state: Value::Null,
                races: Vec::new(),
                files: Vec::new(),
                moves: 0,
            }),
            pressed: press,
        });
        let server = browser::serve(Arc::clone(&room) as Arc<_>)?;
        Ok(Self {
            room,
            pressed,
            asked: None,
            interrupted,
            _server: server,
        })
    }
}

impl Front for Page<'_> {
    fn show(&mut self, stepper: &Stepper, busy: bool) -> Result<(), Problem> {
        let state = stepper.state();
        let mut shown = self.room.shown();
        if shown.state != state {
            shown.state = state;
            shown.moves += 1;
        }
        let told = shown.told(busy);
        drop(shown);
        if let Some(asked) = self.asked.take_if(|_| !busy) {
            // Whoever pressed may have gone.
            let _ = asked.send(told);
        }
        Ok(())
    }

    fn next(&mut self) -> Result<Option<Press>, Problem> {
        while !self.interrupted.load(Ordering::SeqCst) {
            match self.pressed.recv_timeout(TICK) {
                Ok((press, asked)) => {
                    self.asked = Some(asked);
                    return Ok(Some(press));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        Ok(None)
    }

    fn saved(&mut self, saved: &Saved, file: &str) -> Result<(), Problem> {
        let view = deadheat_report::race_view(saved, file)
            .map_err(|error| Problem::other(format!("the page: {error}"), None))?;
        let mut shown = self.room.shown();
        if let Some(place) = shown.files.iter().position(|known| known == file) {
            shown.races[place] = view;
        } else {
            shown.races.push(view);
            shown.files.push(file.to_owned());
        }
        shown.moves += 1;
        Ok(())
    }
}

impl Shown {
    fn told(&self, busy: bool) -> Value {
        let mut told = self.state.clone();
        told["kind"] = "step".into();
        told["title"] = self.title.clone().into();
        told["file"] = self.file.clone().into();
        told["saved"] = self.files.clone().into();
        told["moves"] = self.moves.into();
        told["busy"] = busy.into();
        told
    }
}

impl Room {
    fn shown(&self) -> MutexGuard<'_, Shown> {
        // Nothing that holds it panics.
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Site for Room {
    fn page(&self) -> String {
        deadheat_report::live_page(&format!("Deadheat, by hand: {}", self.shown().title))
    }

    fn state(&self) -> String {
        let shown = self.shown();
        if shown.state.is_null() {
            return json!({ "kind": "wait" }).to_string();
        }
        shown.told(false).to_string()
    }

    fn answer(&self, question: Question) -> Answer {
        let asked = match (question.method.as_str(), question.path.as_str()) {
            ("POST", "press") => press(&question.body).map(|press| {
                let (tell, told) = oneshot::channel();
                (self.pressed.send((press, tell)).is_ok()).then_some(told)
            }),
            ("GET", path) => {
                let number = path.strip_prefix("race/").and_then(|n| n.parse().ok());
                let race = number.and_then(|n: usize| self.shown().races.get(n).cloned());
                let race = race.ok_or_else(|| Refusal::new(404, "there is no such race"));
                return Box::pin(async move { race });
            }
            _ => Err(Refusal::new(404, "there is nothing here")),
        };
        Box::pin(async move {
            let over = || Refusal::new(410, "nobody is at the desk any more");
            asked?.ok_or_else(over)?.await.map_err(|_| over())
        })
    }
}

/// What was pressed: a key by its name in browsers, an actor to be moved, or a step to be gone back before.
fn press(body: &Value) -> Result<Press, Refusal> {
    let number = |name: &str| body[name].as_u64().and_then(|n| usize::try_from(n).ok());
    if let Some(actor) = number("move") {
        return Ok(Press::Move(actor));
    }
    if let Some(steps) = number("back_to") {
        return Ok(Press::BackTo(steps));
    }
    let mut letters = body["key"].as_str().unwrap_or_default().chars();
    Ok(Press::Key(match body["key"].as_str() {
        Some("ArrowUp") => Key::Up,
        Some("ArrowDown") => Key::Down,
        Some("Enter") => Key::Enter,
        Some("Backspace") => Key::Back,
        _ => match (letters.next(), letters.next()) {
            // Whoever leaves the page closes it; the program ends where it was started.
            (Some(letter), None) if letter != 'q' => Key::Char(letter),
            _ => {
                return Err(Refusal::new(
                    400,
                    "say a `key`, whom to `move`, or where to go `back_to`",
                ));
            }
        },
    }))
}
