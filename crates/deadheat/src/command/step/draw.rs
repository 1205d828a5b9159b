//! The stepper on a screen: actors on top, steps and tables below, side by side where there is room.

use deadheat_step::{Panel, Seat, Shown, Stepper, Verdict};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Paragraph, Wrap};

/// Columns from which steps and tables stand side by side.
const WIDE: u16 = 100;
/// Less than this shows nothing.
const SMALLEST: (u16, u16) = (40, 10);
const KEYS: &str =
    "↑↓ choose · Enter move · 1-9 move · u back · e to the end · s save · Tab panel · q quit";
const FEW_KEYS: &str = "Enter move · u back · e end · s save · Tab · q quit";

/// How it looks.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// Whether there are colours.
    pub colour: bool,
}

impl Look {
    fn ink(self, colour: Color) -> Style {
        if self.colour {
            Style::new().fg(colour)
        } else {
            Style::new()
        }
    }

    fn actor(self, number: usize) -> Style {
        const LANES: [Color; 5] = [
            Color::Cyan,
            Color::Magenta,
            Color::Blue,
            Color::Green,
            Color::Yellow,
        ];
        self.ink(LANES[number % LANES.len()])
    }
}

/// Draws all of it.
pub fn draw(stepper: &Stepper, look: Look, frame: &mut Frame<'_>) {
    let area = frame.area();
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        let (columns, lines) = SMALLEST;
        let text = format!("{columns} columns and {lines} lines are needed");
        frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: true }), area);
        return;
    }
    let actors = (stepper.actors.len() as u16).min(area.height / 2).max(1);
    let said = said(stepper, look);
    // Words that do not fit move to the next line, which takes a little more than the letters do.
    let tall = |line: &Line<'_>| line.width() as u16 * 11 / 10 / area.width + 1;
    let below = said.iter().map(tall).sum::<u16>().clamp(1, area.height / 3);
    let [title, seats, middle, message, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(actors),
        Constraint::Min(3),
        Constraint::Length(below),
        Constraint::Length(1),
    ])
    .areas(area);
    let bold = Style::new().add_modifier(Modifier::BOLD);
    frame.render_widget(Line::styled(stepper.title.as_str(), bold), title);
    draw_seats(stepper, look, frame, seats);
    if area.width >= WIDE {
        let halves = Layout::horizontal([Constraint::Fill(1); 2]).spacing(1);
        let [left, right] = halves.areas(middle);
        draw_steps(stepper, look, frame, left, stepper.panel == Panel::Steps);
        draw_tables(stepper, look, frame, right, stepper.panel == Panel::Tables);
    } else if stepper.panel == Panel::Steps {
        draw_steps(stepper, look, frame, middle, true);
    } else {
        draw_tables(stepper, look, frame, middle, true);
    }
    frame.render_widget(Paragraph::new(said).wrap(Wrap { trim: true }), message);
    let dim = Style::new().add_modifier(Modifier::DIM);
    let words = if area.width >= WIDE { KEYS } else { FEW_KEYS };
    frame.render_widget(Line::styled(words, dim), keys);
}

/// The message, and what the run is when it is over.
fn said(stepper: &Stepper, look: Look) -> Vec<Line<'_>> {
    let bold = |ink: Style| ink.add_modifier(Modifier::BOLD);
    let mut lines = Vec::new();
    match &stepper.verdict {
        None => {}
        Some(Verdict::Fine) => lines.push(Line::styled(
            "over: no race, one after the other it could have come out like this too",
            bold(look.ink(Color::Green)),
        )),
        Some(Verdict::Race { kind, why }) => {
            let head = format!("RACE: {kind} (s saves it)");
            lines.push(Line::styled(head, bold(look.ink(Color::Red))));
            lines.extend(why.iter().map(|sentence| Line::raw(sentence.as_str())));
        }
    }
    if !stepper.message.is_empty() {
        // In front: what follows may be cut.
        lines.insert(0, Line::raw(stepper.message.as_str()));
    }
    lines
}

