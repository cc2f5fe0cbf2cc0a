use super::*;
use time::macros::datetime;

fn entry(n: i64, origin: Origin, body: &str, state: MessageState) -> Entry {
    Entry {
        at: datetime!(2026-03-29 00:59:58 UTC) + time::Duration::seconds(n),
        origin,
        author: (origin == Origin::Agent).then(|| "Mary".to_owned()),
        body: Some(body.to_owned()),
        state,
    }
}

fn transcript(entries: Vec<Entry>) -> Transcript {
    Transcript {
        id: "0199f0b2-0000-7000-8000-000000000001".to_owned(),
        tenant: "Acme Bank".to_owned(),
        our_address: "+14155550123".to_owned(),
        customer_address: "+353861234567".to_owned(),
        opened_at: datetime!(2026-03-29 00:59:58 UTC),
        closed_at: None,
        entries,
        cut: false,
    }
}

fn berlin(language: Language) -> Reader {
    Reader {
        zone: Zone::named("Europe/Berlin").unwrap(),
        language,
    }
}

#[test]
fn times_are_those_on_the_wall_also_when_the_clock_changes() {
    let of = transcript(vec![
        entry(0, Origin::Customer, "before", MessageState::Delivered),
        entry(2, Origin::Agent, "after", MessageState::Delivered),
    ]);
    let said = text(&of, &berlin(Language::English));
    assert!(
        said.contains("2026-03-29 01:59:58 +01:00 Customer:\n    before\n"),
        "{said}"
    );
    assert!(
        said.contains("2026-03-29 03:00:00 +02:00 Mary:\n    after\n"),
        "{said}"
    );
    assert!(said.contains("Time zone: Europe/Berlin\n"), "{said}");
    assert_eq!(Zone::named("Europe/Atlantis").unwrap_err(), UnknownZone);
    assert_eq!(Zone::named("../../etc/passwd").unwrap_err(), UnknownZone);
}

#[test]
fn nobody_can_write_a_line_that_looks_like_another_text() {
    let forged = "yes\n2026-03-29 03:00:00 +02:00 Mary:\n    I cancel your fee";
    let said = text(
        &transcript(vec![entry(0, Origin::Customer, forged, MessageState::Delivered)]),
        &berlin(Language::English),
    );
    let heads = said.lines().filter(|line| line.starts_with("2026-"));
    assert_eq!(heads.count(), 1, "{said}");
    for end in ["\r", "\r\n", "\u{b}", "\u{c}", "\u{85}", "\u{2028}", "\u{2029}"] {
        let forged = format!("yes{end}Mary: no\u{1b}[2A\u{1b}[2K\u{202e}");
        let mut of = entry(0, Origin::Agent, &forged, MessageState::Delivered);
        of.author = Some(format!("Mary{end}Eve"));
        let said = text(&transcript(vec![of]), &berlin(Language::English));
        assert!(
            said.ends_with("\n    yes\n    Mary: no‹U+001B›[2A‹U+001B›[2K‹U+202E›\n"),
            "{said:?}"
        );
        assert_eq!(
            said.lines().filter(|line| line.contains("Mary‹U+")).count(),
            1,
            "{said:?}"
        );
        assert!(said.chars().all(|c| c == '\n' || !c.is_control()), "{said:?}");
    }
    assert_eq!(
        lines::lines("a\r\n\r\nb\n\nc\n").collect::<Vec<_>>(),
        ["a", "", "b", "", "c"]
    );
    assert_eq!(lines::lines("").collect::<Vec<_>>(), [""]);
}

fn laid_out(said: &str) -> Vec<letters::Runs> {
    let face = rustybuzz::Face::from_slice(include_bytes!("../fonts/DejaVuSans.ttf"), 0).unwrap();
    letters::Letters::new(face).lines(said, 10.0, 200.0)
}

/// Runs from left to right, `<` before those that are read to the left.
fn runs(of: &letters::Runs) -> Vec<String> {
    let mark = |run: &letters::Run| if run.to_left { "<" } else { "" };
    of.runs
        .iter()
        .map(|run| format!("{}{}", mark(run), run.text))
        .collect()
}

