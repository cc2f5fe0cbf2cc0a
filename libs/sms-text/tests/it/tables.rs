//! Every code of every table against an independent copy of TS 23.038 (`gsm-tables.txt` says whose).

use ccm_sms_text::gsm::{Alphabet, Language, decode, encode};

/// Where the copy is wrong: (language, table, code, what it has, what is right).
///
/// The copy has an apostrophe where the specification prints a comma, repeats the specification's misprint in the Kannada
/// table (a second PA where DDA belongs), and lacks the euro sign of the Telugu table. Each was decided by two further
/// transcriptions of the specification, read by eye: Android's GsmAlphabet.java (from version 9.1.1) and CyberChef's GSM7.mjs
/// (from version 16.0.0). Android notes the misprint and corrects it too.
fn correction(language: Language, table: &str, code: u8) -> Option<(Option<char>, char)> {
    match (language.id(), table, code) {
        (4..=13, "locking", 0x2c) => Some((Some('\''), ',')),
        (7, "locking", 0x24) => Some((Some('\u{caa}'), '\u{ca1}')),
        (12, "single", 0x65) => Some((None, '€')),
        _ => None,
    }
}

#[test]
fn every_code_is_as_in_an_independent_copy() {
    let (mut tables, mut same, mut corrected) = (0, 0, 0);
    for line in include_str!("gsm-tables.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
    {
        let mut words = line.split(' ');
        let language = Language::from_id(words.next().unwrap().parse().unwrap()).unwrap();
        let table = words.next().unwrap();
        let alphabet = match table {
            "locking" => Alphabet {
                locking: language,
                ..Alphabet::default()
            },
            _ => Alphabet {
                single: language,
                ..Alphabet::default()
            },
        };
        for (code, word) in (0..128_u8).zip(words.by_ref()) {
            let theirs = u32::from_str_radix(word, 16).ok().and_then(char::from_u32);
            let expected = match correction(language, table, code) {
                Some((wrong, right)) => {
                    assert_eq!(
                        theirs, wrong,
                        "{language:?} {table} {code:#x}: the copy is no longer wrong here"
                    );
                    corrected += 1;
                    Some(right)
                }
                None => {
                    same += 1;
                    theirs
                }
            };
            let septets = if table == "locking" {
                vec![code]
            } else {
                vec![0x1b, code]
            };
            let ours = decode(&septets, alphabet);
            let expected = match expected {
                Some(c) => c.to_string(),
                // No such code: what the other table has, or a space.
                None if table == "single" => decode(&[code], Alphabet::default()),
                None => " ".to_owned(),
            };
            assert_eq!(ours, expected, "{language:?} {table} {code:#x}");
            // The copy has a space in the escape's own place, as it is to be shown.
            if let Some(c) = theirs.filter(|_| code != 0x1b && correction(language, table, code).is_none()) {
                let again = encode(&c.to_string(), alphabet).unwrap();
                assert_eq!(decode(&again, alphabet), c.to_string());
                assert!(
                    again.len() <= septets.len(),
                    "{language:?} {table} {code:#x}: the shorter code is taken"
                );
            }
        }
        assert_eq!(words.next(), None);
        tables += 1;
    }
    assert_eq!((tables, same, corrected), (27, 27 * 128 - 12, 12));
}
