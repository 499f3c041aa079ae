//! Tenants: what each makes of the gateway, and what it was kept from.

use std::collections::BTreeMap;

use super::names::Names;
use super::sheet::{Labels, Sheet, count, float};
use crate::access::RateUse;
use crate::admin::usage::Cpu;
use crate::admin::{Overview, TenantView};
use crate::session::{TenantAccount, Totals};

/// What passes through tenants' sessions. A tenant that the settings have no more stays: sums over several rise only.
pub(super) fn passed(sheet: &mut Sheet, totals: &Totals, overview: &Overview, names: &Names) {
    let mut accounts: BTreeMap<&str, TenantAccount> =
        overview.tenants.iter().map(|tenant| (&*tenant.usage.tenant, TenantAccount::default())).collect();
    accounts.extend(totals.tenants.iter().map(|(tenant, account)| (tenant.as_str(), *account)));
    let counts = |number: fn(&TenantAccount) -> u64| {
        sums(names, accounts.iter().map(|(tenant, account)| (*tenant, Labels::new(), float(number(account)))))
    };
    sheet.counter(
        "lockgate_tenant_sessions_opened",
        "Sessions that a tenant has opened.",
        counts(|account| account.opened),
    );
    sheet.counter(
        "lockgate_tenant_calls",
        "Requests in a tenant's sessions.",
        counts(|account| account.traffic.calls),
    );
    let bytes = accounts.iter().flat_map(|(tenant, TenantAccount { traffic, .. })| {
        let ways = [("client", traffic.bytes_in), ("server", traffic.bytes_out)];
        ways.map(|(from, bytes)| (*tenant, vec![("from", from.to_owned())], float(bytes)))
    });
    sheet.counter("lockgate_tenant_message_bytes", "Bytes of a tenant's messages.", sums(names, bytes));
}

/// Who may connect, and what each was kept from.
pub(super) fn tenants(sheet: &mut Sheet, overview: &Overview, names: &Names, cpu: &Cpu) {
    let each = |number: fn(&Overview, &TenantView) -> usize| {
        let parts = overview.tenants.iter().map(|tenant| (tenant, count(number(overview, tenant))));
        sums(names, parts.map(|(tenant, number)| (&*tenant.usage.tenant, Labels::new(), number)))
    };
    let live = each(|_, tenant| tenant.sessions);
    sheet.gauge("lockgate_tenant_sessions", "Live sessions of a tenant.", live);
    let limit = each(|all, tenant| tenant.usage.max_sessions.unwrap_or(all.limits.sessions_per_tenant));
    sheet.gauge("lockgate_tenant_sessions_limit", "How many sessions it may have.", limit);
    let seconds = cpu.by_tenant.iter().map(|(tenant, seconds)| (tenant.as_str(), Labels::new(), *seconds));
    sheet.counter(
        "lockgate_tenant_cpu_seconds",
        "Processor time of a tenant's children, as seen at each scrape.",
        sums(names, seconds),
    );
    let decisions = |limiter: &'static str, rate: RateUse| {
        let decided = [("allowed", rate.allowed), ("limited", rate.limited)];
        decided.map(|(decision, number)| {
            let labels = vec![("limiter", limiter.to_owned()), ("decision", decision.to_owned())];
            (labels, float(number))
        })
    };
    let decided = overview.tenants.iter().flat_map(|TenantView { usage, .. }| {
        let both = [decisions("requests", usage.requests), decisions("openings", usage.openings)]
            .into_iter()
            .flatten();
        both.map(|(labels, number)| (&*usage.tenant, labels, number)).collect::<Vec<_>>()
    });
    let mut decided = sums(names, decided);
    for (mut labels, number) in decisions("wrong_secrets", overview.wrong_secrets.rate) {
        labels.insert(0, ("tenant", String::new()));
        decided.insert(labels, number);
    }
    sheet.counter("lockgate_limiter_decisions", "What the rates have decided.", decided);
    let addresses = [(Labels::new(), count(overview.wrong_secrets.addresses))];
    sheet.gauge("lockgate_limiter_addresses", "Addresses that are remembered for wrong secrets.", addresses);
}

/// What several tenants have together, where they have no name of their own.
fn sums<'t>(names: &Names, parts: impl IntoIterator<Item = (&'t str, Labels, f64)>) -> BTreeMap<Labels, f64> {
    let mut sums = BTreeMap::new();
    for (tenant, mut labels, number) in parts {
        labels.insert(0, ("tenant", names.of(tenant).to_owned()));
        *sums.entry(labels).or_default() += number;
    }
    sums
}