fn draw_seats(stepper: &Stepper, look: Look, frame: &mut Frame<'_>, area: Rect) {
    let widest = stepper.actors.iter().map(|name| name.chars().count()).max();
    let widest = widest.unwrap_or(0);
    let lines = stepper.scene.seats.iter().enumerate().map(|(n, seat)| {
        let name = &stepper.actors[n];
        let mark = if n == stepper.chosen { "▶" } else { " " };
        let style = look.actor(n);
        let (what, dim) = match seat {
            Seat::Next { statement, starts } => {
                let begin = if *starts { "starts: " } else { "" };
                (format!("{begin}{statement}"), false)
            }
            Seat::Waits {
                statement,
                blocked_by,
            } => {
                let who = match blocked_by.as_slice() {
                    [] => "something outside the database".to_owned(),
                    names => names.join(" and "),
                };
                (format!("waits for {who}: {statement}"), true)
            }
            Seat::Finished { reply } => (format!("finished: {reply}"), true),
        };
        let mut text = Style::new();
        if dim {
            text = text.add_modifier(Modifier::DIM);
        }
        if n == stepper.chosen {
            text = text.add_modifier(Modifier::BOLD);
        }
        let room = usize::from(area.width).saturating_sub(widest + 5);
        Line::from(vec![
            Span::raw(format!("{mark}{} ", n + 1)),
            Span::styled(format!("{name:<widest$}  "), style),
            Span::styled(deadheat_verdict::words::cut(&what, room), text),
        ])
    });
    let lines: Vec<Line<'_>> = lines.collect();
    // With more actors than lines the chosen one stays in sight.
    let hidden = (stepper.chosen + 1).saturating_sub(usize::from(area.height));
    frame.render_widget(Paragraph::new(lines).scroll((hidden as u16, 0)), area);
}

fn frame_of<'t>(title: String, front: bool) -> Block<'t> {
    let style = if front {
        Style::new().add_modifier(Modifier::BOLD)
    } else {
        Style::new()
    };
    Block::new()
        .borders(Borders::TOP)
        .title(Span::styled(title, style))
}

fn draw_steps(stepper: &Stepper, look: Look, frame: &mut Frame<'_>, area: Rect, front: bool) {
    let done = &stepper.scene.done;
    let block = frame_of(format!(" steps: {} ", done.len()), front);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let height = usize::from(inner.height);
    let widest = stepper.actors.iter().map(|name| name.chars().count()).max();
    let widest = widest.unwrap_or(0);
    let away = if front { stepper.scrolled } else { 0 };
    let end = done.len() - away.min(done.len().saturating_sub(height));
    let from = end.saturating_sub(height);
    let lines = done[from..end].iter().enumerate().map(|(n, step)| {
        let actor = usize::from(step.actor.0);
        let outcome = if step.failed {
            look.ink(Color::Red)
        } else {
            look.ink(Color::Green)
        };
        let name = stepper.actors.get(actor).map_or("", String::as_str);
        let arrow = if step.outcome.is_empty() { "" } else { "→ " };
        let room = usize::from(inner.width).saturating_sub(widest + 9);
        let unused = room.saturating_sub(step.statement.chars().count());
        let kept = step.outcome.chars().count().min(unused.max(room / 2));
        let statement = deadheat_verdict::words::cut(&step.statement, room - kept);
        Line::from(vec![
            Span::raw(format!("{:>3} ", from + n + 1)),
            Span::styled(format!("{name:<widest$}  "), look.actor(actor)),
            Span::raw(format!("{statement} ")),
            Span::raw(arrow),
            Span::styled(deadheat_verdict::words::cut(&step.outcome, kept), outcome),
        ])
    });
    frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), inner);
}

fn draw_tables(stepper: &Stepper, look: Look, frame: &mut Frame<'_>, area: Rect, front: bool) {
    let block = frame_of(" committed rows, + is new ".to_owned(), front);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let mut lines = Vec::new();
    for (name, table) in &stepper.scene.tables {
        lines.extend(table_lines(name, table, look));
    }
    let away = if front { stepper.scrolled } else { 0 };
    let away = away.min(lines.len().saturating_sub(usize::from(inner.height)));
    frame.render_widget(Paragraph::new(lines).scroll((away as u16, 0)), inner);
}

/// A table, its columns as wide as they need, up to a limit.
fn table_lines<'t>(name: &str, table: &Shown, look: Look) -> Vec<Line<'t>> {
    const LONGEST: usize = 24;
    let cut = |text: &str| deadheat_verdict::words::cut(text, LONGEST);
    let width = |n: usize| {
        let cells = table.rows.iter().filter_map(|row| row.cells.get(n));
        let texts = cells.chain(table.columns.get(n));
        texts
            .map(|text| text.chars().count().min(LONGEST))
            .max()
            .unwrap_or(0)
    };
    let row = |cells: &[String]| {
        let cells = cells.iter().enumerate();
        let cells = cells.map(|(n, cell)| format!("{:<1$}", cut(cell), width(n)));
        cells.collect::<Vec<_>>().join("  ")
    };
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let dim = Style::new().add_modifier(Modifier::DIM);
    let mut lines = vec![
        Line::styled(name.to_owned(), bold),
        Line::styled(format!("  {}", row(&table.columns)), dim),
    ];
    for one in &table.rows {
        let (mark, style) = if one.fresh {
            ("+", look.ink(Color::Green).add_modifier(Modifier::BOLD))
        } else {
            (" ", Style::new())
        };
        lines.push(Line::styled(format!("{mark} {}", row(&one.cells)), style));
    }
    lines
}

