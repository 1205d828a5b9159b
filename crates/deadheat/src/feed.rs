//! What the page of a search shows while it goes on (`find --ui`).
//!
//! The search fills it in as it goes, a few numbers a run; it is put into words only when somebody looks.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use deadheat_explore::Progress;
use deadheat_lab::Window;
use deadheat_live::{Answer, Question, Refusal, Site};
use deadheat_report::{Report, Style};
use deadheat_scenario::Scenario;
use deadheat_verdict::Saved;
use serde_json::{Value, json};

use crate::command::file_name;

/// The searches of one command, in their order; the last one is under way.
#[derive(Default)]
pub struct Feed(Mutex<Vec<Search>>);

/// One search.
struct Search {
    file: String,
    title: String,
    actors: Vec<String>,
    /// Whether schedules are drawn at random.
    random: bool,
    /// What is done, where it is no search.
    doing: String,
    started: Instant,
    progress: Progress,
    serial_runs: u64,
    windows: Vec<Arc<Window>>,
    races: Vec<Race>,
    over: Option<Over>,
}

/// A race as the page has it.
struct Race {
    /// How often it was shown anew: it becomes smaller.
    version: u32,
    head: Value,
    /// What is drawn of it is worked out when somebody looks, not while the search waits.
    saved: Arc<Saved>,
    file: String,
}

/// What a search came to.
struct Over {
    verdict: &'static str,
    words: String,
    seconds: f64,
}

impl Feed {
    /// A search begins.
    pub fn begin(&self, scenario: &Scenario, random: bool) {
        let names = scenario.actors.iter().map(|actor| actor.name.clone());
        self.all().push(Search {
            file: file_name(&scenario.path),
            title: scenario.title.clone(),
            actors: names.collect(),
            random,
            doing: String::new(),
            started: Instant::now(),
            progress: Progress::default(),
            serial_runs: 0,
            windows: Vec::new(),
            races: Vec::new(),
            over: None,
        });
    }

    /// Something is done that is no search; or the search goes on.
    pub fn doing(&self, what: &str) {
        self.last(|search| what.clone_into(&mut search.doing));
    }

    /// The labs are ready.
    pub fn labs(&self, windows: &[Arc<Window>]) {
        self.last(|search| search.windows = windows.to_vec());
    }

    /// How far it is.
    pub fn progress(&self, progress: &Progress, serial_runs: u64) {
        self.last(|search| {
            if search.progress.runs < progress.runs {
                search.doing.clear();
            }
            search.progress.clone_from(progress);
            search.serial_runs = serial_runs;
        });
    }

    /// A race was found by a run, or is shown anew: it is the `number`th of the search.
    pub fn race(&self, number: usize, saved: Saved, file: &str, (run, preemptions): (u64, u32)) {
        let saved = Arc::new(saved);
        let head = json!({
            "title": deadheat_report::race_title(&saved),
            "anomaly": saved.anomaly.map(|anomaly| anomaly.to_string()),
            "why": saved.why.first(), "run": run, "preemptions": preemptions,
        });
        self.last(|search| {
            let version = search.races.get(number).map_or(0, |race| race.version + 1);
            let race = Race {
                version,
                head,
                saved,
                file: file.to_owned(),
            };
            match search.races.get_mut(number) {
                Some(place) => *place = race,
                None => search.races.push(race),
            }
        });
    }

    /// What is to be seen now.
    pub fn told(&self) -> Value {
        let searches: Vec<Value> = self.all().iter().map(Search::state).collect();
        let kind = if searches.is_empty() {
            "wait"
        } else {
            "search"
        };
        json!({ "kind": kind, "searches": searches })
    }

    /// How many races the search has found.
    pub fn races(&self) -> usize {
        self.all().last().map_or(0, |search| search.races.len())
    }

    /// The search is over.
    pub fn concluded(&self, report: &Report) {
        let plain = Style {
            width: 100,
            colour: false,
        };
        let words = deadheat_report::summary(report, plain);
        let verdict = report.verdict.in_words();
        self.last(|search| {
            search.progress.runs = report.runs - report.serial_runs;
            search.serial_runs = report.serial_runs;
            search.progress.traces = report.traces;
            search.over = Some(Over {
                verdict,
                words,
                seconds: report.seconds,
            });
        });
    }

    /// It could not be searched.
    pub fn failed(&self, words: &str) {
        self.last(|search| {
            search.over = Some(Over {
                verdict: "cannot be run",
                words: words.to_owned(),
                seconds: search.started.elapsed().as_secs_f64(),
            });
        });
    }

    fn last(&self, change: impl FnOnce(&mut Search)) {
        if let Some(search) = self.all().last_mut() {
            change(search);
        }
    }

    fn all(&self) -> MutexGuard<'_, Vec<Search>> {
        // Nothing that holds it panics.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The view of a race: `race/SEARCH/NUMBER`.
    fn view(&self, path: &str) -> Option<Value> {
        let mut parts = path.strip_prefix("race/")?.split('/');
        let search: usize = parts.next()?.parse().ok()?;
        let race: usize = parts.next()?.parse().ok()?;
        let (saved, file) = {
            let all = self.all();
            let race = all.get(search)?.races.get(race)?;
            (Arc::clone(&race.saved), race.file.clone())
        };
        deadheat_report::race_view(&saved, &file).ok()
    }
}

impl Search {
    fn state(&self) -> Value {
        let schedule = |window: &Arc<Window>| -> Value {
            window.schedule().iter().map(|actor| actor.0).collect()
        };
        let races = self.races.iter().map(|race| {
            let mut head = race.head.clone();
            head["version"] = race.version.into();
            head
        });
        let over = self.over.as_ref().map(|over| {
            json!({
                "verdict": over.verdict, "words": over.words,
            })
        });
        let seconds = match &self.over {
            Some(over) => over.seconds,
            None => self.started.elapsed().as_secs_f64(),
        };
        json!({
            "file": self.file, "title": self.title, "actors": self.actors, "doing": self.doing,
            "seconds": seconds, "runs": self.progress.runs + self.serial_runs, "serial_runs": self.serial_runs,
            "traces": self.progress.traces, "left": self.progress.runs_left.filter(|_| self.over.is_none()),
            "preemptions": self.progress.preemptions, "random": self.random || self.progress.gave_up,
            "labs": self.windows.iter().map(schedule).collect::<Vec<_>>(),
            "races": races.collect::<Vec<_>>(), "over": over,
        })
    }
}

impl Site for Feed {
    fn page(&self) -> String {
        let all = self.all();
        let title = all.last().map_or("a search", |search| &search.title);
        deadheat_report::live_page(&format!("Deadheat: {title}"))
    }

    fn state(&self) -> String {
        self.told().to_string()
    }

    fn answer(&self, question: Question) -> Answer {
        let found = (question.method == "GET").then(|| self.view(&question.path));
        let answer = found
            .flatten()
            .ok_or_else(|| Refusal::new(404, "there is no such race"));
        Box::pin(async move { answer })
    }
}
