//! A scenario with those alone who take part in a saved race: what was left out of the race never runs.

use std::sync::Arc;

use deadheat_explore::Actor;
use deadheat_scenario::{Scenario, Work};
use deadheat_verdict::Saved;

use crate::problem::Problem;

const CHANGED: &str = "the scenario has changed since: find the race again with `deadheat find`";

/// The scenario without the actors and requests that the race does without.
pub fn narrow(scenario: &Scenario, saved: &Saved) -> Result<Arc<Scenario>, Problem> {
    let mut narrow = scenario.clone();
    narrow.actors.clear();
    for name in &saved.actors {
        let actor = scenario.actors.iter().find(|actor| actor.name == *name);
        let Some(actor) = actor else {
            let file = scenario.path.display();
            let message = format!("the race has an actor `{name}`, {file} has none of that name");
            return Err(Problem::other(message, Some(CHANGED)));
        };
        let mut actor = actor.clone();
        if let (Work::Requests(requests), Some(without)) =
            (&mut actor.work, saved.without_requests.get(name))
        {
            let all = std::mem::take(requests).into_iter().enumerate();
            let made = all.filter(|(index, _)| !without.contains(&(index + 1)));
            requests.extend(made.map(|(_, request)| request));
        }
        narrow.actors.push(actor);
    }
    Ok(Arc::new(narrow))
}

/// The saved schedule by the actors of the narrowed scenario.
pub fn schedule(saved: &Saved) -> Vec<Actor> {
    let place = |name: &String| {
        let at = saved.actors.iter().position(|actor| actor == name);
        // A file whose schedule names others is refused when it is read.
        Actor(at.unwrap_or_default() as u16)
    };
    saved.schedule.iter().map(place).collect()
}
