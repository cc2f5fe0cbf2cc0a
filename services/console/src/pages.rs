//! The console's pages: where each is, what draws it, and what it asks the API for.

/// A page.
pub struct Page {
    /// Below `/console/`; parts in braces are whatever stands there.
    pub path: &'static str,
    pub template: &'static str,
    /// What it shows, by the name that the template knows it by. `{part}` is of the path or of the page's own query, and
    /// `{?name,other}` passes these parts of the query on. The page is not there without the first; of the others it says so where
    /// they would be.
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

pub const PAGES: &[Page] = &[
    page(
        "tenants",
        "tenants.html",
        &[("tenants", "/v1/tenants{?cursor,q,state}")],
    ),
    page("tenants/new", "tenant_new.html", &[]),
    page(
        "tenants/{tenant}",
        "tenant.html",
        &[
            TENANT,
            ("links", "/v1/tenants/{tenant}/links?limit=200"),
            ("numbers", "/v1/tenants/{tenant}/numbers?limit=200"),
            ("letters", "/v1/tenants/{tenant}/dead-letters?limit=5"),
            ("events", "/v1/tenants/{tenant}/events?limit=10"),
        ],
    ),
    page(
        "tenants/{tenant}/setup",
        "setup.html",
        &[
            TENANT,
            ("links", "/v1/tenants/{tenant}/links?limit=200"),
            ("skillsets", "/v1/tenants/{tenant}/skillsets?limit=200"),
            ("accounts", "/v1/tenants/{tenant}/accounts?limit=200"),
            ("numbers", "/v1/tenants/{tenant}/numbers?limit=200"),
            ("reports", "/v1/tenants/{tenant}/doctor-reports?limit=10"),
            ("conversations", "/v1/tenants/{tenant}/conversations?limit=5"),
        ],
    ),
    page(
        "tenants/{tenant}/links",
        "links.html",
        &[TENANT, ("links", "/v1/tenants/{tenant}/links?limit=200")],
    ),
    page(
        "tenants/{tenant}/links/{link}",
        "link.html",
        &[
            TENANT,
            ("link", "/v1/tenants/{tenant}/links/{link}"),
            ("state", "/v1/tenants/{tenant}/links/{link}/state"),
            ("events", "/v1/tenants/{tenant}/links/{link}/events?limit=20"),
            ("skillsets", "/v1/tenants/{tenant}/skillsets?limit=200"),
            ("reports", "/v1/tenants/{tenant}/doctor-reports?limit=10"),
        ],
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
            ("numbers", "/v1/tenants/{tenant}/numbers?limit=200"),
            ("skillsets", "/v1/tenants/{tenant}/skillsets?limit=200"),
            ("accounts", "/v1/tenants/{tenant}/accounts?limit=200"),
            ("links", "/v1/tenants/{tenant}/links?limit=200"),
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
                "/v1/tenants/{tenant}/conversations/{conversation}/messages{?after}",
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
            ("numbers", "/v1/tenants/{tenant}/numbers?limit=200"),
        ],
    ),
];

/// Parts of an address by their names.
pub type Parts = Vec<(String, String)>;

/// The page at a path below `/console/`, and the path's parts.
pub fn find(path: &str) -> Option<(&'static Page, Parts)> {
    // A part that is written out counts for more than one that may be anything.
    let mut found = PAGES
        .iter()
        .filter_map(|page| Some((page, parts(page.path, path)?)));
    let first = found.next()?;
    Some(found.fold(
        first,
        |best, other| if other.1.len() < best.1.len() { other } else { best },
    ))
}

fn parts(pattern: &str, path: &str) -> Option<Parts> {
    let mut found = Parts::new();
    let (mut wanted, mut there) = (pattern.split('/'), path.split('/'));
    loop {
        match (wanted.next(), there.next()) {
            (None, None) => return Some(found),
            (Some(name), Some(value)) => match name.strip_prefix('{').and_then(|name| name.strip_suffix('}'))
            {
                Some(name) if is_plain(value) => found.push((name.to_owned(), value.to_owned())),
                None if name == value => {}
                _ => return None,
            },
            _ => return None,
        }
    }
}

