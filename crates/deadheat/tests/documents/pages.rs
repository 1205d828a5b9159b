//! Every page that somebody may read, and that its links lead somewhere.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use crate::common::root;

/// A page, by its path from the root.
pub struct Page {
    pub path: PathBuf,
    pub text: String,
}

impl Page {
    /// What it is made of.
    pub fn events(&self) -> Parser<'_> {
        Parser::new_ext(&self.text, Options::ENABLE_TABLES)
    }

    /// The texts of its headings.
    pub fn headings(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut open = None::<String>;
        for event in self.events() {
            match (event, &mut open) {
                (Event::Start(Tag::Heading { .. }), _) => open = Some(String::new()),
                (Event::End(TagEnd::Heading(_)), Some(_)) => found.extend(open.take()),
                (Event::Text(text) | Event::Code(text), Some(heading)) => heading.push_str(&text),
                _ => {}
            }
        }
        found
    }

    /// The names by which its headings can be linked to.
    fn anchors(&self) -> Vec<String> {
        let mut times = BTreeMap::<String, usize>::new();
        let named = |heading: String| {
            let name = anchor(&heading);
            let before = times.entry(name.clone()).or_default();
            *before += 1;
            match *before {
                1 => name,
                more => format!("{name}-{}", more - 1),
            }
        };
        self.headings().into_iter().map(named).collect()
    }

    fn links(&self) -> Vec<String> {
        self.events()
            .filter_map(|event| match event {
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    Some(dest_url.into_string())
                }
                _ => None,
            })
            .collect()
    }
}

/// The name of a heading: small letters, digits, `-` and `_`, blanks as `-`.
fn anchor(heading: &str) -> String {
    heading
        .trim()
        .chars()
        .filter_map(|c| match c {
            ' ' => Some('-'),
            '-' | '_' => Some(c),
            c => c.is_alphanumeric().then_some(c),
        })
        .flat_map(char::to_lowercase)
        .collect()
}

/// All pages of the repository: what ends in `.md`, but for what is installed or built.
pub fn all() -> Vec<Page> {
    const MADE: [&str; 4] = ["target", "node_modules", ".venv", ".git"];
    let root = root();
    let mut open = vec![PathBuf::new()];
    let mut found = Vec::new();
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(root.join(&folder)).expect("a folder") {
            let entry = entry.expect("an entry");
            let path = folder.join(entry.file_name());
            let kind = entry.file_type().expect("a type");
            if kind.is_dir() && !MADE.iter().any(|made| entry.file_name() == *made) {
                open.push(path);
            } else if path.extension().is_some_and(|ending| ending == "md") {
                let text = std::fs::read_to_string(root.join(&path)).expect("text");
                found.push(Page { path, text });
            }
        }
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    found
}

/// The pages of the book.
pub fn of_the_book() -> Vec<Page> {
    let mut pages = all();
    pages.retain(|page| page.path.starts_with("docs") && !page.path.ends_with("SUMMARY.md"));
    pages
}

/// Where a path leads from a page, without `..`.
fn from(page: &Path, target: &str) -> PathBuf {
    let mut at = page.parent().expect("a folder").to_owned();
    for part in Path::new(target).components() {
        match part {
            Component::ParentDir => assert!(at.pop(), "{target} leads out of the repository"),
            Component::Normal(name) => at.push(name),
            _ => {}
        }
    }
    at
}

/// What is wrong with the links of a page.
fn astray(page: &Page, pages: &[Page]) -> Vec<String> {
    let mut wrong = Vec::new();
    for link in page.links() {
        if link.contains("://") {
            continue;
        }
        let (path, heading) = link.split_once('#').unwrap_or((&link, ""));
        let target = match path {
            "" => page.path.clone(),
            path => from(&page.path, path),
        };
        let there = root().join(&target).exists();
        let named = heading.is_empty()
            || pages.iter().any(|other| {
                other.path == target && other.anchors().iter().any(|name| name == heading)
            });
        if !(there && named) {
            wrong.push(format!("{} links to {link}", page.path.display()));
        }
    }
    wrong
}

#[test]
fn every_link_leads_somewhere() {
    let pages = all();
    assert!(pages.len() > 30, "only {} pages were found", pages.len());
    let wrong: Vec<String> = pages.iter().flat_map(|page| astray(page, &pages)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_link_goes_astray() {
    let page = |text: &str| Page {
        path: PathBuf::from("docs/ci.md"),
        text: text.to_owned(),
    };
    let here = "# The end, and `more`\n\n# The end, and more\n";
    for (link, right) in [
        ("#the-end-and-more", true),
        ("#the-end-and-more-1", true),
        ("#the-end", false),
        ("how.md", true),
        ("nowhere.md", false),
        ("../README.md", true),
        ("stories/../../Makefile", true),
        ("https://shop.example/nowhere", true),
    ] {
        let page = page(&format!("{here}\n[it]({link})\n"));
        let wrong = astray(&page, std::slice::from_ref(&page));
        assert_eq!(wrong.is_empty(), right, "{link}: {wrong:?}");
    }
}