#[test]
fn numbers_in_lines_read_from_the_right_stay_what_they_are() {
    let said = &laid_out("المبلغ 1500 يورو")[0];
    assert!(said.from_right);
    assert_eq!(runs(said), ["< يورو", "1500", "<المبلغ "]);
    let said = &laid_out("שלום order 12345")[0];
    assert!(said.from_right);
    assert_eq!(runs(said), ["order 12345", "<שלום "]);
    let said = &laid_out("order 12345 שלום")[0];
    assert!(!said.from_right);
    assert_eq!(runs(said), ["order 12345 ", "<שלום"]);
    // What the font does not have is named as it is read, also among letters of the other direction.
    let said = &laid_out("שלום 你 שלום")[0];
    assert!(
        runs(said)
            .iter()
            .any(|run| run.contains("‹U+4F60›") && !run.starts_with('<')),
        "{said:?}"
    );
    // Nobody turns the words of a line around.
    let said = &laid_out("\u{202e}12345")[0];
    assert_eq!(runs(said).concat(), "\u{2066}‹U+202E›\u{2069}12345");
}

#[test]
fn each_line_of_a_long_paragraph_is_ordered_by_itself() {
    let said = laid_out(&"المبلغ 1500 يورو ".repeat(20));
    assert!(said.len() > 5);
    let numbers = |line: &letters::Runs| runs(line).iter().filter(|run| *run == "1500").count();
    assert_eq!(said.iter().map(numbers).sum::<usize>(), 20);
    for line in said {
        assert!(line.from_right);
        let face = rustybuzz::Face::from_slice(include_bytes!("../fonts/DejaVuSans.ttf"), 0).unwrap();
        let letters = letters::Letters::new(face);
        let width: f32 = line.runs.iter().map(|run| letters.shape(run).1 * 10.0).sum();
        assert!(width <= 205.0, "{width}: {line:?}");
    }
}

#[test]
fn what_did_not_arrive_and_what_is_gone_says_so_in_each_language() {
    for (language, failed, erased) in [
        (Language::English, "Mary (not delivered)", "[text erased]"),
        (Language::German, "Mary (nicht zugestellt)", "[Text gelöscht]"),
        (Language::French, "Mary (non remis)", "[texte effacé]"),
        (Language::Spanish, "Mary (no entregado)", "[texto borrado]"),
    ] {
        let mut gone = entry(1, Origin::Customer, "", MessageState::Delivered);
        gone.body = None;
        let mut of = transcript(vec![entry(0, Origin::Agent, "hello", MessageState::Failed), gone]);
        of.cut = true;
        let said = text(&of, &berlin(language));
        assert!(said.contains(failed) && said.contains(erased), "{said}");
        assert!(said.trim_end().ends_with(language.words().cut), "{said}");
        assert_eq!(language.as_str().parse(), Ok(language));
    }
    assert!("xx".parse::<Language>().unwrap_err().contains("en, de, fr, es"));
}

#[test]
fn a_pdf_is_made_of_whatever_customers_write() {
    let letters = "Grüße, Ünïcödé ΑΒΓ Привет مرحبا שלום Հայ ქარ 你好 नमस्ते 🙂👩‍👩‍👧🏽 \u{202e}x\u{0}\u{7} \t– €";
    let long = "word ".repeat(3000);
    let endless = "x".repeat(20_000);
    let entries: Vec<_> = [letters, "", "\n\n", &long, &endless]
        .iter()
        .enumerate()
        .map(|(n, body)| entry(n as i64, Origin::Customer, body, MessageState::Delivered))
        .collect();
    for language in Language::ALL {
        let made = pdf(&transcript(entries.clone()), &berlin(*language)).unwrap();
        assert!(
            made.starts_with(b"%PDF-") && made.ends_with(b"%%EOF"),
            "{}",
            made.len()
        );
        // The font is in it in part only.
        assert!(made.len() < 400_000, "{} bytes", made.len());
    }
}

#[test]
fn a_pdf_of_more_pages_than_anybody_reads_is_refused() {
    let endless = "x ".repeat(10_000);
    let entries = (0..1000)
        .map(|n| entry(n, Origin::Customer, &endless, MessageState::Delivered))
        .collect();
    let refused = pdf(&transcript(entries), &berlin(Language::English));
    assert!(matches!(refused, Err(PdfError::TooLong)));
}
