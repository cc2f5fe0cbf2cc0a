//! Where pages are, and what they ask the API for: the patterns of [`crate::pages`] with what stands in a browser's address.

use crate::{
    form,
    pages::{PAGES, Page},
};

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

/// The pattern of what is asked for: `[q,customer]/v1/…` is asked for only if one of these stands in the page's query.
pub fn wanted<'a>(pattern: &'a str, query: &[(String, String)]) -> Option<&'a str> {
    let Some((names, pattern)) = pattern.strip_prefix('[').and_then(|rest| rest.split_once(']')) else {
        return Some(pattern);
    };
    let given = |name: &str| {
        query
            .iter()
            .any(|(found, value)| found == name && !value.is_empty())
    };
    names.split(',').any(given).then_some(pattern)
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
    let mut kept = Vec::new();
    for name in passed.split(',') {
        let (name, kind) = name.split_once(':').unwrap_or((name, ""));
        let (name, of_page) = name.split_once('=').unwrap_or((name, name));
        let given = query
            .iter()
            .filter(|(found, value)| found == of_page && !value.is_empty());
        kept.extend(given.map(|(_, value)| match kind {
            "utc" => (name, form::utc(value)),
            _ => (name, value.clone()),
        }));
    }
    Some(form::with_query(&address, kept))
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
        let day = pairs(&[("from", "2026-11-30")]);
        assert_eq!(
            fill("/v1/x{?until:utc,from:utc}", &parts, &day).unwrap(),
            "/v1/x?from=2026-11-30T00%3A00%3A00Z"
        );
        assert_eq!(filled("/v1/x/{else}").unwrap(), "/v1/x/x");
        assert_eq!(
            filled("/v1/x{?cursor=else,name=cursor}").unwrap(),
            "/v1/x?cursor=x"
        );
        assert_eq!(filled("/v1/{link}"), None);
    }

    #[test]
    fn what_needs_a_word_is_asked_for_only_with_one() {
        let query = pairs(&[("q", ""), ("customer", "1")]);
        assert_eq!(wanted("/v1/x", &[]), Some("/v1/x"));
        assert_eq!(wanted("[q]/v1/x", &query), None);
        assert_eq!(wanted("[q,customer]/v1/x", &query), Some("/v1/x"));
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
