//! The lines that show a reading: what holds for all, then the servers, the tenants and the sessions.

use super::figures::Figures;
use super::overview::{Overview, Session};
use super::table::{Table, printable};
use crate::cli::colour::{BAD, FAINT, HEADING};

/// What is shown, and how.
#[derive(Debug)]
pub(super) struct Page {
    coloured: bool,
    sort: Sort,
    /// Lines that were scrolled past.
    above: usize,
    /// Why there is no newer reading.
    pub(super) fault: Option<String>,
}

/// What sessions are sorted by, the greatest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Sort {
    #[default]
    Calls,
    Latency,
    Memory,
    Cpu,
    Age,
}

/// What is not known.
const NOTHING: &str = "-";

impl Page {
    pub(super) fn new(coloured: bool) -> Self {
        Self { coloured, sort: Sort::default(), above: 0, fault: None }
    }

    pub(super) fn sort_by_the_next(&mut self) {
        self.sort = self.sort.next();
    }

    pub(super) fn scroll_up(&mut self) {
        self.above = self.above.saturating_sub(1);
    }

    pub(super) fn scroll_down(&mut self) {
        self.above += 1;
    }

    /// As many lines as there is room for, none longer than a line of the terminal.
    pub(super) fn lines(&mut self, figures: &Figures, (rows, columns): (usize, usize)) -> Vec<String> {
        let mut lines = self.head(figures);
        let tables = self.tables(figures);
        let room = rows.saturating_sub(lines.len() + 1);
        self.above = self.above.min(tables.len().saturating_sub(room));
        lines.extend(tables.into_iter().skip(self.above).take(room));
        lines.resize(rows.saturating_sub(1), String::new());
        lines.push(format!("q quit   s sort by ({})   \u{2191}\u{2193} scroll", self.sort.word()));
        lines.iter().map(|line| cut(line, columns)).take(rows).collect()
    }

    /// Everything.
    pub(super) fn whole(&self, figures: &Figures) -> Vec<String> {
        let mut lines = self.head(figures);
        lines.extend(self.tables(figures));
        lines
    }

    fn head(&self, figures: &Figures) -> Vec<String> {
        let Overview { version, uptime_seconds, draining, limits, sessions, backend, .. } = &figures.overview;
        let draining = if *draining { "   DRAINING" } else { "" };
        let first = format!(
            "lockgate {}   up {}   sessions {}/{}   calls/s {}   p50 {}   p99 {}{draining}",
            printable(version),
            span(*uptime_seconds as f64),
            sessions.len(),
            limits.sessions,
            rate(figures.of_all()),
            latency(backend.p50),
            latency(backend.p99),
        );
        let fault = self.fault.as_deref().map(|fault| self.styled(BAD, fault)).unwrap_or_default();
        vec![self.styled(HEADING, &first), fault]
    }

    fn styled(&self, style: anstyle::Style, text: &str) -> String {
        if self.coloured { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }

    fn tables(&self, figures: &Figures) -> Vec<String> {
        let tables = [servers(figures), tenants(figures), self.sessions(figures)];
        let mut lines = Vec::new();
        for table in tables {
            lines.extend(table.lines(self.coloured));
            lines.push(String::new());
        }
        if figures.overview.sessions.is_empty() {
            lines.pop();
            lines.push(self.styled(FAINT, "no session is open"));
        }
        lines
    }

    fn sessions(&self, figures: &Figures) -> Table {
        let headings = [
            "session",
            "tenant",
            "server",
            "transport",
            "era",
            "stage",
            "age",
            "idle",
            "calls",
            "calls/s",
            "p99",
            "memory",
            "cpu",
        ];
        let mut table = Table::new(&headings, 6);
        let mut sessions: Vec<&Session> = figures.overview.sessions.iter().collect();
        // Those that are alike stay as they came, oldest first.
        sessions.sort_by(|one, other| self.sort.key(other, figures).total_cmp(&self.sort.key(one, figures)));
        for one in sessions {
            table.row(vec![
                one.tag.clone(),
                one.tenant.clone(),
                one.server.clone(),
                one.transport.clone(),
                one.era.clone().unwrap_or_else(|| NOTHING.into()),
                one.stage.clone(),
                span(one.age),
                span(one.idle),
                one.traffic.calls.to_string(),
                rate(figures.of_session(one.number)),
                latency(one.backend.p99),
                one.usage.map_or(NOTHING.into(), |usage| size(usage.memory)),
                one.usage.map_or(NOTHING.into(), |usage| format!("{:.1}s", usage.cpu)),
            ]);
        }
        table
    }
}

fn servers(figures: &Figures) -> Table {
    let headings =
        ["server", "kind", "sessions", "warm", "started", "failed", "calls", "calls/s", "p50", "p99"];
    let mut table = Table::new(&headings, 2);
    for one in &figures.overview.servers {
        table.row(vec![
            one.server.clone(),
            one.kind.clone(),
            format!("{}/{}", one.sessions, one.max_sessions),
            one.warm.to_string(),
            one.started.to_string(),
            one.failed.to_string(),
            one.traffic.calls.to_string(),
            rate(figures.of_server(&one.server)),
            latency(one.backend.p50),
            latency(one.backend.p99),
        ]);
    }
    table
}

fn tenants(figures: &Figures) -> Table {
    let mut table = Table::new(&["tenant", "sessions", "calls", "calls/s", "limited"], 1);
    for one in &figures.overview.tenants {
        table.row(vec![
            one.tenant.clone(),
            one.sessions.to_string(),
            one.traffic.calls.to_string(),
            rate(figures.of_tenant(&one.tenant)),
            one.requests.limited.to_string(),
        ]);
    }
    table
}

impl Sort {
    fn next(self) -> Self {
        match self {
            Self::Calls => Self::Latency,
            Self::Latency => Self::Memory,
            Self::Memory => Self::Cpu,
            Self::Cpu => Self::Age,
            Self::Age => Self::Calls,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Calls => "calls/s",
            Self::Latency => "p99",
            Self::Memory => "memory",
            Self::Cpu => "cpu",
            Self::Age => "age",
        }
    }

