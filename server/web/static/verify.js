// Verification of a finished game, independent of the server's code: the hash chain, the seed, the
// deal and commitments, as docs/explanation/fairness.md describes them. It needs nothing but the
// text of the log: no WebCrypto (which plain http does not have), no SDK, no page.
//
// The chain is over the bytes of payloads, so their numbers must stay as they are written: `1.0` is
// not `1`, and a number above 2^53 is not what `JSON.parse` makes of it. `parseJson` keeps them.

// ------------------------------------------------------------------ JSON, without a loss

// A number as it is written.
export class JsonNumber {
  constructor(text) { this.text = text; }
  valueOf() { return Number(this.text); }
  toString() { return this.text; }
}

const TOKEN = /[ \t\n\r]*(?:([{}[\],:])|("[^"\\]*(?:\\.[^"\\]*)*")|(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|(true|false|null))/y;
const DEPTH_MAX = 200;

// Parses JSON; numbers become `JsonNumber`, objects have no prototype.
export function parseJson(text) {
  let at = 0;
  const next = () => {
    TOKEN.lastIndex = at;
    const token = TOKEN.exec(text);
    if (!token) throw new SyntaxError(`This is no JSON at character ${at}.`);
    at = TOKEN.lastIndex;
    return token;
  };
  const list = (end, depth, take) => {
    const start = at;
    if (next()[1] === end) return;
    at = start;
    for (let mark = ","; mark !== end; mark = next()[1]) {
      if (mark !== ",") throw new SyntaxError(`A comma is missing at character ${at}.`);
      take(depth);
    }
  };
  const value = (depth) => {
    if (depth > DEPTH_MAX) throw new SyntaxError("This JSON is nested too deeply.");
    const [, mark, string, number, word] = next();
    if (string !== undefined) return JSON.parse(string);
    if (number !== undefined) return new JsonNumber(number);
    if (word !== undefined) return JSON.parse(word);
    if (mark === "[") {
      const items = [];
      list("]", depth + 1, (inner) => items.push(value(inner)));
      return items;
    }
    if (mark !== "{") throw new SyntaxError(`A value is missing at character ${at}.`);
    const object = Object.create(null);
    list("}", depth + 1, (inner) => {
      const name = value(inner);
      if (typeof name !== "string" || next()[1] !== ":") throw new SyntaxError(`A name is missing at character ${at}.`);
      object[name] = value(inner);
    });
    return object;
  };
  const parsed = value(0);
  if (text.slice(at).trim()) throw new SyntaxError(`This JSON goes on at character ${at}.`);
  return parsed;
}

// Names in the order of their code points, which for characters beyond U+FFFF is not that of `sort()`.
function byCodePoint(one, other) {
  const [a, b] = [[...one], [...other]];
  for (let n = 0; n < Math.min(a.length, b.length); n += 1) {
    if (a[n] !== b[n]) return a[n].codePointAt(0) - b[n].codePointAt(0);
  }
  return a.length - b.length;
}

// The canonical text: sorted names, no white space, numbers as they were written.
export function canonicalJson(value) {
  if (value instanceof JsonNumber) return value.text;
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const names = Object.keys(value).sort(byCodePoint);
  return `{${names.map((name) => `${JSON.stringify(name)}:${canonicalJson(value[name])}`).join(",")}}`;
}

// ------------------------------------------------------------------ bytes

const utf8 = new TextEncoder();
export const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
export const unhex = (text) => Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));

