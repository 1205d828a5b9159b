//! `deadheat step`: a person chooses who moves next, on a terminal or on a page.
//!
//! What keys do is in `deadheat-step`; `terminal` and `page` take them and show what they come to. Here labs make the
//! runs that it wishes for.

mod draw;
mod page;
mod terminal;

use std::io::{IsTerminal, stdin, stdout};
use std::sync::atomic::Ordering;

use deadheat_explore::{Actor, Progress};
use deadheat_scenario::Scenario;
use deadheat_step::{Key, Played, Stepper, Verdict, Wish};
use deadheat_verdict::Saved;

use self::page::Page;
use self::terminal::on_a_terminal;
use super::ground::Ground;
use super::print;
use super::replay::stopped;
use super::rules::rules;
use super::saving::{save, saved};
use crate::args::Step;
use crate::problem::Problem;
use crate::progress::Display;
use crate::search::{Budget, Check, Hunt, Stop, Watcher};
use crate::signals::Interrupted;

/// What a stepper is shown on.
trait Front {
    /// Shows it; while something that was pressed is being done it is busy.
    fn show(&mut self, stepper: &Stepper, busy: bool) -> Result<(), Problem>;

    /// Waits until something is pressed; nothing more is when the program is to end.
    fn next(&mut self) -> Result<Option<Press>, Problem>;

    /// A race was saved.
    fn saved(&mut self, _saved: &Saved, _file: &str) -> Result<(), Problem> {
        Ok(())
    }
}

/// What a person pressed.
#[derive(Clone, Copy, Debug)]
enum Press {
    /// A key.
    Key(Key),
    /// The actor of this number is to move.
    Move(usize),
    /// All but the first so many steps are to be taken back.
    BackTo(usize),
    /// Nothing that means something; it is to be shown anew.
    Nothing,
}

/// Runs the command; returns the exit code.
pub fn run(step: &Step, interrupted: &Interrupted) -> Result<u8, Problem> {
    let dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    if !step.ui && (dumb || !(stdin().is_terminal() && stdout().is_terminal())) {
        return Err(Problem::other(
            "`deadheat step` is for a person at a terminal, and this is none",
            Some(
                "`--ui` shows it in a browser; `deadheat find` searches, `deadheat replay` repeats a race, without a \
                 person",
            ),
        ));
    }
    let scenario = Ground::read(&step.scenario)?;
    let page = step.ui.then(|| Page::open(&scenario, interrupted));
    let page = page.transpose()?;
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
        files: Vec::new(),
    };
    let ended = match page {
        Some(mut page) => desk.serve(&mut page),
        None => on_a_terminal(interrupted, |screen| desk.serve(screen)),
    };
    let files = std::mem::take(&mut desk.files);
    labs.end();
    for file in files {
        print(&format!("saved: {file}\nagain: deadheat replay {file}\n"))?;
    }
    ended?;
    Ok(0)
}

/// Nobody is told how far a run is; the screen is taken.
pub(super) struct Silent(pub Interrupted);

impl Watcher for Silent {
    fn progress(&mut self, _progress: &Progress, _serial_runs: u64, _races: usize) {}

    fn stopped(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// What does as is wished.
struct Desk<'d, 'h, 'a> {
    check: Check<'h, 'a>,
    ground: &'d Ground,
    /// Races that were saved.
    files: Vec<String>,
}

impl Desk<'_, '_, '_> {
    /// Shows what there is, waits for somebody to press something, does what it asks for, until the end.
    fn serve(&mut self, front: &mut dyn Front) -> Result<(), Problem> {
        let scenario: &Scenario = &self.ground.scenario;
        let names = scenario.actors.iter().map(|actor| actor.name.clone());
        let mut stepper = Stepper::new(&scenario.title, names.collect());
        play(&mut self.check, self.ground, &mut stepper, Vec::new())?;
        loop {
            front.show(&stepper, false)?;
            let wish = match front.next()? {
                None => break,
                Some(Press::Nothing) => None,
                Some(Press::Key(key)) => stepper.press(key),
                Some(Press::Move(actor)) => stepper.move_actor(actor),
                Some(Press::BackTo(steps)) => stepper.back_to(steps),
            };
            match wish {
                None => {}
                Some(Wish::Quit) => break,
                Some(Wish::Play(schedule)) => {
                    front.show(&stepper, true)?;
                    play(&mut self.check, self.ground, &mut stepper, schedule)?;
                }
                Some(Wish::Save(schedule)) => {
                    stepper.say("running it once more, to see whether it repeats …");
                    front.show(&stepper, true)?;
                    let said = self.save(&schedule, front)?;
                    stepper.say(said);
                }
            }
        }
        Ok(())
    }

    /// Saves a race; what came of it, in words.
    fn save(&mut self, schedule: &[Actor], front: &mut dyn Front) -> Result<String, Problem> {
        match self.check.race(schedule) {
            Ok(Some(race)) => {
                let scenario = &self.ground.scenario;
                let saved = saved(&race, scenario, 0);
                let file = save(&saved, scenario)?.display().to_string();
                front.saved(&saved, &file)?;
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

/// Plays a schedule, and judges the run if it leads to the end.
pub(super) fn play(
    check: &mut Check<'_, '_>,
    ground: &Ground,
    stepper: &mut Stepper,
    schedule: Vec<Actor>,
) -> Result<(), Problem> {
    let (record, run) = check
        .look(&schedule)
        .map_err(|stop| stopped(stop, ground))?;
    let enabled = (0..=record.steps.len()).map(|at| run.enabled(at)).collect();
    let played = Played {
        record,
        enabled,
        diverged: run.diverged(),
    };
    stepper.played(schedule, played);
    if let (true, Some(record)) = (stepper.is_over(), stepper.record()) {
        let finding = check.finding(record);
        let finding = finding.map_err(|stop| stopped(stop, ground))?;
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
