//! The users and groups that this machine knows by name. A session must be none of them.

use std::fs;

use crate::backend::unprepared::Unprepared;
use crate::settings::UidRange;

/// Who has an id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) id: u32,
    kind: &'static str,
    name: String,
}

/// All of them. A group counts, too: files can be its own.
pub(super) fn accounts() -> Vec<Account> {
    [("/etc/passwd", "user"), ("/etc/group", "group")]
        .into_iter()
        .flat_map(|(list, kind)| read(&fs::read_to_string(list).unwrap_or_default(), kind))
        .collect()
}

/// A session must not be anybody who has files on this machine, nor belong to a group that has.
pub(super) fn nobody_has(range: UidRange) -> Result<(), Unprepared> {
    let taken = accounts().into_iter().find(|account| range.contains(account.id));
    taken.map_or(Ok(()), |Account { id, kind, name }| Err(Unprepared::IdTaken { id, kind, name }))
}

/// passwd(5) and group(5) begin alike: name, password, id.
fn read(list: &str, kind: &'static str) -> Vec<Account> {
    let account = |line: &str| {
        let mut fields = line.split(':');
        let (name, id) = (fields.next()?.to_owned(), fields.nth(1)?.parse().ok()?);
        Some(Account { id, kind, name })
    };
    list.lines().filter_map(account).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_and_groups_are_read_as_they_are_written() {
        let list = "root:x:0:0:root:/root:/bin/sh\n# comment\n\njoe::20005:20005::/home/joe:\n";
        let ids: Vec<u32> = read(list, "user").into_iter().map(|account| account.id).collect();
        assert_eq!(ids, [0, 20005]);
        assert_eq!(nobody_has(UidRange { first: 4_000_000_000, last: 4_000_000_100 }).ok(), Some(()));
    }
}
