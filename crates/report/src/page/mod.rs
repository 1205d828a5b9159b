//! The page of a race: one HTML file with everything in it, which asks no other machine for anything.
//!
//! [`view`] turns saved races into data, which stand in the page as one island of JSON; the scripts beside this file
//! draw it, and only ever set texts. Whatever a statement holds, it stays text.

mod rows;
mod view;

use deadheat_verdict::Saved;

use self::view::{Page, RaceView};

const FRAME: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const LIVE_STYLE: &str = include_str!("live.css");
/// The way past everything that stands before the run.
const SKIP: &str = r##"<a class="skip" href="#timeline">To the timeline</a>"##;
/// Begins to show what stands in the page.
const START: &str = "start();\n";
/// In the order in which they build on each other.
const SCRIPTS: [&str; 7] = [
    include_str!("dom.js"),
    include_str!("sql.js"),
    include_str!("timeline.js"),
    include_str!("arrows.js"),
    include_str!("tables.js"),
    include_str!("outcome.js"),
    include_str!("main.js"),
];

/// What draws a page that is fed while something happens, behind [`SCRIPTS`].
const LIVE: [&str; 4] = [
    include_str!("live.js"),
    include_str!("search.js"),
    include_str!("stepper.js"),
    "listen();\n",
];

/// The page of some races, each with the file it is saved in; `summary` says what the searches came to, if there were
/// any.
///
/// # Errors
/// Only if a value cannot be written as JSON, which none of these is.
pub fn page(races: &[(&Saved, &str)], summary: &str) -> Result<String, serde_json::Error> {
    let views: Vec<RaceView> = races
        .iter()
        .map(|(saved, file)| RaceView::of(saved, file))
        .collect();
    let title = match views.as_slice() {
        [] => "No race".to_owned(),
        [one] => format!("{} in {}", one.title, one.scenario),
        many => format!("{} races", many.len()),
    };
    let sentences = views.iter().flat_map(|view| &view.why);
    let mut plain =
        "<p>This page draws the race with its own scripts, which are switched off here. Why it \
                     happens:</p>"
            .to_owned();
    plain.extend(sentences.map(|sentence| format!("<p>{}</p>", escaped(sentence))));
    let data = serde_json::to_string(&Page {
        races: views,
        summary: summary.to_owned(),
    })?;
    Ok(fill(&[
        ("policy", ""),
        ("title", &escaped(&title)),
        ("style", STYLE),
        ("skip", SKIP),
        ("plain", &plain),
        ("data", &island(&data)),
        ("script", &(SCRIPTS.concat() + START)),
    ]))
}

/// The page of something that goes on: it asks whoever serves it what is to be seen, and draws races as [`page`] does.
pub fn live_page(title: &str) -> String {
    let plain =
        "<p>This page shows what happens with its own scripts, which are switched off here.</p>";
    fill(&[
        ("policy", "; connect-src 'self'"),
        ("title", &escaped(title)),
        ("style", &(STYLE.to_owned() + LIVE_STYLE)),
        ("skip", ""),
        ("plain", plain),
        ("data", r#"{"races":[],"summary":""}"#),
        ("script", &(SCRIPTS.concat() + &LIVE.concat())),
    ])
}

/// What a page calls a race.
pub fn race_title(saved: &Saved) -> String {
    view::in_words(&saved.kind.to_string())
}

/// What the page shows of one race, as JSON: for a page that is open already.
///
/// # Errors
/// Only if a value cannot be written as JSON, which none of these is.
pub fn race_view(saved: &Saved, file: &str) -> Result<serde_json::Value, serde_json::Error> {
    serde_json::to_value(RaceView::of(saved, file))
}

/// The frame with its places filled. What is filled in is not searched for places.
fn fill(parts: &[(&str, &str)]) -> String {
    let mut out = String::new();
    let mut rest = FRAME;
    for (name, text) in parts {
        let place = format!("<!--{name}-->");
        let (before, after) = rest.split_once(&place).unwrap_or((rest, ""));
        out.extend([before, text]);
        rest = after;
    }
    out + rest
}

/// Text as HTML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// JSON that nothing in it can end or comment out, wherever it stands in a page: these characters only ever stand inside
/// of texts.
fn island(json: &str) -> String {
    json.replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_is_filled_once_and_in_order() {
        let page = page(&[], "<nothing>").expect("a page");
        assert!(!page.contains("<!--"), "{page}");
        assert!(page.contains("\\u003cnothing\\u003e"));
        assert!(page.trim_end().ends_with("</html>"));
    }

    #[test]
    fn the_page_asks_nobody() {
        let page = page(&[], "").expect("a page");
        for asks in ["http:", "https:", "//cdn", "@import", "fetch("] {
            assert!(!page.contains(asks), "{asks}");
        }
        assert_eq!(
            page.matches("url(").count(),
            page.matches("url(#").count(),
            "only places of the page itself"
        );
        assert!(page.contains("default-src 'none'"));
    }

    #[test]
    fn what_a_statement_holds_stays_text() {
        let evil = "</script><img onerror=\"alert(1)\" src=x>\u{2028}&amp;";
        let json = serde_json::to_string(evil).expect("JSON");
        let safe = island(&json);
        assert!(!safe.contains(['<', '>', '&', '\u{2028}']), "{safe}");
        let back: String = serde_json::from_str(&safe).expect("the same JSON");
        assert_eq!(back, evil);
        assert!(!escaped(evil).contains(['<', '>', '"']));
    }
}
