//! The page's files: what the browser control in Agent Desktop does not know is not in them, and they are small.

use crate::rig::{MOBILE, Rig};
use axum::http::header;
use ccm_model::ProviderKind;

const STYLE: &str = include_str!("../../static/page.css");
const PLAIN: &str = include_str!("../../static/plain.css");
const SCRIPT: &str = include_str!("../../static/page.js");

/// A script without its comments and strings.
fn bare(script: &str) -> String {
    let mut out = String::new();
    let mut rest = script;
    while let Some(c) = rest.chars().next() {
        if let Some(comment) = rest.strip_prefix("/*") {
            rest = comment.split_once("*/").map_or("", |(_, after)| after);
        } else if c == '\'' {
            rest = rest[1..].split_once('\'').map_or("", |(_, after)| after);
            out.push_str("''");
        } else {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    out
}

fn words(script: &str) -> Vec<&str> {
    script
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '$')
        .filter(|word| !word.is_empty())
        .collect()
}

fn wrong_in_script(script: &str) -> Vec<String> {
    let code = bare(script);
    let mut wrong: Vec<String> = ["=>", "`", "...", "?.", "??", "**", "//"]
        .iter()
        .filter(|sign| code.contains(*sign))
        .map(|sign| (*sign).to_owned())
        .collect();
    let newer = [
        "let",
        "const",
        "class",
        "async",
        "await",
        "fetch",
        "Promise",
        "Map",
        "Set",
        "Symbol",
        "WeakMap",
        "Proxy",
        "URL",
        "URLSearchParams",
        "FormData",
        "includes",
        "startsWith",
        "endsWith",
        "repeat",
        "padStart",
        "assign",
        "entries",
        "values",
        "find",
        "findIndex",
        "append",
        "prepend",
        "remove",
        "closest",
        "matches",
        "replaceWith",
        "classList",
        "localStorage",
        "sessionStorage",
        "cookie",
        "eval",
        "yield",
        "import",
        "export",
        "super",
        "Object",
        "NodeList",
    ];
    let used = words(&code);
    wrong.extend(
        newer
            .iter()
            .filter(|word| used.contains(word))
            .map(|word| (*word).to_owned()),
    );
    // `for … of` and default values.
    wrong.extend(code.contains(" of ").then(|| "for of".to_owned()));
    wrong
}

fn wrong_in_style(style: &str) -> Vec<String> {
    let mut code = String::new();
    for part in style.split("/*") {
        code.push_str(part.split_once("*/").map_or(part, |(_, after)| after));
    }
    let newer = [
        "grid",
        "var(",
        "--",
        "flex",
        "sticky",
        "@supports",
        "calc(",
        "gap:",
        ":is(",
        ":not(",
        ":has(",
        "clamp(",
        "min(",
        "inset:",
        "aspect-ratio",
        "object-fit",
        "url(",
        "@import",
        "@font-face",
        "unset",
        "initial",
    ];
    newer
        .iter()
        .filter(|word| code.contains(*word))
        .map(|word| (*word).to_owned())
        .collect()
}

#[test]
fn script_and_style_are_what_the_old_browser_knows() {
    assert_eq!(wrong_in_script(SCRIPT), Vec::<String>::new());
    for style in [STYLE, PLAIN] {
        assert_eq!(wrong_in_style(style), Vec::<String>::new());
    }
    assert!(
        bare(SCRIPT).contains("'use strict'") || bare(SCRIPT).contains("''"),
        "strict"
    );
}

/// The lint sees what it is there for.
#[test]
fn the_lint_sees_what_is_too_new() {
    for script in [
        "let a = 1;",
        "var f = (x) => x;",
        "fetch('/')",
        "var a = `x`;",
        "for (var x of y) {}",
        "a.includes(b)",
        "x ?? y",
    ] {
        assert!(!wrong_in_script(script).is_empty(), "{script}");
    }
    assert!(wrong_in_script("var a = 'let => fetch'; /* const */").is_empty());
    for style in [
        "a { display: grid }",
        "a { color: var(--x) }",
        "a { width: calc(1px) }",
    ] {
        assert!(!wrong_in_style(style).is_empty(), "{style}");
    }
}

#[tokio::test]
async fn the_whole_page_is_small_and_its_files_are_kept() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1, ProviderKind::Http).await;
    let path = rig.pop(&tenant, &format!("dest={MOBILE}")).await;
    for n in 0..5 {
        let page = rig.browse(&path).await;
        let body = format!("{n} {}", "a text of some length ".repeat(7));
        let form = [
            ("m", page.value("m")),
            ("number", MOBILE),
            ("body", &body),
            ("do", "send"),
        ];
        rig.submit(&path, &form).await;
    }
    let page = rig.browse(&path).await;
    let mut weight = page.text.len();
    let mut files = 0;
    for part in page.text.split('"').filter(|part| part.starts_with("/static/")) {
        let file = rig.browse(part).await;
        assert_eq!(file.status, 200, "{part}");
        assert_eq!(
            file.headers[header::CACHE_CONTROL],
            "public, max-age=31536000, immutable"
        );
        weight += file.text.len();
        files += 1;
    }
    assert_eq!(files, 3);
    println!("the page, its style and its script: {weight} bytes uncompressed");
    assert!(weight < 50_000, "{weight}");
    let (_, rest) = page.text.split_once("<html").unwrap();
    for foreign in ["http://", "https://", "style=\"", "onclick", "javascript:"] {
        assert!(!rest.contains(foreign), "{foreign}");
    }
    assert_eq!(rig.browse("/static/page-0000000000000000.css").await.status, 404);
}
