//! One request to the token endpoint, and what it brings.

use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Method, RequestBuilder, Response};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;
use url::form_urlencoded::{Serializer, byte_serialize};

use super::super::client::Stay;
use super::super::unreachable::Unreachable;
use super::{NoToken, Shared, Token};
use crate::catalog::Sealed;

/// RFC 6749, section 5.1.
#[derive(Deserialize)]
struct Granted {
    access_token: String,
    token_type: String,
    expires_in: Option<Value>,
}

/// RFC 6749, section 5.2.
#[derive(Deserialize)]
struct Refusal {
    error: String,
}

/// For the whole of the request and its answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest answer, in bytes.
const MAX_ANSWER: usize = 64 * 1024;
/// A token is not used for the last part of its life, in which it might be refused on its way.
const MARGIN: Duration = Duration::from_secs(30);
/// How long a token is kept: if its life is not told, at least, and at most.
const UNTOLD: Duration = Duration::from_secs(5 * 60);
const LEAST: Duration = Duration::from_secs(1);
const MOST: Duration = Duration::from_secs(24 * 60 * 60);
/// The longest error code that is told, in letters.
const MAX_CODE: usize = 64;

impl Shared {
    pub(super) async fn exchange(&self) -> Result<Token, NoToken> {
        let asked = Instant::now();
        let mut response = self.request()?.send().await.map_err(|error| Unreachable::of(&error))?;
        let body = body(&mut response).await?;
        if !response.status().is_success() {
            return Err(NoToken::Refused { status: response.status().as_u16(), code: code(&body).into() });
        }
        let granted: Granted = serde_json::from_slice(&body)
            .map_err(|_| NoToken::Unusable("is not of RFC 6749, section 5.1"))?;
        if !granted.token_type.eq_ignore_ascii_case("bearer") {
            return Err(NoToken::Unusable("is a token of another type than `Bearer`"));
        }
        if granted.access_token.is_empty() || !granted.access_token.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(NoToken::Unusable("is a token that no header can hold"));
        }
        let until = asked + kept_for(granted.expires_in.as_ref());
        Ok(Token { secret: Sealed::new(&granted.access_token), until })
    }

    fn request(&self) -> Result<RequestBuilder, Unreachable> {
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        if let Some(scope) = &self.grant.scope {
            form.append_pair("scope", scope);
        }
        form.append_pair("resource", self.grant.resource.as_str());
        // Both are encoded first, so that the colon between them is the only one (RFC 6749, section 2.3.1).
        let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
        let request = self.token_url.request(Method::POST, Stay::Short)?;
        Ok(request
            .timeout(PATIENCE)
            .basic_auth(encoded(&self.grant.client_id), Some(encoded(self.grant.client_secret.reveal())))
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(ACCEPT, "application/json")
            .body(form.finish()))
    }
}

async fn body(response: &mut Response) -> Result<Vec<u8>, NoToken> {
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(|error| Unreachable::of(&error))? {
        if body.len() + piece.len() > MAX_ANSWER {
            return Err(NoToken::Unusable("has more than 64 KiB"));
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

/// What went wrong, in letters that an error code may have; nothing of what else is said, which may repeat what we
/// have sent.
fn code(body: &[u8]) -> String {
    let said = serde_json::from_slice(body).map(|Refusal { error }| error).unwrap_or_default();
    let is_code =
        said.len() <= MAX_CODE && said.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
    if is_code { said } else { String::new() }
}

/// Some authorization servers tell the seconds as text.
fn kept_for(expires_in: Option<&Value>) -> Duration {
    let seconds = |told: &Value| told.as_f64().or_else(|| told.as_str()?.parse().ok());
    let told = expires_in.and_then(seconds).filter(|seconds| seconds.is_finite());
    told.map_or(UNTOLD, |seconds| {
        let life = Duration::from_secs_f64(seconds.clamp(0.0, MOST.as_secs_f64()));
        life.saturating_sub(MARGIN).max(LEAST)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_kept_for_a_little_less_than_it_lives() {
        let kept = |told: &str| kept_for(Some(&serde_json::from_str(told).unwrap()));
        assert_eq!(kept("3600"), Duration::from_secs(3570));
        assert_eq!(kept(r#""3600""#), Duration::from_secs(3570));
        assert_eq!(kept("31"), LEAST);
        assert_eq!(kept("0"), LEAST);
        assert_eq!(kept("-1"), LEAST);
        assert_eq!(kept("1e300"), MOST - MARGIN);
        assert_eq!([kept("null"), kept(r#""soon""#), kept(r#""NaN""#), kept_for(None)], [UNTOLD; 4]);
    }

    #[test]
    fn of_a_refusal_only_its_code_is_told() {
        assert_eq!(code(br#"{"error":"invalid_client","error_description":"hunter2"}"#), "invalid_client");
        for other in [&br#"{"error":"no\nsuch client"}"#[..], b"<html>", b"{}", br#"{"error":7}"#] {
            assert_eq!(code(other), "");
        }
        assert_eq!(code(format!(r#"{{"error":"{}"}}"#, "x".repeat(65)).as_bytes()), "");
    }
}
