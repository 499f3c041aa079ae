//! Every page is in the table of contents, and every link leads somewhere.

use super::markdown::{Page, spans};
use super::{Faults, root};

const CONTENTS: &str = "docs/README.md";

/// The links of a page to other files of the repository, as they are written.
fn links(page: &Page) -> Vec<(usize, String)> {
    let mut links = Vec::new();
    for (number, line) in page.prose() {
        let mut bare = line.to_owned();
        for span in spans(line) {
            bare = bare.replace(&format!("`{span}`"), "");
        }
        let targets = bare.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0.to_owned()));
        links.extend(targets.filter(|target| !target.contains("://")).map(|target| (number, target)));
    }
    links
}

/// Where a link leads, below the repository's directory; `..` goes up.
fn resolve(page: &Page, target: &str) -> String {
    if target.is_empty() {
        return page.name.clone();
    }
    let mut parts: Vec<&str> = page.name.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "." | "" => {}
            ".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    parts.join("/")
}

#[test]
fn every_link_leads_somewhere() {
    let mut faults = Faults::default();
    for page in Page::all() {
        for (line, link) in links(&page) {
            let (target, anchor) = link.split_once('#').map_or((&*link, None), |(t, a)| (t, Some(a)));
            let target = resolve(&page, target);
            if !root().join(&target).exists() {
                faults.add(&page, line, format!("there is no {target}, to which it links"));
            } else if let Some(anchor) = anchor.filter(|_| target.ends_with(".md"))
                && !Page::read(&target).anchors().iter().any(|known| known == anchor)
            {
                faults.add(&page, line, format!("{target} has no heading #{anchor}"));
            }
        }
    }
    faults.tell();
}

#[test]
fn the_table_of_contents_has_every_page() {
    let mut faults = Faults::default();
    let contents = Page::read(CONTENTS);
    let listed: Vec<String> = links(&contents).iter().map(|(_, link)| resolve(&contents, link)).collect();
    for page in Page::all() {
        if page.name.starts_with("docs/") && page.name != CONTENTS && !listed.contains(&page.name) {
            faults.add(&page, 1, format!("is not in {CONTENTS}; put it into the table there"));
        }
    }
    faults.tell();
}
