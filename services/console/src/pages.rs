//! The console's pages: where each is, what draws it, and what it asks the API for.

/// A page.
pub struct Page {
    /// Below `/console/`; parts in braces are whatever stands there.
    pub path: &'static str,
    pub template: &'static str,
    /// What it shows, by the name that the template knows it by. `{part}` is of the path or of the page's own query, and
    /// `{?name,day:utc,cursor=keys}` passes these parts of the query on, a day as the moment when it begins, `keys` as `cursor`. `[name]`
    /// before it: it is asked for only if the query has this. `*` before it: a list that is chosen from, read whole up to 1000. The page is
    /// not there without the first; of the others it says so where they would be.
    pub needs: &'static [(&'static str, &'static str)],
}

const fn page(
    path: &'static str,
    template: &'static str,
    needs: &'static [(&'static str, &'static str)],
) -> Page {
    Page {
        path,
        template,
        needs,
    }
}

const TENANT: (&str, &str) = ("tenant", "/v1/tenants/{tenant}");

const LINKS: (&str, &str) = ("links", "*/v1/tenants/{tenant}/links?limit=200");
const NUMBERS: (&str, &str) = ("numbers", "*/v1/tenants/{tenant}/numbers?limit=200");
const SKILLSETS: (&str, &str) = ("skillsets", "*/v1/tenants/{tenant}/skillsets?limit=200");
const ACCOUNTS: (&str, &str) = ("accounts", "*/v1/tenants/{tenant}/accounts?limit=200");

