//! The keys and what they do.

use deadheat_explore::Actor;
use deadheat_lab::record::Record;
use serde_json::{Value, json};

use crate::scene::{Scene, Seat};

/// A key, whatever it was pressed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// To the actor above.
    Up,
    /// To the actor below.
    Down,
    /// Moves the chosen actor.
    Enter,
    /// Takes back the last step.
    Back,
    /// To the other panel.
    Tab,
    /// Further up in the panel.
    PageUp,
    /// Further down in the panel.
    PageDown,
    /// Ends.
    Escape,
    /// A letter or digit.
    Char(char),
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Replay this schedule and let the run go on to its end; then call [`Stepper::played`].
    Play(Vec<Actor>),
    /// Save the run of this schedule, which is over; then call [`Stepper::say`].
    Save(Vec<Actor>),
    /// End.
    Quit,
}

/// A run as it was played.
#[derive(Clone, Debug)]
pub struct Played {
    /// What it left, with its looks at the tables.
    pub record: Record,
    /// Who could move before each step.
    pub enabled: Vec<Vec<Actor>>,
    /// Where it first left the schedule.
    pub diverged: Option<usize>,
}

/// What the run of a whole schedule is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A race, and why, in sentences.
    Race {
        /// What it is called.
        kind: String,
        /// The explanation.
        why: Vec<String>,
    },
    /// Like some serial order.
    Fine,
}

/// The panel that scrolls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Panel {
    /// The steps so far.
    Steps,
    /// The tables.
    Tables,
}

/// What a person who moves the actors sees.
#[derive(Clone, Debug)]
pub struct Stepper {
    /// What the scenario is about.
    pub title: String,
    /// Names of the actors.
    pub actors: Vec<String>,
    /// Where everybody is.
    pub scene: Scene,
    /// The actor that moves next if asked to.
    pub chosen: usize,
    /// The panel in front, where there is room for one.
    pub panel: Panel,
    /// Lines that the panel is scrolled: of the steps up from the end, of the tables down from the beginning.
    pub scrolled: usize,
    /// What was last said.
    pub message: String,
    /// What the run is, once it is over and judged.
    pub verdict: Option<Verdict>,
    schedule: Vec<Actor>,
    last: Option<Played>,
}

/// Lines that a page key scrolls.
const PAGE: usize = 5;

impl Stepper {
    /// Nobody has moved; [`Wish::Play`] of an empty schedule shows who can.
    pub fn new(title: &str, actors: Vec<String>) -> Self {
        Self {
            title: title.to_owned(),
            actors,
            scene: Scene::default(),
            chosen: 0,
            panel: Panel::Steps,
            scrolled: 0,
            message: String::new(),
            verdict: None,
            schedule: Vec::new(),
            last: None,
        }
    }

    /// Who moved so far.
    pub fn schedule(&self) -> &[Actor] {
        &self.schedule
    }

    /// Whether nobody can move any more.
    pub fn is_over(&self) -> bool {
        self.last.is_some() && self.scene.is_over()
    }

    /// Takes a key.
    pub fn press(&mut self, key: Key) -> Option<Wish> {
        self.message.clear();
        match key {
            Key::Up | Key::Char('k') => self.choose(self.chosen.checked_sub(1)),
            Key::Down | Key::Char('j') => self.choose(Some(self.chosen + 1)),
            Key::Enter | Key::Char(' ') => return self.advance(self.chosen),
            Key::Char(digit @ '1'..='9') => {
                let number = digit as usize - '1' as usize;
                if number >= self.actors.len() {
                    self.message = format!("there is no actor {digit}");
                    return None;
                }
                return self.move_actor(number);
            }
            Key::Back | Key::Char('u') => {
                if let Some(steps) = self.schedule.len().checked_sub(1) {
                    return self.back_to(steps);
                }
                "nobody has moved yet".clone_into(&mut self.message);
            }
            Key::Char('e') => return self.run_on(),
            Key::Char('s') => return self.save(),
            Key::Tab => {
                self.panel = match self.panel {
                    Panel::Steps => Panel::Tables,
                    Panel::Tables => Panel::Steps,
                };
                self.scrolled = 0;
            }
            Key::PageUp | Key::PageDown => self.scroll(key == Key::PageUp),
            Key::Escape | Key::Char('q') => return Some(Wish::Quit),
            Key::Char(_) => {}
        }
        None
    }

    /// Chooses an actor, and moves it if it can.
    pub fn move_actor(&mut self, number: usize) -> Option<Wish> {
        self.message.clear();
        self.choose(Some(number));
        self.advance(number)
    }

