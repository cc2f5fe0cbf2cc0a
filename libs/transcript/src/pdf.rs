//! PDF by `krilla`, with one font in it: DejaVu Sans has Latin, Greek, Cyrillic, Arabic, Hebrew, Armenian, Georgian and many signs. What it
//! has not (Chinese, most emoji) stands as its code point: it can be read off, and looked up in the text or JSON.

use crate::{Reader, Transcript};
use krilla::{
    Document,
    color::rgb,
    geom::Point,
    metadata::Metadata,
    num::NormalizedF32,
    page::PageSettings,
    paint::Fill,
    text::{Font, TextDirection},
};
use skrifa::{
    FontRef, MetadataProvider,
    charmap::Charmap,
    instance::{LocationRef, Size},
    metrics::GlyphMetrics,
};
use std::fmt::Write;

const DEJAVU_SANS: &[u8] = include_bytes!("../fonts/DejaVuSans.ttf");

/// A4, in points.
const WIDTH: f32 = 595.0;
const HEIGHT: f32 = 842.0;
const MARGIN: f32 = 56.0;
/// From one line to the next, by the letters' size.
const LEADING: f32 = 1.4;

/// More pages than anybody reads.
const MOST_PAGES: usize = 300;
/// More lines than these pages have room for are not even set.
const MOST_LINES: usize = MOST_PAGES * 70;

/// Why there is no PDF.
#[derive(Debug, thiserror::Error)]
pub enum PdfError {
    /// It would have more than so many pages.
    #[error("the transcript has more than {MOST_PAGES} pages")]
    TooLong,
    /// A bug: the font is part of the program.
    #[error("the PDF could not be made: {0}")]
    Broken(String),
}

/// One line of text as it is set.
struct Line {
    text: String,
    style: Style,
}

#[derive(Clone, Copy)]
struct Style {
    size: f32,
    left: f32,
    grey: bool,
    /// Stays with the line below it.
    heads: bool,
}

const NOTE: Style = Style {
    size: 8.0,
    left: 0.0,
    grey: true,
    heads: false,
};
const HEADLINE: Style = Style {
    size: 16.0,
    grey: false,
    heads: true,
    ..NOTE
};
const HEAD: Style = Style { heads: true, ..NOTE };
const TEXT: Style = Style {
    size: 10.0,
    left: 12.0,
    grey: false,
    heads: false,
};

impl Style {
    /// From the line before to this one.
    fn height(self) -> f32 {
        self.size * LEADING
    }
}

/// How wide letters are, and which there are.
struct Letters<'a> {
    charmap: Charmap<'a>,
    widths: GlyphMetrics<'a>,
    /// Something had to be written as its code point.
    not_shown: bool,
}

impl Letters<'_> {
    /// Width of a letter by its size.
    fn width(&self, letter: char) -> f32 {
        let glyph = self.charmap.map(letter).unwrap_or_default();
        self.widths.advance_width(glyph).unwrap_or(1.0)
    }

    /// What can be shown of it: without controls, and with code points in place of what the font does not have.
    fn shown(&mut self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        for letter in text.chars() {
            match letter {
                '\t' => out.push(' '),
                // What chooses a form of the sign before it, or joins signs, has nothing to show itself.
                '\u{200d}' | '\u{fe00}'..='\u{fe0f}' => {}
                _ if letter.is_control() => {}
                _ if self.charmap.map(letter).is_some() => out.push(letter),
                _ => {
                    self.not_shown = true;
                    let _ = write!(out, "‹U+{:04X}›", u32::from(letter));
                }
            }
        }
        out
    }

    /// Cuts a paragraph into lines of at most `room` points, between words where that can be.
    fn wrap(&self, paragraph: &str, size: f32, room: f32) -> Vec<String> {
        let mut lines = vec![String::new()];
        let mut used = 0.0;
        for word in paragraph.split_inclusive(' ') {
            let width: f32 = word.trim_end().chars().map(|c| self.width(c) * size).sum();
            if used + width > room && used > 0.0 {
                lines.push(String::new());
                used = 0.0;
            }
            for letter in word.chars() {
                let width = self.width(letter) * size;
                if used + width > room && letter != ' ' {
                    lines.push(String::new());
                    used = 0.0;
                }
                used += width;
                if let Some(line) = lines.last_mut() {
                    line.push(letter);
                }
            }
        }
        lines
    }
}