pub const PAGES: &[Page] = &[
    page(
        "tenants",
        "tenants.html",
        &[("tenants", "/v1/overview{?cursor,name,health}")],
    ),
    page("tenants/new", "tenant_new.html", &[]),
    page(
        "tenants/{tenant}",
        "tenant.html",
        &[
            TENANT,
            ("overview", "/v1/tenants/{tenant}/overview"),
            ("links", "/v1/tenants/{tenant}/links?limit=10"),
            ("numbers", "/v1/tenants/{tenant}/numbers?limit=10"),
            ("letters", "/v1/tenants/{tenant}/dead-letters?limit=5"),
            ("events", "/v1/tenants/{tenant}/events?limit=10"),
        ],
    ),
    page(
        "tenants/{tenant}/statistics",
        "statistics.html",
        &[
            TENANT,
            ("statistics", "/v1/tenants/{tenant}/statistics{?from,to,step}"),
            ("funnel", "/v1/tenants/{tenant}/deflection-funnel{?from,to}"),
        ],
    ),
    page("platform", "platform.html", &[("platform", "/v1/platform")]),
    page(
        "tenants/{tenant}/setup",
        "setup.html",
        &[
            TENANT,
            LINKS,
            SKILLSETS,
            ACCOUNTS,
            NUMBERS,
            ("reports", "*/v1/tenants/{tenant}/doctor-reports?limit=200"),
            ("conversations", "/v1/tenants/{tenant}/conversations?limit=5"),
        ],
    ),
    page(
        "tenants/{tenant}/links",
        "links.html",
        &[TENANT, ("links", "/v1/tenants/{tenant}/links{?cursor}")],
    ),
    page(
        "tenants/{tenant}/links/{link}",
        "link.html",
        &[
            TENANT,
            ("link", "/v1/tenants/{tenant}/links/{link}"),
            ("state", "/v1/tenants/{tenant}/links/{link}/state"),
            ("events", "/v1/tenants/{tenant}/links/{link}/events?limit=20"),
            SKILLSETS,
            (
                "reports",
                "/v1/tenants/{tenant}/doctor-reports?limit=10&link_id={link}{?cursor=reports}",
            ),
            ("windows", "/v1/tenants/{tenant}/links/{link}/maintenance-windows"),
        ],
    ),
    page(
        "tenants/{tenant}/links/{link}/certificates",
        "certificates.html",
        &[
            TENANT,
            ("link", "/v1/tenants/{tenant}/links/{link}"),
            ("certificates", "/v1/tenants/{tenant}/links/{link}/certificates"),
        ],
    ),
    page(
        "tenants/{tenant}/routing",
        "routing.html",
        &[
            TENANT,
            ("routing", "/v1/tenants/{tenant}/routing"),
            NUMBERS,
            SKILLSETS,
        ],
    ),
    page(
        "tenants/{tenant}/access",
        "access.html",
        &[
            TENANT,
            ("auth_keys", "/v1/tenants/{tenant}/auth-keys{?cursor=auth_keys}"),
            ("api_keys", "/v1/tenants/{tenant}/api-keys{?cursor=api_keys}"),
            ("users", "/v1/tenants/{tenant}/users{?cursor=users}"),
        ],
    ),
    page(
        "access",
        "platform_access.html",
        &[
            ("users", "/v1/users{?cursor=users}"),
            ("api_keys", "/v1/api-keys{?cursor=api_keys}"),
        ],
    ),
    page(
        "tenants/{tenant}/audit",
        "audit.html",
        &[
            TENANT,
            (
                "entries",
                "/v1/tenants/{tenant}/audit{?cursor,kind,object,actor,from:utc,until:utc}",
            ),
            ("verdict", "[verify]/v1/tenants/{tenant}/audit/verify"),
        ],
    ),
    page(
        "audit",
        "audit.html",
        &[
            (
                "entries",
                "/v1/audit{?cursor,kind,object,actor,from:utc,until:utc}",
            ),
            ("verdict", "[verify]/v1/audit/verify"),
        ],
    ),
    page(
        "tenants/{tenant}/usage",
        "usage.html",
        &[
            TENANT,
            ("usage", "/v1/tenants/{tenant}/usage{?from,to}"),
            ("caps", "/v1/tenants/{tenant}/caps"),
        ],
    ),
    page(
        "usage",
        "platform_usage.html",
        &[("usage", "/v1/usage{?cursor,day}")],
    ),
    page(
        "tenants/{tenant}/webhooks",
        "webhooks.html",
        &[TENANT, ("webhooks", "/v1/tenants/{tenant}/webhooks{?cursor}")],
    ),
    page(
        "tenants/{tenant}/webhooks/{webhook}",
        "webhook.html",
        &[
            TENANT,
            ("webhook", "/v1/tenants/{tenant}/webhooks/{webhook}"),
            (
                "deliveries",
                "/v1/tenants/{tenant}/webhooks/{webhook}/deliveries{?cursor,state,type}",
            ),
        ],
    ),
    page(
        "tenants/{tenant}/events",
        "events.html",
        &[
            TENANT,
            (
                "events",
                "/v1/tenants/{tenant}/events{?cursor,kind,link,account,since:utc,until:utc}",
            ),
            LINKS,
            ACCOUNTS,
        ],
    ),
    page(
        "tenants/{tenant}/search",
        "search.html",
        &[
            TENANT,
            (
                "found",
                "[q,customer]/v1/tenants/{tenant}/messages/search{?cursor,q,customer,number,direction,state,origin,author,skillset,from:utc,to:utc}",
            ),
            NUMBERS,
        ],
    ),
    page(
        "tenants/{tenant}/opt-outs",
        "opt_outs.html",
        &[
            TENANT,
            ("opt_outs", "/v1/tenants/{tenant}/opt-outs{?cursor}"),
            NUMBERS,
            (
                "ledger",
                "[customer]/v1/tenants/{tenant}/consent-events{?customer,cursor=ledger}",
            ),
        ],
    ),
    page(
        "tenants/{tenant}/persons",
        "persons.html",
        &[
            TENANT,
            ("holds", "/v1/tenants/{tenant}/legal-holds{?cursor=holds,all}"),
            ("erasures", "/v1/tenants/{tenant}/erasures{?cursor=erasures}"),
        ],
    ),
    page("tenants/{tenant}/settings", "settings.html", &[TENANT]),
    page(
        "tenants/{tenant}/settings/{document}",
        "document.html",
        &[TENANT, ("document", "/v1/tenants/{tenant}/{document}-settings")],
    ),
    page(
        "tenants/{tenant}/templates",
        "templates.html",
        &[
            TENANT,
            ("templates", "/v1/tenants/{tenant}/templates{?cursor,name,scope}"),
            SKILLSETS,
        ],
    ),
    page(
        "tenants/{tenant}/state",
        "state.html",
        &[TENANT, ("deletion", "/v1/tenants/{tenant}/deletion")],
    ),
    page(
        "deletions",
        "deletions.html",
        &[("deletions", "/v1/deletions{?cursor}")],
    ),
    page(
        "tenants/{tenant}/doctor-reports/{report}",
        "doctor_report.html",
        &[TENANT, ("report", "/v1/tenants/{tenant}/doctor-reports/{report}")],
    ),
    page(
        "tenants/{tenant}/numbers",
        "numbers.html",
        &[
            TENANT,
            ("numbers", "/v1/tenants/{tenant}/numbers{?cursor,address}"),
            SKILLSETS,
            ACCOUNTS,
            LINKS,
        ],
    ),
    page(
        "tenants/{tenant}/conversations",
        "conversations.html",
        &[
            TENANT,
            (
                "conversations",
                "/v1/tenants/{tenant}/conversations{?cursor,customer}",
            ),
        ],
    ),
    page(
        "tenants/{tenant}/conversations/{conversation}",
        "conversation.html",
        &[
            TENANT,
            (
                "conversation",
                "/v1/tenants/{tenant}/conversations/{conversation}",
            ),
            (
                "messages",
                "/v1/tenants/{tenant}/conversations/{conversation}/messages?latest=true{?before}",
            ),
        ],
    ),
    page(
        "tenants/{tenant}/dead-letters",
        "dead_letters.html",
        &[
            TENANT,
            (
                "letters",
                "/v1/tenants/{tenant}/dead-letters{?cursor,kind,code,all}",
            ),
        ],
    ),
    page(
        "tenants/{tenant}/dead-letters/{letter}",
        "dead_letter.html",
        &[
            TENANT,
            ("letter", "/v1/tenants/{tenant}/dead-letters/{letter}"),
            NUMBERS,
        ],
    ),
];
