//! `deadheat step`: a person chooses who moves next, on a terminal.
//!
//! What keys do is in `deadheat-step`; `draw` shows it. Here labs make the runs that it wishes for.

mod draw;

use std::io::{IsTerminal, stdin, stdout};
use std::sync::atomic::Ordering;
use std::time::Duration;

use deadheat_explore::{Actor, Progress};
use deadheat_scenario::Scenario;
use deadheat_step::{Key, Played, Stepper, Verdict, Wish};
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use self::draw::{Look, draw};
use super::ground::Ground;
use super::print;
use super::replay::stopped;
use super::rules::rules;
use super::saving::{save, saved};
use crate::args::Step;
use crate::problem::Problem;
use crate::progress::Display;
use crate::search::{Budget, Check, Hunt, Stop, Watcher};
use crate::signals::{self, Interrupted};

/// How long to wait for a key before looking whether a signal came.
const TICK: Duration = Duration::from_millis(100);

/// Runs the command; returns the exit code.
pub fn run(step: &Step, interrupted: &Interrupted) -> Result<u8, Problem> {
    let dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    if dumb || !(stdin().is_terminal() && stdout().is_terminal()) {
        return Err(Problem::other(
            "`deadheat step` is for a person at a terminal, and this is none",
            Some("`deadheat find` searches, `deadheat replay` repeats a race, without one"),
        ));
    }
    let scenario = Ground::read(&step.scenario)?;
    let display = Display::new(&scenario.title, interrupted);
    display.doing("setting up, and running the serial orders");
    let ground = Ground::prepare(scenario, &step.server)?;
    let trouble = |trouble| Problem::of(trouble, &ground.scenario.path);
    let mut labs = ground.labs(Some(1)).map_err(trouble)?;
    let rules = rules(&ground.scenario, std::mem::take(&mut labs.start.tables))?;
    let budget = Budget::none();
    let mut watcher = Silent(Interrupted::clone(interrupted));
    let actors = ground.scenario.actors.len();
    let mut hunt = Hunt::new(&mut labs, actors, rules, &budget, &mut watcher);
    let check = hunt.check().map_err(|stop| stopped(stop, &ground))?;
    display.clear();
    let mut desk = Desk {
        check,
        ground: &ground,
        interrupted,
        files: Vec::new(),
    };
    let ended = on_a_terminal(|terminal| desk.serve(terminal));
    let files = std::mem::take(&mut desk.files);
    labs.end();
    for file in files {
        print(&format!("saved: {file}\nagain: deadheat replay {file}\n"))?;
    }
    ended?;
    Ok(0)
}

/// Nobody is told how far a run is; the screen is taken.
struct Silent(Interrupted);

impl Watcher for Silent {
    fn progress(&mut self, _progress: &Progress, _serial_runs: u64, _races: usize) {}

    fn stopped(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// Does something with the whole screen, and gives the terminal back as it was, whatever happens.
fn on_a_terminal(
    work: impl FnOnce(&mut DefaultTerminal) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let taken = ratatui::try_init();
    let mut terminal = taken
        .map_err(|error| Problem::other(format!("the terminal cannot be used: {error}"), None))?;
    signals::at_the_end(Some(ratatui::restore));
    let ended = work(&mut terminal);
    signals::at_the_end(None);
    ratatui::restore();
    ended
}

/// What does as is wished.
struct Desk<'d, 'h, 'a> {
    check: Check<'h, 'a>,
    ground: &'d Ground,
    interrupted: &'d Interrupted,
    /// Races that were saved.
    files: Vec<String>,
}

impl Desk<'_, '_, '_> {
    /// Draws, waits for a key, does what it asks for, until the end.
    fn serve(&mut self, terminal: &mut DefaultTerminal) -> Result<(), Problem> {
        let cannot = |error| Problem::other(format!("the terminal failed: {error}"), None);
        let scenario: &Scenario = &self.ground.scenario;
        let names = scenario.actors.iter().map(|actor| actor.name.clone());
        let mut stepper = Stepper::new(&scenario.title, names.collect());
        let look = Look {
            colour: std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        };
        self.play(&mut stepper, Vec::new())?;
        while !self.interrupted.load(Ordering::SeqCst) {
            terminal
                .draw(|frame| draw(&stepper, look, frame))
                .map_err(cannot)?;
            if !event::poll(TICK).map_err(cannot)? {
                continue;
            }
            let Event::Key(pressed) = event::read().map_err(cannot)? else {
                continue;
            };
            let Some(key) = key(pressed) else {
                continue;
            };
            match stepper.press(key) {
                None => {}
                Some(Wish::Quit) => break,
                Some(Wish::Play(schedule)) => self.play(&mut stepper, schedule)?,
                Some(Wish::Save(schedule)) => {
                    stepper.say("running it once more, to see whether it repeats …");
                    terminal
                        .draw(|frame| draw(&stepper, look, frame))
                        .map_err(cannot)?;
                    let said = self.save(&schedule)?;
                    stepper.say(said);
                }
            }
        }
        Ok(())
    }

    fn play(&mut self, stepper: &mut Stepper, schedule: Vec<Actor>) -> Result<(), Problem> {
        let (record, run) = match self.check.look(&schedule) {
            Ok(played) => played,
            Err(stop) => return Err(stopped(stop, self.ground)),
        };
        let enabled = (0..=record.steps.len()).map(|at| run.enabled(at)).collect();
        let played = Played {
            record,
            enabled,
            diverged: run.diverged(),
        };
        stepper.played(schedule, played);
        if let (true, Some(record)) = (stepper.is_over(), stepper.record()) {
            let finding = self.check.finding(record);
            let finding = finding.map_err(|stop| stopped(stop, self.ground))?;
            stepper.judged(match finding {
                None => Verdict::Fine,
                Some(finding) => Verdict::Race {
                    kind: finding.kind.to_string(),
                    why: finding.why,
                },
            });
        }
        Ok(())
    }

    /// Saves a race; what came of it, in words.
    fn save(&mut self, schedule: &[Actor]) -> Result<String, Problem> {
        match self.check.race(schedule) {
            Ok(Some(race)) => {
                let scenario = &self.ground.scenario;
                let file = save(&saved(&race, scenario, 0), scenario)?;
                let file = file.display().to_string();
                let said = format!("saved: {file}");
                if !self.files.contains(&file) {
                    self.files.push(file);
                }
                Ok(said)
            }
            Ok(None) => Ok("once more, it was no race: not saved".to_owned()),
            Err(Stop::Unrepeatable(difference)) => Ok(format!(
                "once more, it went otherwise, and is not saved: {} | {}",
                difference.one, difference.other
            )),
            Err(stop) => Err(stopped(stop, self.ground)),
        }
    }
}

/// The key that was pressed, if it means something.
fn key(pressed: KeyEvent) -> Option<Key> {
    if pressed.kind == KeyEventKind::Release {
        return None;
    }
    if pressed.modifiers.contains(KeyModifiers::CONTROL) {
        return (pressed.code == KeyCode::Char('c')).then_some(Key::Escape);
    }
    Some(match pressed.code {
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::Enter | KeyCode::Right => Key::Enter,
        KeyCode::Backspace | KeyCode::Left => Key::Back,
        KeyCode::Tab | KeyCode::BackTab => Key::Tab,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Esc => Key::Escape,
        KeyCode::Char(letter) => Key::Char(letter),
        _ => return None,
    })
}
