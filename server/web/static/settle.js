// The settlement of a day, computed again from what everybody can read: the events before the
// freeze and the rules of the day (docs/reference/epochs.md). Independent of the server's code, and
// exact: numbers are whole multiples of a power of ten, as BigInt.

import { canonicalJson, hex, sha256 } from "./verify.js";

// ------------------------------------------------------------------ decimals

// `digits / 10^scale`
const decimal = (digits, scale = 0) => ({ digits: BigInt(digits), scale });
const ZERO = decimal(0);
const ONE = decimal(1);
const power = (n) => 10n ** BigInt(n);

function parse(text) {
  const [, sign, whole, part = "", exponent = "0"] = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(String(text)) ?? [];
  if (whole === undefined) throw new SyntaxError(`${text} is no number.`);
  const scale = part.length - Number(exponent);
  const digits = BigInt(`${sign}${whole}${part}`);
  return scale >= 0 ? decimal(digits, scale) : decimal(digits * power(-scale));
}

const raised = (one, scale) => one.digits * power(scale - one.scale);
function plus(one, other) {
  const scale = Math.max(one.scale, other.scale);
  return decimal(raised(one, scale) + raised(other, scale), scale);
}
const times = (one, other) => decimal(one.digits * other.digits, one.scale + other.scale);

// A quotient of whole numbers, rounded half to even.
function rounded(above, below) {
  const isNegative = above < 0n;
  const [top, half] = [isNegative ? -above : above, below / 2n];
  let whole = top / below;
  const rest = top % below;
  const isTie = rest * 2n === below;
  if (isTie ? whole % 2n : rest > half) whole += 1n;
  return isNegative ? -whole : whole;
}

const quantized = (one, scale) => one.scale <= scale
  ? decimal(raised(one, scale), scale)
  : decimal(rounded(one.digits, power(one.scale - scale)), scale);
const divided = (one, other, scale) => {
  const common = Math.max(one.scale, other.scale);
  return decimal(rounded(raised(one, common) * power(scale), raised(other, common)), scale);
};

// The server computes with 60 digits; a claim repeated hundreds of times would have thousands.
const DIGITS_MAX = 60;
function bounded(one) {
  const extra = (one.digits < 0n ? -one.digits : one.digits).toString().length - DIGITS_MAX;
  return extra > 0 && extra <= one.scale ? quantized(one, one.scale - extra) : one;
}

function written({ digits, scale }) {
  const isNegative = digits < 0n;
  const text = (isNegative ? -digits : digits).toString().padStart(scale + 1, "0");
  const whole = text.slice(0, text.length - scale);
  return `${isNegative ? "-" : ""}${whole}${scale ? `.${text.slice(text.length - scale)}` : ""}`;
}
const trimmed = (text) => (text.includes(".") ? text.replace(/\.?0+$/, "") : text);

// ------------------------------------------------------------------ holds

// Microseconds since 1970, which a number holds exactly.
export function micros(time) {
  const [, second, part = ""] = /^(.*?:\d\d)(?:\.(\d{1,6}))?Z$/.exec(time);
  return Date.parse(`${second}Z`) * 1000 + Number(part.padEnd(6, "0"));
}

const inOrder = (events) => [...events].sort((one, other) => Number(one.version) - Number(other.version));
const isClaim = ({ event }) => event === "slot_claimed" || event === "slot_overwritten";

function* holds(events, frozenAt, rules) {
  const open = new Map();
  const factor = parse(rules.rapid_factor);
  const end = (hold, at) => ({ ...hold, until: Math.max(at, hold.since) });
  for (const event of inOrder(events).filter(isClaim)) {
    const [slot, at] = [String(event.slot_index), micros(event.at)];
    const present = open.get(slot);
    if (present?.bot === event.bot_id) {
      const isRapid = at - present.claimedAt < Number(rules.rapid_s) * 1e6;
      present.last = isRapid ? bounded(times(present.last, factor)) : ONE;
      present.claimedAt = at;
      present.claims += 1;
      present.credit = bounded(plus(present.credit, present.last));
      continue;
    }
    if (present) yield end(present, at);
    open.set(slot, { bot: event.bot_id, since: at, isDefense: Boolean(present), claims: 1, credit: ONE, claimedAt: at, last: ONE });
  }
  for (const last of open.values()) yield end(last, frozenAt);
}

// ------------------------------------------------------------------ votes

const QUALITY_SCALE = 6;
function voteQualities(events) {
  const last = new Map();
  for (const { event, payload } of inOrder(events)) {
    if (event === "vote_cast" && payload.target_type === "bot") {
      last.set(`${payload.ballot} ${payload.target_id}`, { bot: payload.target_id, score: parse(payload.score), weight: parse(payload.weight) });
    }
  }
  const totals = new Map();
  for (const { bot, score, weight } of last.values()) {
    const [weighted, weights] = totals.get(bot) ?? [ZERO, ZERO];
    totals.set(bot, [plus(weighted, times(score, weight)), plus(weights, weight)]);
  }
  return new Map([...totals].filter(([, [, weights]]) => weights.digits)
    .map(([bot, [weighted, weights]]) => [bot, divided(weighted, weights, QUALITY_SCALE)]));
}

// ------------------------------------------------------------------ shares

