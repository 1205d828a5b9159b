//! The table of contents of the book: every page once, under its own title.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use pulldown_cmark::{Event, Parser, Tag, TagEnd};

use crate::common::root;
use crate::pages;

/// Paths from the root, with the titles that the table of contents gives them.
fn listed() -> BTreeMap<PathBuf, String> {
    let text = std::fs::read_to_string(root().join("docs/SUMMARY.md")).expect("a table");
    let mut found = BTreeMap::new();
    let mut open = None::<(PathBuf, String)>;
    for event in Parser::new(&text) {
        match (event, &mut open) {
            (Event::Start(Tag::Link { dest_url, .. }), _) => {
                open = Some((Path::new("docs").join(&*dest_url), String::new()));
            }
            (Event::Text(text) | Event::Code(text), Some((_, title))) => title.push_str(&text),
            (Event::End(TagEnd::Link), Some(_)) => {
                let (path, title) = open.take().expect("it is open");
                let before = found.insert(path.clone(), title);
                assert_eq!(before, None, "{} is listed twice", path.display());
            }
            _ => {}
        }
    }
    found
}

#[test]
fn the_table_of_contents_has_every_page_by_its_title() {
    let titles: BTreeMap<PathBuf, String> = pages::of_the_book()
        .into_iter()
        .map(|page| {
            let title = page.headings().into_iter().next();
            (page.path, title.expect("a page has a title"))
        })
        .collect();
    assert_eq!(listed(), titles);
}
