// What Twilio's calculator says of random texts: the lines of expected.txt and clusters.txt.
//
//   npm ci --ignore-scripts
//   node generate.js texts 1 100000 > expected.txt     # seed, how many
//   node generate.js clusters > clusters.txt
//
// ../it/twilio.rs makes the same texts, line by line the same code: change both or none.
'use strict';
const { SegmentedMessage } = require('sms-segments-calculator');
const GraphemeSplitter = require('grapheme-splitter');

const char = String.fromCodePoint;
const range = (first, last) => Array.from({ length: last - first + 1 }, (_, n) => char(first + n));

const BASIC = [
  ...'@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !"#¤%&\'()*+,-./0123456789:;<=>?¡',
  ...'ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà',
];
const EXTENSION = [...'\f^{}\\[~]|€'];
// What is not 7-bit, in groups; a text draws from a few of them.
const GROUPS = [
  [...'çêîôûáíóúãõ’“”–—…`•\t\u00a0'],
  range(0x0430, 0x044f),
  range(0x4e00, 0x4e3f),
  range(0x1f600, 0x1f63f),
  range(0x10400, 0x1041f),
  // What joins or is joined: marks, joiners, emoji that take them, skin colours, halves of flags, tags.
  [...range(0x0300, 0x030f), '\u20e3', '\ufe0f', '\ufe0e'],
  ['\u200d', '\u200b', '\u00ad', '\u200c'],
  [...range(0x1f466, 0x1f469), '\u261d', '\u270c', char(0x1f44d), char(0x1f9d1)],
  range(0x1f3fb, 0x1f3ff),
  ['\u2764', '\u2640', '\u2642', '\u2695', char(0x1f308), char(0x1f680), char(0x1f33e), char(0x1f48b)],
  range(0x1f1e6, 0x1f1ff),
  [char(0x1f3f4), ...range(0xe0061, 0xe007a), char(0xe007f)],
  // Scripts whose letters build on each other.
  range(0x0904, 0x094d),
  range(0x0d02, 0x0d4e),
  range(0x0e01, 0x0e4d),
  [...range(0x0600, 0x0605), ...range(0x0627, 0x0652)],
  [...range(0x1100, 0x1112), ...range(0x1161, 0x1175), ...range(0x11a8, 0x11c2)],
  range(0xac00, 0xac3f),
];
// Units at which something happens: a single segment, two, three, in either encoding.
const EDGES = [70, 153, 160, 306, 67, 134, 201, 459, 140, 320];

let state = 0;
// xorshift32
function next() {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return state >>> 0;
}
const below = (n) => next() % n;
const pick = (list) => list[below(list.length)];

// A 7-bit character; `often` in a hundred from the extension table.
const gsm = (often) => (below(100) < often ? pick(EXTENSION) : pick(BASIC));
// Any character but the surrogates; most are in the first plane.
function any() {
  const c = below(4) === 0 ? below(0x110000) : below(0xffff);
  return char(c >= 0xd800 && c <= 0xdfff ? c - 0x800 : c);
}

// One text. What counts as a unit here only steers its length.
function text() {
  const kind = below(100);
  const often = pick([0, 1, 5, 30, 100]);
  const groups = [pick(GROUPS), pick(GROUPS), pick(GROUPS), BASIC];
  const plain = [20, 60, 95][below(3)];
  const edge = pick(EDGES);
  const target = below(8) === 0 ? below(500) : edge - 4 + below(9);
  // From here on special characters may come: anywhere, or only around the edge.
  const from = below(2) === 0 ? 0 : Math.max(0, target - 1 - below(8));
  let out = '';
  let units = 0;
  while (units < target) {
    let c;
    if (units < from) c = kind < 75 ? pick(BASIC) : pick(groups[3]);
    else if (kind < 60) c = gsm(often);
    else if (kind < 70) c = below(100) === 0 ? pick(groups[0]) : gsm(often);
    else if (kind < 95) c = below(100) < plain ? pick(BASIC) : pick(groups[below(4)]);
    else c = any();
    out += c;
    units += kind < 60 && EXTENSION.includes(c) ? 2 : c.length;
  }
  return out;
}

const fnv = (hash, number) => Math.imul(hash ^ number, 16777619);
const hex = (hash) => (hash >>> 0).toString(16).padStart(8, '0');

// A line: a hundred texts. A letter for each (a, b, c … for 1, 2, 3 … segments of GSM-7, A, B, C … of UCS-2), then a digest of the
// texts and of where they are cut.
function texts(seed, many) {
  state = seed;
  for (let line = 0; line < many / 100; line++) {
    let letters = '';
    let hash = 2166136261;
    for (let n = 0; n < 100; n++) {
      const body = text();
      for (let i = 0; i < body.length; i++) hash = fnv(hash, body.charCodeAt(i));
      const message = new SegmentedMessage(body);
      const first = message.encodingName === 'GSM-7' ? 97 : 65;
      letters += char(first + message.segmentsCount - 1);
      for (const segment of message.segments) {
        let units = 0;
        for (const c of segment) if (!c.isUserDataHeader) units += c.raw.length;
        hash = fnv(hash, units);
      }
    }
    console.log(`${letters} ${hex(hash)}`);
  }
}

// Every code point of the planes that hold anything: whether it is 7-bit and its units, and whether it joins what stands
// before or behind it; and every sequence of five classes. The first line is the 7-bit alphabet; then one digest for each
// 4,096 code points; then one for the sequences that begin with each class.
function clusters() {
  const alphabet = [];
  const digests = [];
  const splitter = new GraphemeSplitter();
  const before = ['a', '\u200d', '\u1100', '\uac00', char(0x1f1e6), '\u0600', char(0x1f466)];
  const behind = ['\u0301', char(0x1f3fb), '\u1161', '\u11a8', char(0x1f1e6)];
  const planes = [[0, 0x30000], [0xe0000, 0xe2000]];
  for (const [first, end] of planes) {
    let hash = 2166136261;
    for (let c = first; c < end; c++) {
      const surrogate = c >= 0xd800 && c <= 0xdfff;
      if (!surrogate) {
        const message = new SegmentedMessage(char(c));
        if (message.encodingName === 'GSM-7') {
          alphabet.push(`${c.toString(16)}:${message.messageSize / 7}`);
        }
        let bits = 0;
        for (const other of before) bits = bits * 2 + splitter.countGraphemes(other + char(c)) - 1;
        for (const other of behind) bits = bits * 2 + splitter.countGraphemes(char(c) + other) - 1;
        hash = fnv(hash, bits);
      }
      if (c % 4096 === 4095) {
        digests.push(hex(hash));
        hash = 2166136261;
      }
    }
  }
  const classes = [...'a\r\u0301\u0903\u0600\u200d\u2764\u261d\u1100\u1161\u11a8\uac00\uac01'];
  classes.push(char(0x1f466), char(0x1f3fb), char(0x1f1e6));
  for (const first of classes) {
    let hash = 2166136261;
    for (let n = 0; n < 65536; n++) {
      const rest = [n >> 12, n >> 8, n >> 4, n].map((at) => classes[at & 15]).join('');
      for (const cluster of splitter.splitGraphemes(first + rest)) hash = fnv(hash, cluster.length);
    }
    digests.push(hex(hash));
  }
  console.log(alphabet.join(' '));
  console.log(digests.join('\n'));
}

const [what, seed, many] = process.argv.slice(2);
if (what === 'texts') texts(Number(seed), Number(many));
else if (what === 'clusters') clusters();
else throw new Error('usage: node generate.js texts SEED HOW-MANY | clusters');
