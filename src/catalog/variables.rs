//! Texts of the settings that hold variables of the session: `${NAME}`.

use std::collections::BTreeMap;

use super::environment::check_names;

/// A text, cut where its variables stand. It may hold a secret, so it is not to be shown.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Template(Vec<Piece>);

#[derive(Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Variable(String),
}

impl Template {
    /// Reads a text of the settings.
    ///
    /// # Errors
    /// With the reason, if a variable in it has no end or no name.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let (name, after) = after.split_once('}').ok_or("holds a `${` without its `}`")?;
            let name = name.to_owned();
            // Without what it holds: a text of the settings may be a secret.
            check_names([&name]).map_err(
                |_| "holds a `${…}` that is no variable: a name must match [A-Z_][A-Z0-9_]{0,127}",
            )?;
            pieces.extend((!before.is_empty()).then(|| Piece::Text(before.to_owned())));
            pieces.push(Piece::Variable(name));
            rest = after;
        }
        pieces.extend((!rest.is_empty()).then(|| Piece::Text(rest.to_owned())));
        Ok(Self(pieces))
    }

    /// The names of its variables.
    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Variable(name) => Some(name),
            Piece::Text(_) => None,
        })
    }

    /// The first of its variables whose value is of this kind.
    pub(super) fn find(
        &self,
        variables: &BTreeMap<String, String>,
        is: impl Fn(&str) -> bool,
    ) -> Option<&String> {
        self.names().find(|name| variables.get(*name).is_some_and(|value| is(value)))
    }

    /// The text with its variables' values.
    ///
    /// # Errors
    /// With the name of the first that has none, or an empty one.
    pub(super) fn fill(&self, variables: &BTreeMap<String, String>) -> Result<String, String> {
        let value = |piece: &'_ Piece| match piece {
            Piece::Text(text) => Ok(text.clone()),
            Piece::Variable(name) => {
                variables.get(name).filter(|value| !value.is_empty()).cloned().ok_or_else(|| name.clone())
            }
        };
        self.0.iter().map(value).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_filled_in_once_and_missing_ones_are_named() {
        let Ok(template) = Template::read("a ${ONE}-${TWO}$x") else { panic!("it is well-formed") };
        assert_eq!(template.names().collect::<Vec<_>>(), ["ONE", "TWO"]);
        let values = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
        assert_eq!(template.fill(&values(&[("ONE", "${TWO}"), ("TWO", "2")])).unwrap(), "a ${TWO}-2$x");
        assert_eq!(template.fill(&values(&[("ONE", "1")])), Err("TWO".into()));
        assert_eq!(template.fill(&values(&[("ONE", "1"), ("TWO", "")])), Err("TWO".into()));
        assert!(Template::read("${ONE").is_err() && Template::read("${one}").is_err());
    }
}