    /// Takes back all steps but the first so many.
    pub fn back_to(&mut self, steps: usize) -> Option<Wish> {
        self.message.clear();
        let kept = self
            .schedule
            .get(..steps)
            .filter(|kept| *kept != self.schedule)?;
        Some(Wish::Play(kept.to_vec()))
    }

    /// All of it as data, for a page to draw.
    pub fn state(&self) -> Value {
        let verdict = self.verdict.as_ref().map(|verdict| match verdict {
            Verdict::Fine => json!({}),
            Verdict::Race { kind, why } => json!({ "kind": kind, "why": why }),
        });
        json!({
            "actors": self.actors, "seats": self.scene.seats, "done": self.scene.done,
            "tables": self.scene.tables, "chosen": self.chosen, "message": self.message,
            "schedule": self.schedule, "verdict": verdict,
        })
    }

    /// Takes the run that was wished for. Where it went otherwise than the schedule has it, or than before, the steps
    /// from there on are taken back.
    pub fn played(&mut self, schedule: Vec<Actor>, played: Played) {
        let same = self.last.as_ref().map_or(schedule.len(), |last| {
            let steps = last.record.steps.iter().zip(&played.record.steps);
            let differs = steps
                .take(schedule.len().min(self.schedule.len()))
                .position(|(one, other)| one.identity() != other.identity());
            differs.unwrap_or(schedule.len())
        });
        let kept = same.min(played.diverged.unwrap_or(usize::MAX));
        if kept < schedule.len() {
            self.message = format!(
                "step {} went otherwise this time: the run does not repeat, and is taken back to there",
                kept + 1
            );
        }
        self.schedule = schedule;
        self.schedule.truncate(kept);
        let nobody = Vec::new();
        let enabled = played.enabled.get(self.schedule.len()).unwrap_or(&nobody);
        self.scene = Scene::after(&played.record, enabled, self.schedule.len());
        // A run may have more than the scenario names.
        self.actors.clone_from(&played.record.actors);
        self.last = Some(played);
        self.verdict = None;
        self.scrolled = 0;
        if !self.can_move(self.chosen) {
            let first = (0..self.actors.len()).find(|n| self.can_move(*n));
            self.chosen = first.unwrap_or(self.chosen);
        }
    }

    /// Takes what the run is, now that it is over.
    pub fn judged(&mut self, verdict: Verdict) {
        self.verdict = Some(verdict);
    }

    /// The run that is shown, to be judged.
    pub fn record(&self) -> Option<&Record> {
        self.last.as_ref().map(|last| &last.record)
    }

    /// Says something.
    pub fn say(&mut self, message: impl Into<String>) {
        self.message = message.into();
    }

    fn can_move(&self, number: usize) -> bool {
        matches!(self.scene.seats.get(number), Some(Seat::Next { .. }))
    }

    fn choose(&mut self, number: Option<usize>) {
        if let Some(number) = number.filter(|number| *number < self.actors.len()) {
            self.chosen = number;
        }
    }

    fn advance(&mut self, number: usize) -> Option<Wish> {
        let name = self.actors.get(number)?;
        match self.scene.seats.get(number)? {
            Seat::Next { .. } => {
                let mut schedule = self.schedule.clone();
                schedule.push(Actor(number as u16));
                return Some(Wish::Play(schedule));
            }
            Seat::Waits { .. } => self.message = format!("{name} waits: somebody else must move"),
            Seat::Finished { .. } => self.message = format!("{name} has finished"),
        }
        None
    }

    /// The run that is shown went on to its end: that is the rest of the schedule.
    fn run_on(&mut self) -> Option<Wish> {
        if self.is_over() {
            "the run is over".clone_into(&mut self.message);
            return None;
        }
        let record = self.record()?;
        let whole = record.steps.iter().map(|step| step.actor).collect();
        Some(Wish::Play(whole))
    }

    fn save(&mut self) -> Option<Wish> {
        self.message = match (&self.verdict, self.is_over()) {
            (_, false) => "the run is not over: e lets the others run on to the end".to_owned(),
            (Some(Verdict::Race { .. }), true) => return Some(Wish::Save(self.schedule.clone())),
            (_, true) => "this is no race: nothing to save; u takes steps back".to_owned(),
        };
        None
    }

    fn scroll(&mut self, up: bool) {
        // The newest step stands last, so that going up leads away from the end.
        let further = up == (self.panel == Panel::Steps);
        self.scrolled = if further {
            self.scrolled + PAGE
        } else {
            self.scrolled.saturating_sub(PAGE)
        };
    }
}
