//! As much of Markdown as the pages use.

use std::fs;
use std::path::Path;

use super::root;

/// One page.
pub(super) struct Page {
    /// Below the repository's directory.
    pub(super) name: String,
    pub(super) text: String,
}

/// A fenced block of code.
pub(super) struct Block {
    /// What stands behind the fence.
    pub(super) language: String,
    /// Where its first line is.
    pub(super) line: usize,
    pub(super) text: String,
}

impl Page {
    /// README.md and all of `docs/`.
    pub(super) fn all() -> Vec<Self> {
        let mut names = vec!["README.md".to_owned()];
        collect(&root().join("docs"), &mut names);
        names.sort();
        names.iter().map(|name| Self::read(name)).collect()
    }

    pub(super) fn read(name: &str) -> Self {
        let text = fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        Self { name: name.to_owned(), text }
    }

    pub(super) fn blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        let mut open: Option<Block> = None;
        for (number, line) in (1..).zip(self.text.lines()) {
            match (line.trim_start().strip_prefix("```"), &mut open) {
                (Some(language), None) => {
                    let language = language.trim().to_owned();
                    open = Some(Block { language, line: number + 1, text: String::new() });
                }
                (Some(_), Some(_)) => blocks.extend(open.take()),
                (None, Some(block)) => block.text.push_str(&format!("{line}\n")),
                (None, None) => {}
            }
        }
        assert!(open.is_none(), "{}: the last block is not closed", self.name);
        blocks
    }

    /// The lines outside of blocks, with their numbers.
    pub(super) fn prose(&self) -> Vec<(usize, &str)> {
        let mut inside = false;
        let mut lines = Vec::new();
        for (number, line) in (1..).zip(self.text.lines()) {
            if line.trim_start().starts_with("```") {
                inside = !inside;
            } else if !inside {
                lines.push((number, line));
            }
        }
        lines
    }

    /// The rows of the tables whose first heading is this, as their cells.
    pub(super) fn rows(&self, heading: &str) -> Vec<(usize, Vec<&str>)> {
        let mut rows = Vec::new();
        let mut within = false;
        for (number, line) in self.prose() {
            let Some(row) = line.strip_prefix('|') else {
                within = false;
                continue;
            };
            let cells: Vec<&str> = row.trim_end().trim_end_matches('|').split('|').map(str::trim).collect();
            let is_rule =
                cells.iter().all(|cell| cell.trim_matches('-').is_empty()) && cells[0].contains('-');
            if cells[0] == heading {
                within = true;
            } else if within && !is_rule {
                rows.push((number, cells));
            }
        }
        rows
    }

    /// What a link to one of its headings has behind the `#`.
    pub(super) fn anchors(&self) -> Vec<String> {
        let headings = self.prose().into_iter().filter(|(_, line)| line.starts_with('#'));
        headings.map(|(_, line)| slug(line.trim_start_matches('#').trim())).collect()
    }
}

/// The texts between backticks, as many as stand before each; one space at each end is none of the text.
pub(super) fn spans(line: &str) -> Vec<&str> {
    let mut spans = Vec::new();
    let mut rest = line;
    while let Some(begin) = rest.find('`') {
        rest = &rest[begin..];
        let fence = &rest[..rest.len() - rest.trim_start_matches('`').len()];
        let Some(length) = closing(&rest[fence.len()..], fence.len()) else { break };
        let text = &rest[fence.len()..fence.len() + length];
        spans.push(text.strip_suffix(' ').filter(|text| text.contains('`')).unwrap_or(text));
        rest = &rest[fence.len() + length + fence.len()..];
    }
    spans
}

/// Where the run of exactly so many backticks begins.
fn closing(text: &str, fence: usize) -> Option<usize> {
    let mut at = 0;
    while let Some(found) = text[at..].find('`') {
        let begin = at + found;
        let run = text[begin..].bytes().take_while(|byte| *byte == b'`').count();
        if run == fence {
            return Some(begin);
        }
        at = begin + run;
    }
    None
}

fn slug(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

fn collect(directory: &Path, names: &mut Vec<String>) {
    for entry in fs::read_dir(directory).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            names.push(path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned());
        }
    }
}

#[test]
fn spans_are_found_by_their_fences() {
    assert_eq!(spans("a `b` c ``d `e` `` `f"), ["b", "d `e`"]);
    assert_eq!(slug("From a file of a `desktop` client"), "from-a-file-of-a-desktop-client");
}
