//! The stepper on a terminal: keys in, the whole screen out.

use std::sync::atomic::Ordering;
use std::time::Duration;

use deadheat_step::{Key, Stepper};
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::draw::{Look, draw};
use super::{Front, Press};
use crate::problem::Problem;
use crate::signals::{self, Interrupted};

/// How long to wait for a key before looking whether a signal came.
const TICK: Duration = Duration::from_millis(100);

/// A terminal that is taken.
pub struct Screen<'a> {
    terminal: &'a mut DefaultTerminal,
    look: Look,
    interrupted: &'a Interrupted,
}

/// Does something with the whole screen, and gives the terminal back as it was, whatever happens.
pub fn on_a_terminal(
    interrupted: &Interrupted,
    work: impl FnOnce(&mut Screen<'_>) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let taken = ratatui::try_init();
    let mut terminal = taken
        .map_err(|error| Problem::other(format!("the terminal cannot be used: {error}"), None))?;
    signals::at_the_end(Some(ratatui::restore));
    let ended = work(&mut Screen {
        terminal: &mut terminal,
        look: Look {
            colour: std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        },
        interrupted,
    });
    signals::at_the_end(None);
    ratatui::restore();
    ended
}

impl Front for Screen<'_> {
    fn show(&mut self, stepper: &Stepper, _busy: bool) -> Result<(), Problem> {
        let look = self.look;
        let drawn = self.terminal.draw(|frame| draw(stepper, look, frame));
        drawn.map(|_| ()).map_err(|error| cannot(&error))
    }

    fn next(&mut self) -> Result<Option<Press>, Problem> {
        while !self.interrupted.load(Ordering::SeqCst) {
            if !event::poll(TICK).map_err(|error| cannot(&error))? {
                continue;
            }
            match event::read().map_err(|error| cannot(&error))? {
                Event::Key(pressed) => {
                    if let Some(key) = key(pressed) {
                        return Ok(Some(Press::Key(key)));
                    }
                }
                // It has another size now.
                Event::Resize(..) => return Ok(Some(Press::Nothing)),
                _ => {}
            }
        }
        Ok(None)
    }
}

fn cannot(error: &std::io::Error) -> Problem {
    Problem::other(format!("the terminal failed: {error}"), None)
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
