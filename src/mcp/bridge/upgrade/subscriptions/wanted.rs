//! What a client asks for by `subscriptions/listen`.

use crate::mcp::error::{Code, Failure};
use crate::mcp::members::{at_most, decode, members};

/// Of which lists changes are told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lists {
    pub(super) tools: bool,
    pub(super) prompts: bool,
    pub(super) resources: bool,
}

/// Resources that one subscription may name.
const MAX_URIS: usize = 256;

/// What the parameters ask for: changes of lists, and of the resources with these URIs.
///
/// # Errors
/// If they are malformed.
pub(super) fn wanted(params: &str) -> Result<(Lists, Vec<String>), Failure> {
    let misfit = |what: String| Failure::new(Code::InvalidParams, what);
    let filter = members(params, ["notifications"]).ok().and_then(|[filter]| filter);
    let [tools, prompts, resources, uris] = members(
        filter.unwrap_or_default(),
        ["toolsListChanged", "promptsListChanged", "resourcesListChanged", "resourceSubscriptions"],
    )
    .map_err(|_| misfit("`params.notifications` must be an object, each member there once".into()))?;
    let flag = |token: Option<&str>| match token {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(misfit("`params.notifications` must say `true` or `false` of each list".into())),
    };
    let lists = Lists { tools: flag(tools)?, prompts: flag(prompts)?, resources: flag(resources)? };
    let misfit = || {
        misfit(format!(
            "`params.notifications.resourceSubscriptions` must be a list of at most {MAX_URIS} URIs"
        ))
    };
    let uris = at_most(uris.unwrap_or("[]"), MAX_URIS).ok().flatten().ok_or_else(misfit)?;
    let uris: Option<Vec<_>> = uris.into_iter().map(|uri| decode(uri).map(Into::into)).collect();
    Ok((lists, uris.ok_or_else(misfit)?))
}
