//! PDF by `krilla`, with one font in it: DejaVu Sans has Latin, Greek, Cyrillic, Arabic, Hebrew, Armenian, Georgian and many signs. What it
//! has not (Chinese, most emoji) stands as its code point: it can be read off, and looked up in the text or JSON.

use crate::{
    Reader, Transcript,
    letters::{Letters, Run, Runs},
    lines,
};
use krilla::{
    Document, color::rgb, geom::Point, metadata::Metadata, num::NormalizedF32, page::PageSettings,
    paint::Fill, text::Font,
};
use rustybuzz::Face;

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
    text: Runs,
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

/// The transcript as PDF. Takes time by its length: not to be called where others wait.
pub fn pdf(of: &Transcript, reader: &Reader) -> Result<Vec<u8>, PdfError> {
    let broken = |what: &str| PdfError::Broken(what.to_owned());
    let font = Font::new(DEJAVU_SANS.into(), 0).ok_or_else(|| broken("the font cannot be read"))?;
    let face = Face::from_slice(DEJAVU_SANS, 0).ok_or_else(|| broken("the font cannot be read"))?;
    let mut letters = Letters::new(face);
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
            let shaped: Vec<_> = line
                .text
                .runs
                .iter()
                .map(|run| (run, letters.shape(run)))
                .collect();
            let mut x = MARGIN + style.left;
            if line.text.from_right {
                let width: f32 = shaped.iter().map(|(_, (_, width))| width * style.size).sum();
                x = WIDTH - MARGIN - width;
            }
            for (run, (glyphs, width)) in shaped {
                let start = Point::from_xy(x, y);
                surface.draw_glyphs(start, &glyphs, font.clone(), &run.text, style.size, false);
                x += width * style.size;
            }
        };
        let mut y = MARGIN;
        for line in &lines {
            y += line.style.height();
            draw(line, y);
        }
        let number = Run {
            text: format!("{} {} / {count}", words.page, n + 1),
            to_left: false,
        };
        let number = Line {
            text: Runs {
                runs: vec![number],
                from_right: false,
            },
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
        for paragraph in lines::lines(text) {
            for text in letters.lines(paragraph, style.size, WIDTH - 2.0 * MARGIN - style.left) {
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