/// The transcript as PDF. Takes time by its length: not to be called where others wait.
pub fn pdf(of: &Transcript, reader: &Reader) -> Result<Vec<u8>, PdfError> {
    let broken = |what: &str| PdfError::Broken(what.to_owned());
    let font = Font::new(DEJAVU_SANS.into(), 0).ok_or_else(|| broken("the font cannot be read"))?;
    let metrics = FontRef::new(DEJAVU_SANS).map_err(|e| PdfError::Broken(e.to_string()))?;
    let mut letters = Letters {
        charmap: metrics.charmap(),
        widths: metrics.glyph_metrics(Size::new(1.0), LocationRef::default()),
        not_shown: false,
    };
    let pages = paginate(set(of, reader, &mut letters)?)?;

    let words = reader.language.words();
    let mut document = Document::new();
    document.set_metadata(
        Metadata::new()
            .title(format!("{} {}", words.title, of.id))
            .language(reader.language.as_str().to_owned())
            .creator("Contact Center Messaging".to_owned()),
    );
    let count = pages.len();
    for (n, lines) in pages.into_iter().enumerate() {
        let settings = PageSettings::from_wh(WIDTH, HEIGHT).ok_or_else(|| broken("the page has no size"))?;
        let mut page = document.start_page_with(settings);
        let mut surface = page.surface();
        let mut draw = |line: &Line, y: f32| {
            let style = line.style;
            let shade = if style.grey { 96 } else { 0 };
            surface.set_fill(Some(Fill {
                paint: rgb::Color::new(shade, shade, shade).into(),
                opacity: NormalizedF32::ONE,
                rule: Default::default(),
            }));
            let start = Point::from_xy(MARGIN + style.left, y);
            surface.draw_text(
                start,
                font.clone(),
                style.size,
                &line.text,
                false,
                TextDirection::Auto,
            );
        };
        let mut y = MARGIN;
        for line in &lines {
            y += line.style.height();
            if !line.text.is_empty() {
                draw(line, y);
            }
        }
        let number = Line {
            text: format!("{} {} / {count}", words.page, n + 1),
            style: NOTE,
        };
        draw(&number, HEIGHT - MARGIN / 2.0);
        surface.finish();
        page.finish();
    }
    document.finish().map_err(|e| PdfError::Broken(format!("{e:?}")))
}

/// Everything as lines, from the top on.
fn set(of: &Transcript, reader: &Reader, letters: &mut Letters<'_>) -> Result<Vec<Line>, PdfError> {
    let mut lines = Vec::new();
    let mut put = |letters: &mut Letters<'_>, text: &str, style: Style| {
        for paragraph in text.lines() {
            let shown = letters.shown(paragraph);
            for text in letters.wrap(&shown, style.size, WIDTH - 2.0 * MARGIN - style.left) {
                lines.push(Line { text, style });
            }
        }
        match lines.len() {
            0..=MOST_LINES => Ok(()),
            _ => Err(PdfError::TooLong),
        }
    };
    let words = reader.language.words();
    put(letters, &format!("{}: {}", words.title, of.tenant), HEADLINE)?;
    for (name, value) in of.head(reader) {
        put(letters, &format!("{name}: {value}"), NOTE)?;
    }
    for entry in &of.entries {
        put(letters, " ", HEAD)?;
        let head = format!("{}   {}", reader.zone.moment(entry.at), entry.who(reader));
        put(letters, &head, HEAD)?;
        put(letters, entry.what(reader), TEXT)?;
    }
    let not_shown = letters.not_shown.then_some(words.not_shown);
    for foot in of.foot(reader).into_iter().chain(not_shown) {
        put(letters, " ", HEAD)?;
        put(letters, foot, NOTE)?;
    }
    Ok(lines)
}

/// Lines by page. What heads a text does not stand alone at the end of one.
fn paginate(lines: Vec<Line>) -> Result<Vec<Vec<Line>>, PdfError> {
    let room = HEIGHT - 2.0 * MARGIN;
    let mut pages: Vec<Vec<Line>> = vec![Vec::new()];
    let mut used = 0.0;
    for line in lines {
        let height = line.style.height();
        let page = pages.last_mut().expect("there is a page");
        if used + height > room {
            let stays = page
                .iter()
                .rposition(|line| !line.style.heads)
                .map_or(0, |last| last + 1);
            // A page of nothing but heads stays as it is.
            let moved = if stays > 0 {
                page.split_off(stays)
            } else {
                Vec::new()
            };
            used = moved.iter().map(|line| line.style.height()).sum();
            if pages.len() == MOST_PAGES {
                return Err(PdfError::TooLong);
            }
            pages.push(moved);
        }
        used += height;
        pages.last_mut().expect("there is a page").push(line);
    }
    Ok(pages)
}
