//! `lockgate secret`.

use std::process::ExitCode;

use serde::Serialize;

use super::print::{print, print_json};
use crate::access::Secret;

/// A secret, and what a settings file holds of it.
#[derive(Serialize)]
struct Pair<'s> {
    secret: &'s str,
    hash: String,
}

pub(super) fn run(json: bool) -> anyhow::Result<ExitCode> {
    let secret = Secret::draw()?;
    let pair = Pair { secret: secret.reveal(), hash: secret.hash().to_string() };
    if json {
        print_json(&pair)?;
    } else {
        let Pair { secret, hash } = pair;
        print(format_args!(
            "secret   {secret}\nsetting  secrets = [\"{hash}\"]\n\n\
             Give the first to the client (Authorization: Bearer …), put the second in a [tenants.<name>] table."
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}
