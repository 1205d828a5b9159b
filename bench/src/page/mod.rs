//! The page of measurements, from all parts that were ever measured, and its drawings.

mod labs;
mod peers;
mod promises;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use serde::de::DeserializeOwned;

use crate::Fallible;
use crate::chart::Chart;
use crate::results::{Machine, Measured, kept};

/// Where the page and its drawings belong.
const PAGE: &str = "docs/measurements.md";
const PLOTS: &str = "docs/plots";

/// The page, and its drawings by name.
#[derive(Default)]
pub struct Page {
    text: String,
    plots: BTreeMap<&'static str, String>,
    /// What was measured on which machine.
    machines: Vec<(String, Machine)>,
    versions: BTreeMap<String, String>,
}

/// Writes the page.
pub fn write(root: &Path) -> Fallible<()> {
    let page = of(root)?;
    let plots = root.join(PLOTS);
    if plots.exists() {
        std::fs::remove_dir_all(&plots)?;
    }
    std::fs::create_dir_all(&plots)?;
    for (name, svg) in &page.plots {
        std::fs::write(plots.join(name).with_extension("svg"), svg)?;
    }
    std::fs::write(root.join(PAGE), &page.text)?;
    eprintln!("written: {PAGE}");
    Ok(())
}

/// The page of what lies in `bench/results`.
fn of(root: &Path) -> Fallible<Page> {
    let mut page = Page::default();
    page.part(root, "labs", labs::tell)?;
    page.part(root, "rivals", peers::rivals)?;
    page.part(root, "specs", peers::specs)?;
    page.part(root, "peers", peers::peers)?;
    page.part(root, "passing", peers::passing)?;
    page.part(root, "tasks", peers::tasks)?;
    let head = page.head();
    page.text.insert_str(0, &head);
    Ok(page)
}

impl Page {
    /// Tells of a part; of one that was never measured, says so.
    fn part<F: DeserializeOwned>(
        &mut self,
        root: &Path,
        name: &str,
        tell: fn(&mut Self, &F),
    ) -> Fallible<()> {
        match kept::<F>(root, name)? {
            Some(measured) => {
                let Measured {
                    machine,
                    versions,
                    figures,
                } = measured;
                tell(self, &figures);
                self.machines.push((name.to_owned(), machine));
                self.versions.extend(versions);
            }
            None => {
                let _ = write!(
                    self.text,
                    "\n## Not measured: {name}\n\n`make bench` says why it could not be.\n"
                );
            }
        }
        Ok(())
    }

    /// Puts a drawing on the page; the table that says the same comes after it.
    fn draw(&mut self, name: &'static str, chart: &Chart) {
        let words = format!("{}, as bars; the table has the figures", chart.title);
        let _ = writeln!(self.text, "\n![{words}](plots/{name}.svg)");
        self.plots.insert(name, chart.svg());
    }

    fn head(&self) -> String {
        let mut text = String::from(
            "# Measurements\n\nWritten by `make bench` from what it measures; how each figure is taken is told in \
             [bench/README.md](../bench/README.md).\nWhat is compared takes turns on one machine, round after round; a \
             figure is the median of its rounds, and a line across a bar goes from the least to the most.\n\n",
        );
        let mut told: Vec<&Machine> = Vec::new();
        for (_, machine) in &self.machines {
            if told.iter().any(|other| same(other, machine)) {
                continue;
            }
            told.push(machine);
            let of: Vec<String> = self
                .machines
                .iter()
                .filter(|(_, other)| same(machine, other))
                .map(|(part, other)| format!("{part} ({} to {})", other.load[0], other.load[1]))
                .collect();
            for (what, value) in [
                (
                    "Processor",
                    format!("{}, {} cores", machine.processor, machine.cores),
                ),
                ("Memory", machine.memory.clone()),
                ("System", machine.system.clone()),
                ("PostgreSQL", machine.postgres.clone()),
                ("Built with", machine.rust.clone()),
                ("Version", machine.deadheat.clone()),
                (
                    "Measured here, with the load before and after",
                    of.join(", "),
                ),
            ] {
                let _ = writeln!(text, "- {what}: {value}");
            }
        }
        let versions: Vec<String> = self
            .versions
            .iter()
            .map(|(name, version)| format!("{name} {version}"))
            .collect();
        if !versions.is_empty() {
            let _ = writeln!(text, "- Peers: {}", versions.join(", "));
        }
        text
    }
}

/// Whether two parts were measured on one machine, with the same versions.
fn same(one: &Machine, other: &Machine) -> bool {
    let load = other.load.clone();
    Machine {
        load,
        ..one.clone()
    } == *other
}

/// A figure with as many digits as say something.
fn short(value: f64) -> String {
    match value.abs() {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        0.01.. => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_shows_what_was_measured_last() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let page = of(&root).expect("results that can be read");
        if std::env::var_os("UPDATE").is_some() {
            write(&root).expect("the page is written");
        }
        let stale = "is stale: UPDATE=1 cargo test -p deadheat-bench writes it anew";
        let text = std::fs::read_to_string(root.join(PAGE)).expect("the page");
        assert!(page.text == text, "{PAGE} {stale}");
        for (name, svg) in &page.plots {
            let path = root.join(PLOTS).join(name).with_extension("svg");
            let drawn = std::fs::read_to_string(&path).expect("the drawing");
            assert!(*svg == drawn, "{} {stale}", path.display());
        }
        // Where nothing was measured there is no folder.
        let drawn = std::fs::read_dir(root.join(PLOTS)).map_or(0, Iterator::count);
        assert_eq!(drawn, page.plots.len(), "drawings of nothing in {PLOTS}");
    }

    #[test]
    fn a_part_that_was_never_measured_is_named() {
        let page = of(Path::new("/nowhere")).expect("a page of nothing");
        assert!(page.text.contains("## Not measured: labs"), "{}", page.text);
    }
}
