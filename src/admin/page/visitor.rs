//! Who asks for a page: a program with the secret, or a browser that has logged in.

use actix_web::HttpRequest;
use actix_web::http::header::{COOKIE, HeaderName};

use crate::access::{AdminGate, LOGIN_COOKIE, Login, NotOperator, Operator, Visit};
use crate::admin::Admin;
use crate::http::{Call, keep_for_operator};

/// Whoever may look. What there is to be seen takes [`Visitor::operator`] as the proof.
#[derive(Debug)]
pub(super) enum Visitor {
    Program(Operator),
    Browser(Login),
}

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

impl Visitor {
    /// Lets whoever asks look, or says why not.
    pub(super) fn enter(request: &HttpRequest, admin: &Admin) -> Result<Self, NotOperator> {
        let visit = visit(request);
        let visitor = if visit.presented.authorization.is_empty() {
            admin.gate.recognise(&visit).map(Self::Browser)
        } else {
            admin.gate.admit(&visit.presented).map(Self::Program)
        }?;
        keep_for_operator(request, visitor.operator());
        Ok(visitor)
    }

    pub(super) fn operator(&self) -> &Operator {
        match self {
            Self::Program(operator) => operator,
            Self::Browser(login) => login.operator(),
        }
    }

    /// What every form must send along. A program shows the secret instead.
    pub(super) fn form_token(&self) -> Option<&str> {
        match self {
            Self::Program(_) => None,
            Self::Browser(login) => Some(login.form_token().reveal()),
        }
    }

    /// Whether who has begun to look may go on.
    pub(super) fn may_still_look(&self, gate: &AdminGate) -> bool {
        match self {
            Self::Program(_) => true,
            Self::Browser(login) => gate.still_knows(login),
        }
    }
}

/// What a request presents.
pub(in crate::admin) fn visit(request: &HttpRequest) -> Visit<'_> {
    let cookies = request.headers().get_all(COOKIE).flat_map(|value| value.as_bytes().split(|&b| b == b';'));
    let named = cookies.filter_map(|pair| {
        let rest = pair.trim_ascii().strip_prefix(LOGIN_COOKIE.as_bytes())?;
        rest.strip_prefix(b"=")
    });
    Visit {
        presented: Call::read(request, "").presented(),
        cookies: named.collect(),
        fetch_site: request.headers().get(FETCH_SITE).map(|value| value.as_bytes()),
    }
}
