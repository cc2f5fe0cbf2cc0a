//! What a font makes of text: which letters it has, how wide they are, where a line breaks, and in which order its runs of either
//! direction stand (Unicode's bidirectional algorithm, UAX #9, by `unicode-bidi`; shapes by `rustybuzz`).

use crate::lines::{CodePoint, turns_around};
use krilla::text::{GlyphId, KrillaGlyph};
use rustybuzz::{Direction, Face, UnicodeBuffer};
use std::{fmt::Write, ops::Range};
use unicode_bidi::ParagraphBidiInfo;

/// The font's letters.
pub struct Letters<'a> {
    face: Face<'a>,
    per_em: f32,
    /// Something had to be written as its code point.
    pub not_shown: bool,
}

/// A line as it is read: its runs from left to right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Runs {
    pub runs: Vec<Run>,
    /// The paragraph is read from the right: its lines begin there.
    pub from_right: bool,
}

/// Letters of one direction, in the order in which they were written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    pub text: String,
    pub to_left: bool,
}

impl<'a> Letters<'a> {
    pub fn new(face: Face<'a>) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "some thousands")]
        let per_em = face.units_per_em() as f32;
        Self {
            face,
            per_em,
            not_shown: false,
        }
    }

    /// Width of a letter by its size.
    fn width(&self, letter: char) -> f32 {
        let advance = self
            .face
            .glyph_index(letter)
            .and_then(|glyph| self.face.glyph_hor_advance(glyph));
        advance.map_or(1.0, |advance| f32::from(advance) / self.per_em)
    }

    /// What can be shown of it: without controls, and with code points in place of what the font does not have and of what would
    /// turn the letters after it around.
    fn shown(&mut self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        for letter in text.chars() {
            match letter {
                '\t' => out.push(' '),
                // What chooses a form of the sign before it, or joins signs, has nothing to show itself.
                '\u{200d}' | '\u{fe00}'..='\u{fe0f}' => {}
                // Marks and isolates of direction are heeded.
                '\u{200e}' | '\u{200f}' | '\u{61c}' | '\u{2066}'..='\u{2069}' => out.push(letter),
                _ if letter.is_control() => {}
                _ if !turns_around(letter) && self.face.glyph_index(letter).is_some() => {
                    out.push(letter);
                }
                _ => {
                    self.not_shown = true;
                    // In an isolate: its digits do not turn with the letters around it.
                    let _ = write!(out, "\u{2066}{}\u{2069}", CodePoint(letter));
                }
            }
        }
        out
    }

    /// Cuts a paragraph into lines of at most `room` points.
    pub fn lines(&mut self, paragraph: &str, size: f32, room: f32) -> Vec<Runs> {
        let shown = self.shown(paragraph);
        let bidi = ParagraphBidiInfo::new(&shown, None);
        let from_right = bidi.paragraph_level.is_rtl();
        let runs = |line: Range<usize>| {
            // Each call below goes through the whole paragraph.
            if !bidi.has_rtl() {
                let text = shown[line].to_owned();
                return vec![Run { text, to_left: false }];
            }
            let (levels, runs) = bidi.visual_runs(line);
            runs.into_iter()
                .map(|run| Run {
                    to_left: levels[run.start].is_rtl(),
                    text: shown[run].to_owned(),
                })
                .collect()
        };
        self.wrap(&shown, size, room)
            .into_iter()
            .map(|line| Runs {
                runs: runs(line),
                from_right,
            })
            .collect()
    }

    /// Where the lines are, cut between words where that can be.
    fn wrap(&self, text: &str, size: f32, room: f32) -> Vec<Range<usize>> {
        let (mut lines, mut begins, mut at, mut used) = (Vec::new(), 0, 0, 0.0);
        for word in text.split_inclusive(' ') {
            let width: f32 = word.trim_end().chars().map(|c| self.width(c) * size).sum();
            if used + width > room && used > 0.0 {
                lines.push(begins..at);
                (begins, used) = (at, 0.0);
            }
            for letter in word.chars() {
                let width = self.width(letter) * size;
                if used + width > room && letter != ' ' {
                    lines.push(begins..at);
                    (begins, used) = (at, 0.0);
                }
                used += width;
                at += letter.len_utf8();
            }
        }
        lines.push(begins..at);
        lines
    }

    /// The run's signs from left to right, as the letters join, and how wide they are by their size.
    pub fn shape(&self, run: &Run) -> (Vec<KrillaGlyph>, f32) {
        let mut buffer = UnicodeBuffer::new();
        buffer.push_str(&run.text);
        buffer.guess_segment_properties();
        buffer.set_direction(if run.to_left {
            Direction::RightToLeft
        } else {
            Direction::LeftToRight
        });
        let shaped = rustybuzz::shape(&self.face, &[], buffer);
        let mut starts: Vec<usize> = shaped.glyph_infos().iter().map(|i| i.cluster as usize).collect();
        starts.sort_unstable();
        #[expect(clippy::cast_precision_loss, reason = "some thousands")]
        let by_size = |units: i32| units as f32 / self.per_em;
        let glyphs: Vec<_> = shaped
            .glyph_infos()
            .iter()
            .zip(shaped.glyph_positions())
            .map(|(info, position)| {
                let start = info.cluster as usize;
                let next = starts[starts.partition_point(|s| *s <= start)..].first();
                KrillaGlyph::new(
                    GlyphId::new(info.glyph_id),
                    by_size(position.x_advance),
                    by_size(position.x_offset),
                    by_size(position.y_offset),
                    by_size(position.y_advance),
                    start..next.copied().unwrap_or(run.text.len()),
                    None,
                )
            })
            .collect();
        let width = shaped.glyph_positions().iter().map(|p| p.x_advance).sum();
        (glyphs, by_size(width))
    }
}
