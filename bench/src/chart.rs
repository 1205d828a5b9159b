//! Bars on a page: drawings that need nothing else, and can be read in the dark and in the light.
//!
//! Only what the page of measurements needs: bars that lie, in groups, of one or several parts. A drawing has its own
//! ground, because a page may be dark where the system is light. What it shows is said in words inside it, and stands as a
//! table beside it. Libraries for charts bring far more than this, and fixed colours.

use std::fmt::Write as _;

const WIDTH: f64 = 760.0;
const LABELS: f64 = 230.0;
/// Room for the figure behind a bar.
const FIGURES: f64 = 120.0;
const LINE: f64 = 24.0;
const BAR: f64 = 15.0;

const STYLE: &str = "\
.g{fill:#fff}.t{fill:#1f2328;font:13px system-ui,sans-serif}.h{font-weight:600}.q{fill:#59636e}\
.w{stroke:#1f2328;stroke-width:1.5}.s0{fill:#1a62b8}.s1{fill:#b3590b}.s2{fill:#1a7f37}\
@media(prefers-color-scheme:dark){.g{fill:#161b22}.t{fill:#e6edf3}.q{fill:#9198a1}.w{stroke:#e6edf3}\
.s0{fill:#58a6ff}.s1{fill:#f0913a}.s2{fill:#3fb950}}";

/// A drawing.
pub struct Chart {
    pub title: String,
    /// What the bars measure.
    pub unit: String,
    /// Names of the colours, where there are several.
    pub colours: Vec<&'static str>,
    pub groups: Vec<Group>,
}

/// Bars that belong together.
pub struct Group {
    /// Stands above them; nothing if it is empty.
    pub label: String,
    pub bars: Vec<Bar>,
}

/// One bar.
pub struct Bar {
    pub label: String,
    /// Colours and lengths, one behind the other.
    pub parts: Vec<(usize, f64)>,
    /// The least and the most, where it stands for several.
    pub range: Option<(f64, f64)>,
    /// The figure that stands behind it.
    pub figure: String,
}

impl Bar {
    fn length(&self) -> f64 {
        self.parts.iter().map(|(_, length)| length).sum()
    }

    fn end(&self) -> f64 {
        self.range.map_or(0.0, |(_, most)| most).max(self.length())
    }
}

impl Chart {
    /// The drawing as SVG.
    pub fn svg(&self) -> String {
        let bars = || self.groups.iter().flat_map(|group| &group.bars);
        let longest = bars().map(Bar::end).fold(f64::MIN_POSITIVE, f64::max);
        let scale = (WIDTH - LABELS - FIGURES) / longest;
        let mut body = String::new();
        let mut y = 12.0;
        self.text(&mut body, 16.0, &mut y);
        for group in &self.groups {
            if !group.label.is_empty() {
                y += 6.0;
                line(&mut body, "t h", 16.0, y, &group.label);
                y += LINE;
            }
            for bar in &group.bars {
                draw(&mut body, bar, y, scale);
                y += LINE;
            }
        }
        let height = y + 8.0;
        format!(
            "<svg xmlns=\"{NAMESPACE}\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-labelledby=\"t d\">\n\
             <title id=\"t\">{}</title>\n<desc id=\"d\">{}</desc>\n<style>{STYLE}</style>\n\
             <rect class=\"g\" width=\"{WIDTH}\" height=\"{height}\" rx=\"6\"/>\n{body}</svg>\n",
            escaped(&self.title),
            escaped(&self.words()),
        )
    }

    /// Title, unit and the names of the colours.
    fn text(&self, body: &mut String, x: f64, y: &mut f64) {
        line(body, "t h", x, *y, &self.title);
        *y += LINE;
        let mut at = x;
        for (colour, name) in self.colours.iter().enumerate() {
            let _ = writeln!(
                body,
                "<rect class=\"s{colour}\" x=\"{at}\" y=\"{:.0}\" width=\"12\" height=\"12\"/>",
                *y + 3.0
            );
            line(body, "t", at + 18.0, *y, name);
            at += 40.0 + 7.2 * name.chars().count() as f64;
        }
        line(body, "t q", at, *y, &self.unit);
        *y += LINE;
    }

    /// The same in words, for whoever does not see it.
    fn words(&self) -> String {
        let mut words = format!("{}.", self.unit);
        for group in &self.groups {
            let bars: Vec<String> = group
                .bars
                .iter()
                .map(|bar| format!("{} {}", bar.label, bar.figure))
                .collect();
            let label = match group.label.as_str() {
                "" => String::new(),
                label => format!("{label}: "),
            };
            let _ = write!(words, " {label}{}.", bars.join("; "));
        }
        words
    }
}

/// The name of the language.
const NAMESPACE: &str = concat!("http", "://www.w3.org/2000/svg");

fn line(body: &mut String, class: &str, x: f64, y: f64, text: &str) {
    let y = y + 13.0;
    let text = escaped(text);
    let _ = writeln!(
        body,
        "<text class=\"{class}\" x=\"{x:.0}\" y=\"{y:.0}\">{text}</text>"
    );
}

fn draw(body: &mut String, bar: &Bar, y: f64, scale: f64) {
    line(body, "t", 16.0, y, &bar.label);
    let mut x = LABELS;
    for (colour, length) in &bar.parts {
        let width = length * scale;
        let _ = writeln!(
            body,
            "<rect class=\"s{colour}\" x=\"{x:.1}\" y=\"{:.0}\" width=\"{width:.1}\" height=\"{BAR}\"/>",
            y + 1.0
        );
        x += width;
    }
    if let Some((least, most)) = bar.range {
        let (from, to, middle) = (
            LABELS + least * scale,
            LABELS + most * scale,
            y + 1.0 + BAR / 2.0,
        );
        let _ = writeln!(
            body,
            "<path class=\"w\" fill=\"none\" d=\"M{from:.1} {middle}H{to:.1}M{from:.1} {0}v6M{to:.1} {0}v6\"/>",
            middle - 3.0
        );
    }
    line(
        body,
        "t q",
        LABELS + bar.end() * scale + 8.0,
        y,
        &bar.figure,
    );
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_says_in_words_what_it_shows() {
        let chart = Chart {
            title: "Faster & faster".to_owned(),
            unit: "runs a second".to_owned(),
            colours: vec!["ours"],
            groups: vec![Group {
                label: "two clients".to_owned(),
                bars: vec![Bar {
                    label: "deadheat".to_owned(),
                    parts: vec![(0, 5.0), (1, 5.0)],
                    range: Some((8.0, 20.0)),
                    figure: "10".to_owned(),
                }],
            }],
        };
        let svg = chart.svg();
        assert!(
            svg.contains("<desc id=\"d\">runs a second. two clients: deadheat 10.</desc>"),
            "{svg}"
        );
        assert!(
            svg.contains("<title id=\"t\">Faster &amp; faster</title>"),
            "{svg}"
        );
        // The longest end takes all the room; half of the bar is a quarter of it.
        let quarter = (WIDTH - LABELS - FIGURES) / 4.0;
        assert!(svg.contains(&format!("width=\"{quarter:.1}\"")), "{svg}");
    }
}
