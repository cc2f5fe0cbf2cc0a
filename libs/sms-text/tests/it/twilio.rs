//! Encoding, segments and cuts against Twilio's own calculator, npm's `sms-segments-calculator` 1.3.0.
//!
//! `../twilio/expected.txt` holds what it said of 100,000 random texts, made by `../twilio/generate.js`, whose lines this file
//! makes again: change both or none.

use ccm_sms_text::gsm::Alphabet;
use ccm_sms_text::segments::{Encoding, count, split};
use ccm_sms_text::udh::Reference;
use std::path::Path;
use std::process::Command;

const EXPECTED: &str = include_str!("../twilio/expected.txt");
const CLUSTERS: &str = include_str!("../twilio/clusters.txt");

fn chars(text: &str) -> Vec<char> {
    text.chars().collect()
}

fn range(first: u32, last: u32) -> Vec<char> {
    (first..=last).filter_map(char::from_u32).collect()
}

struct Pools {
    basic: Vec<char>,
    extension: Vec<char>,
    groups: Vec<Vec<char>>,
}

impl Pools {
    fn new() -> Self {
        let groups = vec![
            chars("çêîôûáíóúãõ’“”–—…`•\t\u{a0}"),
            range(0x0430, 0x044f),
            range(0x4e00, 0x4e3f),
            range(0x1f600, 0x1f63f),
            range(0x10400, 0x1041f),
            [range(0x0300, 0x030f), chars("\u{20e3}\u{fe0f}\u{fe0e}")].concat(),
            chars("\u{200d}\u{200b}\u{ad}\u{200c}"),
            [
                range(0x1f466, 0x1f469),
                chars("\u{261d}\u{270c}\u{1f44d}\u{1f9d1}"),
            ]
            .concat(),
            range(0x1f3fb, 0x1f3ff),
            chars("\u{2764}\u{2640}\u{2642}\u{2695}\u{1f308}\u{1f680}\u{1f33e}\u{1f48b}"),
            range(0x1f1e6, 0x1f1ff),
            [chars("\u{1f3f4}"), range(0xe0061, 0xe007a), chars("\u{e007f}")].concat(),
            range(0x0904, 0x094d),
            range(0x0d02, 0x0d4e),
            range(0x0e01, 0x0e4d),
            [range(0x0600, 0x0605), range(0x0627, 0x0652)].concat(),
            [
                range(0x1100, 0x1112),
                range(0x1161, 0x1175),
                range(0x11a8, 0x11c2),
            ]
            .concat(),
            range(0xac00, 0xac3f),
        ];
        let basic = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡\
                     ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
        Self {
            basic: chars(basic),
            extension: chars("\u{c}^{}\\[~]|€"),
            groups,
        }
    }
}

/// The texts of one seed, one after the other.
#[derive(Clone)]
struct Texts<'a> {
    state: u32,
    pools: &'a Pools,
}

impl Texts<'_> {
    fn below(&mut self, n: u32) -> u32 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 17;
        self.state ^= self.state << 5;
        self.state % n
    }

    fn pick<'b, T>(&mut self, list: &'b [T]) -> &'b T {
        &list[self.below(list.len() as u32) as usize]
    }

    fn gsm(&mut self, often: u32) -> char {
        let Pools { basic, extension, .. } = self.pools;
        *if self.below(100) < often {
            self.pick(extension)
        } else {
            self.pick(basic)
        }
    }

    fn any(&mut self) -> char {
        let c = if self.below(4) == 0 {
            self.below(0x11_0000)
        } else {
            self.below(0xffff)
        };
        char::from_u32(c).unwrap_or_else(|| char::from_u32(c - 0x800).unwrap())
    }

    fn text(&mut self) -> String {
        let Pools {
            basic,
            extension,
            groups,
        } = self.pools;
        let kind = self.below(100);
        let often = *self.pick(&[0, 1, 5, 30, 100]);
        let groups = [self.pick(groups), self.pick(groups), self.pick(groups), basic];
        let plain = *self.pick(&[20, 60, 95]);
        let edge = *self.pick(&[70, 153, 160, 306, 67, 134, 201, 459, 140, 320]);
        let target = if self.below(8) == 0 {
            self.below(500)
        } else {
            edge - 4 + self.below(9)
        };
        let from = if self.below(2) == 0 {
            0
        } else {
            target.saturating_sub(1 + self.below(8))
        };
        let (mut out, mut units) = (String::new(), 0);
        while units < target {
            let c = match kind {
                _ if units < from => *self.pick(basic),
                0..60 => self.gsm(often),
                60..70 if self.below(100) == 0 => *self.pick(groups[0]),
                60..70 => self.gsm(often),
                70..95 if self.below(100) < plain => *self.pick(basic),
                70..95 => {
                    let group = *self.pick(&groups);
                    *self.pick(group)
                }
                _ => self.any(),
            };
            out.push(c);
            units += if kind < 60 && extension.contains(&c) {
                2
            } else {
                c.len_utf16() as u32
            };
        }
        out
    }
}