function joined(...parts) {
  const all = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

// ------------------------------------------------------------------ SHA-256 (FIPS 180-4)

// The first 32 bits of the fractional parts of roots of the first primes.
const PRIMES = [];
for (let n = 2; PRIMES.length < 64; n += 1) if (PRIMES.every((prime) => n % prime)) PRIMES.push(n);
const fraction = (root) => Math.floor((root % 1) * 2 ** 32) | 0;
const SHA_START = PRIMES.slice(0, 8).map((prime) => fraction(Math.sqrt(prime)));
const SHA_ROUND = PRIMES.map((prime) => fraction(Math.cbrt(prime)));

export function sha256(data) {
  const bytes = typeof data === "string" ? utf8.encode(data) : data;
  const padded = new Uint8Array(Math.ceil((bytes.length + 9) / 64) * 64);
  padded.set(bytes);
  padded[bytes.length] = 0x80;
  const view = new DataView(padded.buffer);
  view.setUint32(padded.length - 8, Math.floor(bytes.length / 2 ** 29));
  view.setUint32(padded.length - 4, bytes.length * 8);
  const state = Int32Array.from(SHA_START);
  const words = new Int32Array(64);
  const turn = (word, by) => (word >>> by) | (word << (32 - by));
  for (let block = 0; block < padded.length; block += 64) {
    for (let n = 0; n < 16; n += 1) words[n] = view.getInt32(block + 4 * n);
    for (let n = 16; n < 64; n += 1) {
      const [a, b] = [words[n - 15], words[n - 2]];
      words[n] = words[n - 16] + (turn(a, 7) ^ turn(a, 18) ^ (a >>> 3)) + words[n - 7] + (turn(b, 17) ^ turn(b, 19) ^ (b >>> 10));
    }
    let [a, b, c, d, e, f, g, h] = state;
    for (let n = 0; n < 64; n += 1) {
      const one = (h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & f) ^ (~e & g)) + SHA_ROUND[n] + words[n]) | 0;
      const two = ((turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      [h, g, f, e, d, c, b, a] = [g, f, e, (d + one) | 0, c, b, a, (one + two) | 0];
    }
    [a, b, c, d, e, f, g, h].forEach((word, n) => { state[n] += word; });
  }
  const digest = new DataView(new ArrayBuffer(32));
  state.forEach((word, n) => digest.setInt32(4 * n, word));
  return new Uint8Array(digest.buffer);
}

// ------------------------------------------------------------------ BLAKE2b (RFC 7693)

// 64-bit words as two halves, the low one first: BigInt would take ten times as long.
const IV = Uint32Array.of(
  0xf3bcc908, 0x6a09e667, 0x84caa73b, 0xbb67ae85, 0xfe94f82b, 0x3c6ef372, 0x5f1d36f1, 0xa54ff53a,
  0xade682d1, 0x510e527f, 0x2b3e6c1f, 0x9b05688c, 0xfb41bd6b, 0x1f83d9ab, 0x137e2179, 0x5be0cd19);
const SIGMA = [
  "0123456789abcdef", "ea489fd61c02b753", "b8c052fdae367194", "7931dcbe265a40f8", "905724afe1bc683d",
  "2c6a0b834d75fe19", "c51fed4a0763928b", "db7ec13950f4862a", "6fe9b308c2d714a5", "a2847615fb9e3cd0",
].map((row) => [...row].map((digit) => parseInt(digit, 16)));
const LANES = [[0, 4, 8, 12], [1, 5, 9, 13], [2, 6, 10, 14], [3, 7, 11, 15], [0, 5, 10, 15], [1, 6, 11, 12], [2, 7, 8, 13], [3, 4, 9, 14]];
const BLOCK = 128;

const work = new Uint32Array(32);
const message = new Uint32Array(32);

// work[a] += work[b], and the same with a word of the message.
function add(a, low, high) {
  const sum = work[2 * a] + low;
  work[2 * a + 1] += high + (sum > 0xffffffff ? 1 : 0);
  work[2 * a] = sum;
}

// work[a] = (work[a] ^ work[b]) turned right by some bits.
function mix(a, b, bits) {
  const low = work[2 * a] ^ work[2 * b];
  const high = work[2 * a + 1] ^ work[2 * b + 1];
  if (bits === 32) [work[2 * a], work[2 * a + 1]] = [high, low];
  else if (bits === 63) [work[2 * a], work[2 * a + 1]] = [(low << 1) | (high >>> 31), (high << 1) | (low >>> 31)];
  else [work[2 * a], work[2 * a + 1]] = [(low >>> bits) | (high << (32 - bits)), (high >>> bits) | (low << (32 - bits))];
}

function compress(state, bytes, at, counted, isLast) {
  work.set(state);
  work.set(IV, 16);
  work[24] ^= counted; // bytes so far: far below 4 GiB, so the words above it stay as they are
  if (isLast) {
    work[28] = ~work[28];
    work[29] = ~work[29];
  }
  for (let n = 0; n < 32; n += 1) {
    const from = at + 4 * n;
    message[n] = bytes[from] | (bytes[from + 1] << 8) | (bytes[from + 2] << 16) | (bytes[from + 3] << 24);
  }
  for (let round = 0; round < 12; round += 1) {
    const order = SIGMA[round % 10];
    for (let lane = 0; lane < 8; lane += 1) {
      const [a, b, c, d] = LANES[lane];
      const [x, y] = [2 * order[2 * lane], 2 * order[2 * lane + 1]];
      add(a, work[2 * b], work[2 * b + 1]);
      add(a, message[x], message[x + 1]);
      mix(d, a, 32);
      add(c, work[2 * d], work[2 * d + 1]);
      mix(b, c, 24);
      add(a, work[2 * b], work[2 * b + 1]);
      add(a, message[y], message[y + 1]);
      mix(d, a, 16);
      add(c, work[2 * d], work[2 * d + 1]);
      mix(b, c, 63);
    }
  }
  for (let n = 0; n < 16; n += 1) state[n] ^= work[n] ^ work[n + 16];
}

export function blake2b(data, size, key = new Uint8Array(0)) {
  const state = Uint32Array.from(IV);
  state[0] ^= 0x01010000 ^ (key.length << 8) ^ size;
  const start = key.length ? BLOCK : 0;
  const length = start + data.length;
  const blocks = Math.max(1, Math.ceil(length / BLOCK));
  const padded = new Uint8Array(blocks * BLOCK);
  padded.set(key);
  padded.set(data, start);
  for (let n = 1; n <= blocks; n += 1) {
    const isLast = n === blocks;
    compress(state, padded, (n - 1) * BLOCK, isLast ? length : n * BLOCK, isLast);
  }
  return Uint8Array.from({ length: size }, (_, n) => state[n >> 2] >>> (8 * (n & 3)));
}

// ------------------------------------------------------------------ chance

const WORD = (1n << 64n) - 1n;

// SplitMix64, seeded with the first 8 bytes of the SHA-256 of a text.
export class Chance {
  constructor(seed) {
    this.state = BigInt(`0x${hex(sha256(seed).slice(0, 8))}`);
  }

  next64() {
    this.state = (this.state + 0x9e3779b97f4a7c15n) & WORD;
    let z = this.state;
    z = ((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n) & WORD;
    z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & WORD;
    return z ^ (z >> 31n);
  }

  // From 0 to n - 1; numbers that would introduce a bias are drawn again.
  below(n) {
    const size = BigInt(n);
    const limit = ((WORD + 1n) / size) * size;
    let drawn = this.next64();
    while (drawn >= limit) drawn = this.next64();
    return Number(drawn % size);
  }

  // Fisher–Yates, from the last to the second.
  shuffled(items) {
    const out = [...items];
    for (let n = out.length - 1; n > 0; n -= 1) {
      const other = this.below(n + 1);
      [out[n], out[other]] = [out[other], out[n]];
    }
    return out;
  }
}

// ------------------------------------------------------------------ the chain

const HASH_BYTES = 16;

function linkHash(previous, index, event) {
  const number = new Uint8Array(4);
  new DataView(number.buffer).setUint32(0, index);
  const body = utf8.encode(`${event.event}\0${canonicalJson(event.payload)}`);
  return blake2b(joined(previous, number, body), HASH_BYTES);
}

// What an event at this place links to its predecessor is another one's: it was moved.
const REACH = 50;
function whoBelongs(previous, index, events) {
  for (let at = Math.max(0, index - REACH); at < Math.min(events.length, index + REACH); at += 1) {
    if (at !== index && hex(linkHash(previous, index, events[at])) === events[at].hash) return at;
  }
  return null;
}

function* chainProblems(gameId, events) {
  let previous = unhex(gameId.replaceAll("-", ""));
  for (const [index, event] of events.entries()) {
    const stated = Number(event.event_index);
    if (stated !== index) yield { check: "order", problem: "misplaced", index, stated };
    const hash = linkHash(previous, index, event);
    if (hex(hash) !== event.hash) {
      const belongs = whoBelongs(previous, index, events);
      if (belongs !== null) yield { check: "order", problem: "moved", index, belongs };
      yield { check: "chain", problem: "changed", index };
    }
    // From here on as the log says, so that one change is found once.
    previous = /^[0-9a-f]{32}$/.test(event.hash) ? unhex(event.hash) : hash;
  }
}

// ------------------------------------------------------------------ seeds and deals

function* endProblems(events) {
  const last = events.length - 1;
  if (events[0]?.event !== "game_created") yield { check: "order", problem: "no_beginning", index: 0 };
  if (events[last]?.event !== "game_completed") yield { check: "order", problem: "no_end", index: last };
}

function* seedProblems(events) {
  const committed = events[0]?.payload?.seed_hash;
  const seed = events.at(-1)?.payload?.session_seed;
  if (typeof seed !== "string") yield { check: "seed", problem: "not_revealed", index: events.length - 1 };
  else if (hex(sha256(seed)) !== committed) yield { check: "seed", problem: "another_seed", index: events.length - 1 };
}

const SUITS = ["spades", "hearts", "diamonds", "clubs"];
const RANKS = ["2", "3", "4", "5", "6", "7", "8", "9", "10", "J", "Q", "K", "A"];

function* elDoradoProblems(events, seed) {
  const players = events[0].payload.players.map((seat) => seat.player_id);
  const decks = players.length <= 5 ? 1 : 2;
  const pack = Array.from({ length: decks }, (_, deck) =>
    SUITS.flatMap((suit) => RANKS.map((rank) => `d${deck}:${suit}:${rank}`))).flat();
  let [round, cards, rest] = [0, 0, []];
  for (const [index, { event, payload }] of events.entries()) {
    if (event === "round_started") {
      [round, cards] = [Number(payload.round), Number(payload.cards)];
      rest = new Chance(hex(sha256(`${seed}:round:${round}`))).shuffled(pack);
    } else if (event === "cards_dealt") {
      const playing = players.filter((player) => player in payload.hands);
      const dealt = rest.splice(0, playing.length * cards);
      const hands = Object.fromEntries(playing.map((player, n) =>
        [player, dealt.filter((_, at) => at % playing.length === n)]));
      if (canonicalJson(hands) !== canonicalJson(payload.hands)) yield { check: "deal", problem: "other_hands", index, round };
    } else if (event === "trump_revealed" && rest[0] !== payload.card) {
      yield { check: "deal", problem: "other_trump", index, round };
    }
  }
}

// Rulesets whose deals this page can compute; of others, the chain and the seed are checked.
const DEALS = { el_dorado: elDoradoProblems };

function problemsOf(check) {
  try {
    return [...check];
  } catch {
    return [{ check: "deal", problem: "unreadable", index: 0 }];
  }
}

// Verifies a whole log. `events` come from `parseJson`. The answer has one entry for each check:
// `count` says how much was checked (null: this ruleset has no such check), `problems` what is wrong.
export function verifyLog(gameId, events) {
  const problems = [...endProblems(events), ...chainProblems(gameId, events), ...seedProblems(events)];
  const ruleset = events[0]?.payload?.ruleset;
  const seed = events.at(-1)?.payload?.session_seed;
  const deal = Object.hasOwn(DEALS, ruleset) && typeof seed === "string" ? DEALS[ruleset] : null;
  if (deal) problems.push(...problemsOf(deal(events, seed)));
  const counts = {
    order: events.length,
    chain: events.length,
    seed: 1,
    deal: deal ? events.filter(({ event }) => event === "cards_dealt").length : null,
  };
  const checks = Object.entries(counts).map(([check, count]) =>
    ({ check, count, problems: problems.filter((each) => each.check === check) }));
  return { ok: problems.length === 0, checks, ruleset, seed };
}

// What a log up to event `head` commits to, to compare with what was kept while it was played.
export function commitmentTo(events, head) {
  const seed = events.at(-1).payload.session_seed;
  return hex(blake2b(unhex(events[head].hash), HASH_BYTES, sha256(`${seed}:chain`)));
}

// Reads a whole log. `read` gives the text at an address, which `JSON.parse` would not leave whole.
const PAGE = 1000;
export async function readLog(gameId, read) {
  const events = [];
  let head = 0;
  while (events.length <= head) {
    const page = parseJson(await read(`/v1/games/${gameId}/events?limit=${PAGE}&after=${events.length - 1}`));
    if (!page.events.length) break;
    events.push(...page.events);
    head = Number(page.head);
  }
  return events;
}
