//! Settings as they may be shown: what is a secret, or may be one, is masked.

use super::{Auth, Server, Settings};

const MASK: &str = "(masked)";

impl Settings {
    /// The same with every value masked that may be secret. Names stay, those of variables and files among them.
    #[must_use]
    pub fn masked(mut self) -> Self {
        for tenant in self.tenants.values_mut() {
            tenant.env.values_mut().chain(&mut tenant.secrets).for_each(mask);
            tenant.auth.values_mut().for_each(mask_auth);
        }
        for server in self.servers.values_mut() {
            let values = server.env.values_mut().chain(server.headers.values_mut());
            values.chain(server.query.values_mut()).for_each(mask);
            server.auth.iter_mut().chain(server.tool_auth.values_mut()).for_each(mask_auth);
            server.url.iter_mut().for_each(mask_query);
        }
        mask_credentials(&mut self.store.url);
        self
    }
}

impl Server {
    /// What it is, as it may be shown: the command, or the URL without the values of its query.
    pub fn shown(&self) -> String {
        let mut shown = self.target().to_owned();
        if self.run.is_none() {
            mask_query(&mut shown);
        }
        shown
    }
}

fn mask(value: &mut String) {
    MASK.clone_into(value);
}

fn mask_auth(auth: &mut Auth) {
    auth.user.iter_mut().for_each(mask);
    auth.token_url.iter_mut().for_each(mask_query);
}

/// Masks what stands before the host: without a colon it may be either, a name or a password.
fn mask_credentials(url: &mut String) {
    let parts = url.split_once("://").and_then(|(scheme, rest)| Some((scheme, rest.rsplit_once('@')?.1)));
    if let Some((scheme, place)) = parts {
        *url = format!("{scheme}://{MASK}@{place}");
    }
}

/// Masks the values in a URL's query; what has no name there may be a value itself.
fn mask_query(url: &mut String) {
    let Some((place, query)) = url.split_once('?') else { return };
    let masked = query.split('&').map(|pair| match pair.split_once('=') {
        Some((name, _)) => format!("{name}={MASK}"),
        None if pair.is_empty() => String::new(),
        None => MASK.to_owned(),
    });
    *url = format!("{place}?{}", masked.collect::<Vec<_>>().join("&"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_values_of_a_query_are_masked_and_their_names_are_not() {
        for (url, shown) in [
            ("https://a.example/mcp", "https://a.example/mcp"),
            ("https://a.example/?key=hunter2&&b=&c", "https://a.example/?key=(masked)&&b=(masked)&(masked)"),
            ("https://a.example/?hunter2?x=hunter2", "https://a.example/?hunter2?x=(masked)"),
        ] {
            let server = Server { url: Some(url.into()), ..Server::default() };
            assert_eq!(server.shown(), shown);
        }
        assert_eq!(Server::of("sh -c 'a?b=c'").shown(), "sh -c 'a?b=c'");
    }

    #[test]
    fn who_asks_the_store_is_masked_and_where_it_is_is_not() {
        for (url, shown) in [
            ("", ""),
            ("redis://a:1/2", "redis://a:1/2"),
            ("rediss://u:hunter2@a:1", "rediss://(masked)@a:1"),
            ("redis://:hun@ter2@a", "redis://(masked)@a"),
            ("redis://hunter2@a", "redis://(masked)@a"),
        ] {
            let mut url = url.to_owned();
            mask_credentials(&mut url);
            assert_eq!(url, shown);
        }
    }
}