fn fnv(hash: u32, number: u32) -> u32 {
    (hash ^ number).wrapping_mul(16_777_619)
}

/// What ours says of the next hundred texts.
fn line(texts: &mut Texts<'_>) -> String {
    let (mut letters, mut hash) = (String::new(), 2_166_136_261);
    for _ in 0..100 {
        let text = texts.text();
        hash = text
            .encode_utf16()
            .fold(hash, |hash, unit| fnv(hash, u32::from(unit)));
        let counted = count(&text);
        let first = if counted.encoding == Encoding::Gsm7 {
            b'a'
        } else {
            b'A'
        };
        letters.push(char::from(first + counted.segments as u8 - 1));
        for part in split(&text, Reference::Eight(0), Alphabet::default()).unwrap() {
            hash = fnv(hash, part.text.encode_utf16().count() as u32);
        }
    }
    format!("{letters} {hash:08x}")
}

/// Compares and returns how many texts there were.
fn compare(seed: u32, expected: &str) -> usize {
    let pools = Pools::new();
    let mut texts = Texts {
        state: seed,
        pools: &pools,
    };
    for (n, theirs) in expected.lines().enumerate() {
        let mut again = texts.clone();
        let ours = line(&mut texts);
        if ours != theirs {
            let at = ours
                .bytes()
                .zip(theirs.bytes())
                .position(|(a, b)| a != b)
                .unwrap();
            let differing = (0..=at).map(|_| again.text()).last().unwrap_or_default();
            panic!(
                "texts {} to {}: Twilio's calculator says\n{theirs}, ours\n{ours}\n{} {differing:?}",
                n * 100,
                n * 100 + 99,
                if at < 100 {
                    "the text is"
                } else {
                    "cut otherwise; the last text is"
                },
            );
        }
    }
    expected.lines().count() * 100
}

#[test]
fn a_hundred_thousand_texts_take_the_segments_that_twilio_bills() {
    assert_eq!(compare(1, EXPECTED), 100_000);
}

#[test]
fn the_7_bit_alphabet_is_twilios() {
    let theirs = CLUSTERS.lines().next().unwrap();
    let ours: Vec<String> = ('\0'..=char::MAX)
        .filter_map(|c| {
            Alphabet::default()
                .units(c)
                .map(|units| format!("{:x}:{units}", u32::from(c)))
        })
        .collect();
    assert_eq!(ours.join(" "), theirs);
    assert_eq!(ours.len(), 127 + 10);
}

/// Asks the calculator itself about texts that no file holds. Where there is no node it says so and passes: only whoever
/// changes this room needs it.
#[test]
#[ignore = "long"]
fn long_twilios_calculator_itself_says_the_same() {
    let has = |program| {
        Command::new(program)
            .arg("--version")
            .output()
            .is_ok_and(|out| out.status.success())
    };
    if !has("node") || !has("npm") {
        eprintln!("not compared: node and npm are needed (on Debian: apt-get install nodejs npm)");
        return;
    }
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/twilio");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("twilio");
    std::fs::create_dir_all(&folder).unwrap();
    for file in ["package.json", "package-lock.json", "generate.js"] {
        std::fs::copy(from.join(file), folder.join(file)).unwrap();
    }
    let run = |program: &str, arguments: &[&str]| {
        let out = Command::new(program)
            .args(arguments)
            .current_dir(&folder)
            .output()
            .unwrap();
        assert!(
            out.status.success(),
            "{program} {arguments:?}: {}",
            String::from_utf8_lossy(&out.stderr)
        );
        String::from_utf8(out.stdout).unwrap()
    };
    run("npm", &["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
    let first = run("node", &["generate.js", "texts", "1", "1000"]);
    assert!(first.lines().count() == 10 && EXPECTED.starts_with(&first));
    assert_eq!(run("node", &["generate.js", "clusters"]), CLUSTERS);
    // Any number but 0, and seldom the same.
    let seed = std::process::id();
    eprintln!("seed {seed}");
    let theirs = run("node", &["generate.js", "texts", &seed.to_string(), "20000"]);
    assert_eq!(compare(seed, &theirs), 20_000);
}