/// Ids and names as the API makes them: what else stands in an address leads nowhere.
fn is_plain(part: &str) -> bool {
    !part.is_empty()
        && part
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        && !part.starts_with('.')
}

/// What a page asks for: a pattern of [`Page::needs`] with the path's parts and the query's. `None`: a part is missing.
pub fn fill(pattern: &str, parts: &[(String, String)], query: &[(String, String)]) -> Option<String> {
    let (fixed, passed) = match pattern.split_once("{?") {
        Some((fixed, names)) => (fixed, names.trim_end_matches('}')),
        None => (pattern, ""),
    };
    let mut address = String::new();
    let mut rest = fixed;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}')?;
        let all = parts.iter().chain(query);
        let (_, value) = all.into_iter().find(|(found, _)| found == name)?;
        address.push_str(before);
        address.extend(percent_encoding::utf8_percent_encode(
            value,
            percent_encoding::NON_ALPHANUMERIC,
        ));
        rest = after;
    }
    address.push_str(rest);
    let names: Vec<_> = passed.split(',').collect();
    let kept = query
        .iter()
        .filter(|(name, value)| names.contains(&name.as_str()) && !value.is_empty());
    let mut passed = url::form_urlencoded::Serializer::new(String::new());
    passed.extend_pairs(kept);
    let passed = passed.finish();
    if !passed.is_empty() {
        address.push(if address.contains('?') { '&' } else { '?' });
        address.push_str(&passed);
    }
    Some(address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assets::Templates;
    use std::collections::BTreeSet;

    fn pairs(pairs: &[(&str, &str)]) -> Parts {
        pairs
            .iter()
            .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
            .collect()
    }

    #[test]
    fn pages_are_found_by_their_paths() {
        assert_eq!(find("tenants/new").unwrap().0.template, "tenant_new.html");
        let (page, parts) = find("tenants/019331f0-7a00/links/7").unwrap();
        assert_eq!(page.template, "link.html");
        assert_eq!(parts, pairs(&[("tenant", "019331f0-7a00"), ("link", "7")]));
        for nowhere in [
            "",
            "tenants/",
            "tenants/..",
            "tenants/a/b",
            "tenants/a%2Fb",
            "tenants/a/links/7/",
            "tenants/a?b",
        ] {
            assert!(find(nowhere).is_none(), "{nowhere}");
        }
    }

    #[test]
    fn what_a_page_asks_for_has_its_parts_and_what_is_passed_on() {
        let (parts, query) = (
            pairs(&[("tenant", "t1")]),
            pairs(&[("name", "a&b"), ("cursor", ""), ("else", "x")]),
        );
        let filled = |pattern| fill(pattern, &parts, &query);
        assert_eq!(
            filled("/v1/{tenant}/links?limit=2").unwrap(),
            "/v1/t1/links?limit=2"
        );
        assert_eq!(filled("/v1/{tenant}{?cursor,name}").unwrap(), "/v1/t1?name=a%26b");
        assert_eq!(
            filled("/v1/x?limit=2{?name}").unwrap(),
            "/v1/x?limit=2&name=a%26b"
        );
        assert_eq!(filled("/v1/x/{else}").unwrap(), "/v1/x/x");
        assert_eq!(filled("/v1/{link}"), None);
    }

    #[test]
    fn every_page_has_its_template_and_its_parts() {
        let mut seen = BTreeSet::new();
        for page in PAGES {
            assert!(seen.insert(page.path), "{} is there twice", page.path);
            assert!(
                Templates::get(page.template).is_some(),
                "there is no {}",
                page.template
            );
            for (_, pattern) in page.needs {
                for name in pattern
                    .split('{')
                    .skip(1)
                    .filter_map(|part| part.split_once('}'))
                    .map(|(name, _)| name)
                {
                    let of_path = page.path.contains(&format!("{{{name}}}"));
                    assert!(of_path || name.starts_with('?'), "{}: {pattern}", page.path);
                }
            }
        }
    }
}