#[cfg(test)]
mod tests {
    use deadheat_explore::Actor;
    use deadheat_step::{Done, Row, Scene};
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::*;

    fn stepper() -> Stepper {
        let mut stepper = Stepper::new(
            "A fifth player sneaks in",
            ["ben", "p1", "audit"].map(str::to_owned).to_vec(),
        );
        let row = |cells: [&str; 3], fresh| Row {
            cells: cells.map(str::to_owned).to_vec(),
            fresh,
        };
        let done = |actor, statement: &str, outcome: &str, failed| Done {
            actor: Actor(actor),
            statement: statement.to_owned(),
            outcome: outcome.to_owned(),
            failed,
        };
        let players = Shown {
            columns: ["id", "game", "nick"].map(str::to_owned).to_vec(),
            rows: vec![
                row(["1", "1", "somebody with quite a long name"], false),
                row(["2", "1", "ben"], true),
            ],
        };
        stepper.scene = Scene {
            seats: vec![
                Seat::Finished {
                    reply: "201 {\"id\": 2}".to_owned(),
                },
                Seat::Next {
                    statement: "insert into players (game, nick) values (1, 'p1') returning id"
                        .to_owned(),
                    starts: false,
                },
                Seat::Waits {
                    statement: "lock table players".to_owned(),
                    blocked_by: vec!["p1".to_owned()],
                },
            ],
            done: vec![
                done(0, "select count(*) as n from players", "n = 1", false),
                done(1, "select count(*) as n from players", "n = 1", false),
                done(2, "lock table players", "waits for p1", false),
                done(0, "insert into players", "23505 duplicate key", true),
            ],
            tables: [("players".to_owned(), players)].into(),
        };
        stepper.chosen = 1;
        stepper
    }

    fn screen(stepper: &Stepper, columns: u16, lines: u16, colour: bool) -> TestBackend {
        let mut terminal = Terminal::new(TestBackend::new(columns, lines)).expect("a screen");
        terminal
            .draw(|frame| draw(stepper, Look { colour }, frame))
            .expect("drawn");
        terminal.backend().clone()
    }

    #[test]
    fn wide_it_shows_steps_beside_tables() {
        insta::assert_snapshot!(screen(&stepper(), 110, 16, true));
    }

    #[test]
    fn narrow_it_shows_one_of_them() {
        let mut stepper = stepper();
        insta::assert_snapshot!("narrow_steps", screen(&stepper, 60, 14, true));
        stepper.panel = Panel::Tables;
        insta::assert_snapshot!("narrow_tables", screen(&stepper, 60, 14, true));
    }

    #[test]
    fn a_race_is_said_below() {
        let mut stepper = stepper();
        stepper.judged(Verdict::Race {
            kind: "check-then-act".to_owned(),
            why: vec!["p1 counted 3 players, then took the seat that ben had taken.".to_owned()],
        });
        stepper.say("saved: .deadheat/lobby-1.json");
        insta::assert_snapshot!(screen(&stepper, 60, 16, true));
    }

    #[test]
    fn a_long_run_is_scrolled_through() {
        let mut stepper = stepper();
        let step = stepper.scene.done[0].clone();
        stepper.scene.done = (0..40)
            .map(|n| Done {
                statement: format!("select {n}"),
                ..step.clone()
            })
            .collect();
        let last = screen(&stepper, 60, 14, false).to_string();
        assert!(
            last.contains("select 39") && !last.contains("select 29"),
            "{last}"
        );
        stepper.scrolled = 10;
        let earlier = screen(&stepper, 60, 14, false).to_string();
        assert!(
            earlier.contains("select 29") && !earlier.contains("select 39"),
            "{earlier}"
        );
        stepper.scrolled = 1000;
        let first = screen(&stepper, 60, 14, false).to_string();
        assert!(first.contains("select 0 "), "{first}");
    }

    #[test]
    fn without_colour_nothing_is_coloured() {
        let colours = |colour| {
            let screen = screen(&stepper(), 110, 16, colour);
            let cells = screen.buffer().content.iter();
            cells.filter(|cell| cell.fg != Color::Reset).count()
        };
        assert_eq!(colours(false), 0);
        assert!(colours(true) > 0);
    }

    #[test]
    fn where_nothing_has_room_that_is_said() {
        for (columns, lines) in [(39, 20), (80, 9), (1, 1)] {
            let shown = screen(&stepper(), columns, lines, false).to_string();
            assert!(!shown.contains("players"), "{shown}");
        }
        let shown = screen(&stepper(), 39, 20, false).to_string();
        assert!(shown.contains("40 columns and 10 lines"), "{shown}");
    }
}
