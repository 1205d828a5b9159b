//! A race that is found is run once more, with a look at the written tables after every step: so that people can see
//! the rows change.

use deadheat_explore::{Actor, Cursor};
use deadheat_lab::{Kept, Options, Part, Trouble, first_difference};
use deadheat_scenario::Scenario;
use deadheat_verdict::History;

use super::{Labs, Race, Searched};

impl Searched {
    /// Looks at the tables of every race. One whose run goes otherwise when it is looked at keeps none.
    ///
    /// # Errors
    /// When a lab cannot run.
    pub fn look(&mut self, labs: &mut Labs, scenario: &Scenario) -> Result<(), Trouble> {
        for race in &mut self.races {
            labs.play(Some(part(scenario, race)));
            labs.take_written(&race.written);
            let schedule = race.record.steps.iter().map(|step| step.actor).collect();
            let looking = Options {
                look: true,
                ..Options::default()
            };
            let (record, _) = labs.run(Cursor::replay(schedule), looking)?;
            if first_difference(&race.record, &record).is_none() {
                race.history = History::of(&record);
            }
        }
        labs.play(None);
        Ok(())
    }
}

/// The part of the scenario that the race is made of.
fn part(scenario: &Scenario, race: &Race) -> Part {
    let actors = scenario.actors.iter().enumerate();
    let kept = actors.filter(|(_, actor)| race.record.actors.contains(&actor.name));
    Part {
        actors: kept
            .map(|(n, actor)| {
                let without = race.without_requests.get(&actor.name);
                Kept {
                    actor: Actor(n as u16),
                    without: without
                        .map(|counted| counted.iter().map(|number| number - 1).collect())
                        .unwrap_or_default(),
                }
            })
            .collect(),
    }
}