    fn key(self, session: &Session, figures: &Figures) -> f64 {
        match self {
            Self::Calls => figures.of_session(session.number).unwrap_or(0.0),
            Self::Latency => session.backend.p99.unwrap_or(0.0),
            Self::Memory => session.usage.map_or(0.0, |usage| usage.memory as f64),
            Self::Cpu => session.usage.map_or(0.0, |usage| usage.cpu),
            Self::Age => session.age,
        }
    }
}

fn rate(calls: Option<f64>) -> String {
    calls.map_or(NOTHING.into(), |calls| format!("{calls:.1}"))
}

fn latency(seconds: Option<f64>) -> String {
    match seconds {
        None => NOTHING.into(),
        Some(seconds) if seconds < 1.0 => format!("{:.1}ms", seconds * 1000.0),
        Some(seconds) => format!("{seconds:.1}s"),
    }
}

/// In the two greatest units that say something.
fn span(seconds: f64) -> String {
    let whole = seconds.max(0.0) as u64;
    match whole {
        0..60 => format!("{whole}s"),
        60..3600 => format!("{}m{:02}s", whole / 60, whole % 60),
        3600..86_400 => format!("{}h{:02}m", whole / 3600, whole % 3600 / 60),
        _ => format!("{}d{:02}h", whole / 86_400, whole % 86_400 / 3600),
    }
}

fn size(bytes: u64) -> String {
    format!("{:.1}M", bytes as f64 / f64::from(1 << 20))
}

/// A line as far as it fits. What sets a colour takes no room, and its end must not be lost.
fn cut(line: &str, columns: usize) -> String {
    let (mut kept, mut width, mut is_code) = (String::new(), 0, false);
    for c in line.chars() {
        is_code |= c == '\u{1b}';
        if is_code || width < columns {
            kept.push(c);
            width += usize::from(!is_code);
        }
        is_code &= !c.is_ascii_alphabetic();
    }
    kept
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    fn figures(sessions: usize) -> Figures {
        let session =
            |number: usize| Session { tag: format!("tag{number}"), age: number as f64, ..Session::default() };
        let sessions = (0..sessions).map(session).collect();
        Figures::new(Overview { sessions, ..Overview::default() }, Instant::now(), None)
    }

    #[test]
    fn nothing_leaves_the_terminal_however_small_it_is() {
        let (mut page, figures) = (Page::new(true), figures(50));
        page.fault = Some("x".repeat(500));
        for size in [(24, 80), (5, 20), (2, 3), (1, 1), (0, 0)] {
            let lines = page.lines(&figures, size);
            assert_eq!(lines.len(), size.0, "{lines:?}");
            let shown = |line: &String| anstream::adapter::strip_str(line).to_string().chars().count();
            assert!(lines.iter().all(|line| shown(line) <= size.1), "{lines:?}");
        }
    }

    #[test]
    fn what_does_not_fit_is_scrolled_to_and_no_further() {
        let (mut page, figures) = (Page::new(false), figures(50));
        let shows = |page: &mut Page, text: &str| {
            page.lines(&figures, (20, 200)).iter().any(|line| line.split(' ').next() == Some(text))
        };
        assert!(!shows(&mut page, "tag49"));
        for _ in 0..500 {
            page.scroll_down();
        }
        assert!(shows(&mut page, "tag49") && !shows(&mut page, "tag0"));
        page.scroll_up();
        for _ in 0..500 {
            page.scroll_up();
        }
        assert!(shows(&mut page, "tag0"));
    }

    #[test]
    fn sessions_are_sorted_by_what_is_chosen() {
        let (mut page, figures) = (Page::new(false), figures(3));
        let order = |page: &Page| {
            let lines = page.whole(&figures);
            let tags = lines.iter().filter(|line| line.starts_with("tag")).map(|line| line[..4].to_owned());
            tags.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(order(&page), "tag0 tag1 tag2");
        while page.sort != Sort::Age {
            page.sort_by_the_next();
        }
        assert_eq!(order(&page), "tag2 tag1 tag0");
        page.sort_by_the_next();
        assert_eq!(page.sort, Sort::Calls);
    }

    #[test]
    fn figures_are_short() {
        let spans = [0.4, 61.0, 3661.0, 90_000.0].map(span);
        assert_eq!(spans, ["0s", "1m01s", "1h01m", "1d01h"]);
        assert_eq!([latency(None), latency(Some(0.0012)), latency(Some(2.5))], ["-", "1.2ms", "2.5s"]);
        assert_eq!((size(3 << 19), rate(Some(0.0))), ("1.5M".into(), "0.0".into()));
    }
}