// Whole units by weight: rounded down, and what is left to the largest remainders, ties by id.
function apportion(units, weights) {
  const total = [...weights.values()].reduce((sum, weight) => sum + weight, 0n);
  if (!total) return new Map([...weights.keys()].map((who) => [who, 0n]));
  const shares = new Map([...weights].map(([who, weight]) => [who, (units * weight) / total]));
  const left = units - [...shares.values()].reduce((sum, share) => sum + share, 0n);
  const rest = (who) => (units * weights.get(who)) % total;
  const line = [...weights.keys()].sort((one, other) =>
    (rest(one) === rest(other) ? (one < other ? -1 : 1) : rest(one) < rest(other) ? 1 : -1));
  for (const who of line.slice(0, Number(left))) shares.set(who, shares.get(who) + 1n);
  return shares;
}

const RAW_SCALE = 8;
const SHARE_SCALE = 12;
const BASIS_POINTS = 10_000n;

// What each bot did and gets, by id, in the fields of a published result.
export function settleDay({ events, frozenAt, rules, poolWei }) {
  const deeds = new Map();
  for (const hold of holds(events, frozenAt, rules)) {
    const did = deeds.get(hold.bot) ?? { occupied: 0, defense: 0, claims: 0, credit: ZERO };
    deeds.set(hold.bot, did);
    const seconds = Math.floor((hold.until - hold.since) / 1e6);
    if (seconds < Number(rules.minimum_hold_s)) continue;
    did.occupied += seconds;
    did.defense += hold.isDefense ? seconds : 0;
    did.claims += hold.claims;
    did.credit = bounded(plus(did.credit, hold.credit));
  }
  const qualities = voteQualities(events);
  const bots = [...new Set([...deeds.keys(), ...qualities.keys()])].sort();
  const raw = new Map(bots.map((bot) => {
    const did = deeds.get(bot);
    const terms = [["time", decimal(did?.occupied ?? 0)], ["claim", did?.credit ?? ZERO], ["defense", decimal(did?.defense ?? 0)], ["vote", qualities.get(bot) ?? ZERO]];
    const sum = terms.reduce((total, [name, what]) => plus(total, times(parse(rules.weights[name]), what)), ZERO);
    return [bot, quantized(sum, RAW_SCALE)];
  }));
  const weights = new Map([...raw].map(([bot, { digits }]) => [bot, digits > 0n ? digits : 0n]));
  const [shares, points, wei] = [power(SHARE_SCALE), BASIS_POINTS, BigInt(poolWei)].map((units) => apportion(units, weights));
  return bots.map((bot) => ({
    bot_id: bot,
    occupied_seconds: deeds.get(bot)?.occupied ?? 0,
    successful_claims: deeds.get(bot)?.claims ?? 0,
    defense_seconds: deeds.get(bot)?.defense ?? 0,
    vote_quality: qualities.has(bot) ? written(qualities.get(bot)) : "0",
    raw_score: written(raw.get(bot)),
    share: trimmed(written(decimal(shares.get(bot), SHARE_SCALE))),
    bps: Number(points.get(bot)),
    amount_wei: wei.get(bot).toString(),
  }));
}

// ------------------------------------------------------------------ a whole day

const isFreeze = ({ event, payload }) => event === "phase_changed" && payload.phase === "freeze";

export function beforeFreeze(events) {
  const ordered = inOrder(events);
  const at = ordered.findIndex(isFreeze);
  return at < 0 ? ordered : ordered.slice(0, at);
}

export function eventsDigest(events) {
  const lines = inOrder(events).map(({ at, bot_id, event, payload, slot_index, version }) =>
    `${canonicalJson({ at, bot_id, event, payload, slot_index, version })}\n`);
  return hex(sha256(lines.join("")));
}

// Compares what was published of a day with what its events come to. `events`, `profile` and
// `payouts` come from `parseJson`, so that the digest is of what was sent. One entry a check:
// what was `published`, what was `computed`, and whether they agree.
export function checkDay({ day, profile, events, payouts }) {
  const ordered = inOrder(events);
  const numbers = ordered.map(({ version }) => Number(version));
  const expected = Array.from({ length: Number(day.version) }, (_, n) => n + 1);
  const frozen = beforeFreeze(ordered);
  const result = payouts.settlements[0]?.result;
  const rules = profile.config.settlement;
  const computed = settleDay({ events: frozen, frozenAt: micros(day.frozen_at), rules, poolWei: day.pool_wei });
  const checks = [{ check: "versions", published: expected.length, computed: numbers.filter((number, n) => number === n + 1).length }];
  const digest = eventsDigest(frozen);
  checks.push({ check: "digest", published: day.events_digest, computed: digest });
  if (result) checks.push({ check: "settled_digest", published: result.events_digest, computed: digest });
  const published = new Map((result?.bots ?? []).map((bot) => [bot.bot_id, bot]));
  for (const bot of computed) {
    for (const field of ["raw_score", "bps", "amount_wei"]) {
      const kept = published.get(bot.bot_id)?.[field];
      checks.push({ check: field, bot_id: bot.bot_id, published: kept === undefined ? null : trimmed(String(kept?.text ?? kept)), computed: trimmed(String(bot[field])) });
    }
    published.delete(bot.bot_id);
  }
  for (const bot_id of published.keys()) checks.push({ check: "raw_score", bot_id, published: "", computed: null });
  for (const paid of payouts.payouts) {
    const due = computed.find(({ bot_id }) => bot_id === paid.bot_id);
    checks.push({ check: "payout", bot_id: paid.bot_id, published: String(paid.amount_wei), computed: due?.amount_wei ?? null });
  }
  for (const each of checks) each.ok = each.published === each.computed;
  return { ok: checks.every((each) => each.ok), checks, bots: computed };
}
