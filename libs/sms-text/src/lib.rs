//! What an SMS makes of a text: encodings, segments, parts, and the words that are a whole text. Pure: no IO, no time, no
//! randomness; anybody may import it.
//!
//! | module | answers |
//! | --- | --- |
//! | [`segments`] | how many segments does this text take, which character forces UCS-2, and what are its parts? |
//! | [`transliterate`] | which signs may be changed so that it takes fewer? |
//! | [`keyword`] | is this text a word of opt-out? |
//! | [`udh`] | which part of which message is this? |
//! | [`parts`] | what do these parts say together, and what is missing? |
//! | [`gsm`], [`ucs2`] | which octets are this text, and back? |
//!
//! # What it agrees with
//!
//! *3GPP TS 23.038* for alphabets, escapes and packing, *TS 23.040* for the header. Every code of every table is compared with
//! an independent copy (`tests/it/tables.rs`); four misprinted codes of the specification are corrected, as in Android
//! (`gsm/tables.rs` names them).
//!
//! *Twilio's calculator* (npm's `sms-segments-calculator` 1.3.0, encoding `auto`, no smart encoding) for encoding, number of
//! segments and every cut, since segments are billed: 100,000 random texts and every code point are compared
//! (`tests/it/twilio.rs`). The specifications say nothing against it; where they are silent, it decides:
//!
//! | matter | the specifications | Twilio's calculator | here |
//! | --- | --- | --- | --- |
//! | 7-bit texts | default alphabet, extension table, national tables | default alphabet and extension table | as Twilio in [`segments::count`]; national tables where [`segments::Layout`] names them |
//! | reference in the header | 8 or 16 bits | 8 bits | 8 bits in [`segments::count`]; both in [`segments::split`] |
//! | what UCS-2 is not cut in | silent; UCS-2 knows no surrogate pairs | grapheme clusters of Unicode 10 (package grapheme-splitter) | as Twilio, its three oddities included (`clusters.rs`) |
//! | a carriage return before a line feed | two characters | two characters, though one cluster | two characters |
//! | a cluster of more than 67 units | silent | one overfull segment, after an empty one if it comes first | cut between characters: no part holds more than an SMS does |
//! | clusters of 34 to 67 units at the first cut | silent | two of them in the second segment, overfull | each where it fits |
//! | an empty text | one SMS | one segment | one segment |
//! | more than 255 segments | cannot be numbered | counted | counted; [`segments::split`] refuses |
//!
//! The two rows with long clusters are the only ones in which a count can differ, in texts that nobody writes (a letter with
//! more than thirty accents).
//!
//! # Inbound
//!
//! Nothing is thrown away: a header that does not parse leaves a text, a part without its others is delivered with
//! [`parts::MARK`] in their place, a code that stands for nothing is a space, half a character is U+FFFD.
mod clusters;
pub mod gsm;
pub mod keyword;
pub mod parts;
pub mod segments;
pub mod transliterate;
pub mod ucs2;
pub mod udh;
