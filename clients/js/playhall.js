/**
 * The JavaScript client of Playhall, for browsers, Node 22, Deno and bundlers. No dependencies.
 *
 *     import { connect } from "/sdk/playhall.js";
 *     const client = await connect(location.origin, { name: "Ada" });
 *     const game = await client.lobbies.quickPlay("four_in_a_row");
 *     for await (const event of game) {
 *       const { legal_moves } = await game.view();
 *       if (legal_moves?.length) await game.act(legal_moves[0]);
 *     }
 *
 * What it sees to, in this order on every connection: `session.hello`; `game.resume` (or
 * `game.watch`) for every followed game, from the event after its last one; `lobby.watch` for every
 * followed lobby; then commands, events, updates, and a `session.ping` each heartbeat. When the
 * websocket closes, commands that only read are sent again on the next one, moves are repeated under
 * the numbers that they had, and all others fail with `ConnectionLost`, since nobody knows whether
 * they were executed.
 *
 * @module playhall
 */

export const VERSION = "0.1.0";
const SUBPROTOCOL = "playhall.v1";

/* Every buffer, retry and wait has a bound. */
const CALL_TIMEOUT_MS = 30_000;
const OPEN_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 30_000;
const SIGN_IN_TRIES_MAX = 20;
const EVENTS_MAX = 1024; // of a game that wait to be read; the rest is asked for again
const UPDATES_MAX = 256; // that wait to be read by one iterator; the oldest go first
const MOVES_MAX = 64; // of a game under way at once
const MOVE_TRIES_MAX = 40;
const REDIRECTS_MAX = 5; // in a row, without a game that could be resumed
const SILENT_INTERVALS = 3; // heartbeats without a frame, after which the connection is dead
const RENEW_AT_SHARE = 0.7; // of a token's life
const BACKOFF_BASE_MS = 100;
const BACKOFF_CAP_MS = 10_000;

/* Close codes. From 4100 to 4199 they mean "do not come back". After `superseded` two clients of one
   account would keep closing each other, so it is final here, although the code would allow more. */
const ABNORMAL = 1006;
const SUPERSEDED = 4002;
const TOKEN_EXPIRED = 4105;

/** Commands that only read or only set what the server sends, so that they may be sent again. */
const REPEATABLE = new Set([
  "session.ping", "game.snapshot", "game.unwatch", "lobby.list", "lobby.watch", "lobby.unwatch",
  "lobby.peer_access", "epoch.watch", "epoch.unwatch", "epoch.events", "tournament.watch",
  "tournament.unwatch", "notifications.watch", "notifications.unwatch", "progress.watch",
  "progress.unwatch", "feed.watch", "feed.unwatch",
]);

/** @typedef {Record<string, any>} Json A JSON object. */
/** @typedef {import("./protocol.d.ts").Endpoints} Endpoints */
/** @typedef {import("./protocol.d.ts").Commands} Commands */
/**
 * @typedef {object} RequestOptions
 * @property {Record<string, string>} [headers]
 * @property {AbortSignal} [signal]
 * @property {boolean} [auth] false leaves the request unsigned
 */

// ---------------------------------------------------------------------------------------- errors

/** Base of everything that this client throws. */
export class ClientError extends Error {
  /** @param {string} message */
  constructor(message) {
    super(message);
    this.name = new.target.name;
  }
}

/**
 * The server refused a command or a request. `code` is stable and for programs; `message` is for
 * people; `field` is the field at fault; `retry` says whether the same may succeed later.
 */
export class RequestRefused extends ClientError {
  /**
   * @param {Json} reply an error of the server's
   * @param {number} [status] of the HTTP response
   */
  constructor(reply, status) {
    super(String(reply.message ?? ""));
    this.code = String(reply.code ?? "unknown");
    this.field = /** @type {string | null} */ (reply.field ?? null);
    this.retry = Boolean(reply.retry);
    this.status = status ?? null;
    /** Set where the refusal itself is in the game's log. */
    this.event_index = /** @type {number | null} */ (reply.event_index ?? null);
    /** Seconds until the request can succeed, if known. */
    this.wait_s = /** @type {number | null} */ (reply.wait_s ?? null);
    /** With `wrong_node`: the URL of the server to connect to. */
    this.address = /** @type {string | null} */ (reply.address ?? null);
    /** Everything that the server said. */
    this.details = reply;
  }
}

/** The connection is gone, and with it what was not answered. */
export class ConnectionLost extends ClientError {
  /**
   * @param {string} message
   * @param {string} [reason] of the close, such as `superseded`
   */
  constructor(message, reason = "") {
    super(message);
    this.reason = reason;
  }
}

/** The server sent another event than the one that comes next. */
export class EventOutOfOrder extends ClientError {}

/** Nothing that speaks Playhall's protocol answers, or it does not let this page ask. */
export class ServerUnreachable extends ClientError {}

/** There is nobody signed in. */
export class SignedOut extends ClientError {
  constructor() {
    super("Nobody is signed in; sign in first.");
  }
}

// --------------------------------------------------------------------------------------- helpers

/**
 * Draw a pause: from 0 to a bound that doubles with each attempt ("full jitter"), so that clients
 * which were disconnected together do not come back together.
 * @param {number} attempt
 */
export function fullJitterPauseMs(attempt, baseMs = BACKOFF_BASE_MS, capMs = BACKOFF_CAP_MS) {
  return Math.random() * Math.min(capMs, baseMs * 2 ** Math.min(attempt, 30));
}

/** @param {number} ms */
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

/** A promise with its two ends. @template T */
class Deferred {
  constructor() {
    /** @type {(value: T) => void} */
    this.resolve = () => {};
    /** @type {(error: unknown) => void} */
    this.reject = () => {};
    /** @type {Promise<T>} */
    this.promise = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    this.promise.catch(() => {}); // callers that await it get the error; without any, it is not "unhandled"
  }
}

/** Functions to be called with what happens, by its name. */
class Emitter {
  /** @type {Map<string, Set<(value: any) => void>>} */
  #listeners = new Map();

  /**
   * Call a function whenever something happens; returns a function that stops it.
   * @param {string} type
   * @param {(value: any) => void} listener
   * @returns {() => void}
   */
  on(type, listener) {
    const listeners = this.#listeners.get(type) ?? new Set();
    this.#listeners.set(type, listeners.add(listener));
    return () => { listeners.delete(listener); };
  }

  /**
   * A listener's failure is its own: it is reported, and everything else goes on.
   * @param {string} type
   * @param {any} value
   */
  emit(type, value) {
    for (const listener of [...(this.#listeners.get(type) ?? [])]) {
      try {
        listener(value);
      } catch (error) {
        reportError(error);
      }
    }
  }
}

/** @param {unknown} error */
function reportError(error) {
  if (typeof globalThis.reportError === "function") globalThis.reportError(error);
  else console.error(error);
}

/**
 * Give what a JSON merge patch makes of a value, which stays as it is (RFC 7396, section 2).
 * @param {any} old
 * @param {any} patch
 * @returns {any}
 */
export function applyMergePatch(old, patch) {
  if (patch === null || typeof patch !== "object" || Array.isArray(patch)) return patch;
  const isObject = old !== null && typeof old === "object" && !Array.isArray(old);
  const merged = new Map(isObject ? Object.entries(old) : []);
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) merged.delete(key);
    else merged.set(key, applyMergePatch(merged.get(key), value));
  }
  return Object.fromEntries(merged);
}

// ------------------------------------------------------------------------------ HTTP and accounts

/**
 * @typedef {object} Session Who is signed in.
 * @property {string} access_token
 * @property {string | null} refresh_token null where only an access token was given
 * @property {number} expires_at milliseconds since 1970
 * @property {number} renew_at milliseconds since 1970
 * @property {string} user_id
 * @property {string} player_id
 * @property {string} display_name
 */

/**
 * An account's tokens: renewed in time, and kept in a `Storage` if one is given.
 *
 * A refresh token works once. Tabs of one origin share the stored session, so a tab reads what is
 * stored before it renews, and only one of them does it at a time (Web Locks, where there are any).
 */
class Account extends Emitter {
  /** @type {Session | null} */
  #session = null;
  /** @type {Promise<void> | null} */
  #renewing = null;

  /**
   * @param {(body: Json) => Promise<Json>} refresh asks the server for new tokens
   * @param {Storage | null} storage
   * @param {string} key under which the session is stored
   */
  constructor(refresh, storage, key) {
    super();
    this.refresh = refresh;
    this.storage = storage;
    this.key = key;
    this.#session = this.#stored();
    if (storage && typeof globalThis.addEventListener === "function") {
      globalThis.addEventListener("storage", (event) => {
        if (event.key === this.key || event.key === null) this.#read();
      });
    }
  }

  /** @returns {Session | null} */
  get session() {
    return this.#session;
  }

  /** @param {Json} tokens as the server gives them */
  take(tokens) {
    const life = Number(tokens.expires_in) * 1000;
    this.set({
      access_token: tokens.access_token,
      refresh_token: tokens.refresh_token ?? null,
      expires_at: Date.now() + life,
      renew_at: Date.now() + life * RENEW_AT_SHARE,
      user_id: tokens.user_id,
      player_id: tokens.player_id,
      display_name: tokens.display_name,
    });
  }

  /** @param {Session | null} session */
  set(session) {
    this.#session = session;
    try {
      if (session) this.storage?.setItem(this.key, JSON.stringify(session));
      else this.storage?.removeItem(this.key);
    } catch {
      // A full or forbidden storage: the session lasts as long as this page.
    }
    this.emit("session", session);
  }

  /** Give a token that is valid now, renewed if need be. @returns {Promise<string>} */
  async token() {
    if (!this.#session) throw new SignedOut();
    if (Date.now() >= this.#session.renew_at) {
      try {
        await this.renew(this.#session.access_token);
      } catch (error) {
        // A token that still lives is better than none.
        if (!this.#session || Date.now() >= this.#session.expires_at) throw error;
      }
    }
    return this.#session.access_token;
  }

  /**
   * Get new tokens in place of an old one, unless somebody else has done so meanwhile.
   * @param {string} old
   */
  async renew(old) {
    this.#renewing ??= this.#locked(() => this.#renew(old)).finally(() => { this.#renewing = null; });
    await this.#renewing;
  }

  /** @param {string} old */
  async #renew(old) {
    this.#read();
    const session = this.#session;
    if (!session) throw new SignedOut();
    if (session.access_token !== old) return;
    if (!session.refresh_token) throw new ConnectionLost("The access token has expired.", "token_expired");
    try {
      this.take(await this.refresh({ refresh_token: session.refresh_token }));
    } catch (error) {
      // The session has ended: what is stored is of no use to anybody.
      if (error instanceof RequestRefused && !error.retry && [401, 403].includes(error.status ?? 0)) this.set(null);
      throw error;
    }
  }

  /** @param {() => Promise<void>} work */
  async #locked(work) {
    const locks = this.storage ? globalThis.navigator?.locks : undefined;
    if (locks) await locks.request(`playhall:${this.key}`, work);
    else await work();
  }

  #read() {
    if (!this.storage) return;
    const stored = this.#stored();
    if (stored?.access_token === this.#session?.access_token) return;
    this.#session = stored;
    this.emit("session", stored);
  }

  /** @returns {Session | null} */
  #stored() {
    try {
      const session = JSON.parse(this.storage?.getItem(this.key) ?? "null");
      return typeof session?.access_token === "string" ? session : null;
    } catch {
      return null;
    }
  }
}

/** Requests to one server, signed by its account. */
class Http {
  /** @param {string} url */
  constructor(url) {
    this.url = url;
    /** @type {Account | null} */
    this.account = null;
  }

  /**
   * Send a request as `fetch` does, signed if somebody is signed in; throws `ServerUnreachable`.
   * A token that has just expired is renewed, and the request sent again.
   * @param {string} path
   * @param {RequestInit & { auth?: boolean }} [init] `auth: false` leaves it unsigned
   * @returns {Promise<Response>}
   */
  async fetch(path, { auth = true, ...init } = {}) {
    const account = auth ? this.account : null;
    const token = account?.session ? await account.token() : null;
    const response = await this.#send(path, init, token);
    if (response.status !== 401 || !account || !token || !account.session?.refresh_token) return response;
    const { code } = await response.clone().json().catch(() => ({}));
    if (code !== "token_expired") return response;
    await account.renew(token);
    return this.#send(path, init, await account.token());
  }

  /**
   * @param {string} path
   * @param {RequestInit} init
   * @param {string | null} token
   */
  async #send(path, init, token) {
    const headers = new Headers(init.headers);
    if (token) headers.set("Authorization", `Bearer ${token}`);
    const signal = init.signal ?? AbortSignal.timeout(REQUEST_TIMEOUT_MS);
    try {
      return await fetch(this.url + path, { ...init, headers, signal, credentials: "omit" });
    } catch (error) {
      if (init.signal?.aborted) throw error;
      throw await this.unreachable();
    }
  }

  /**
   * Send JSON, and give the JSON of the answer.
   * @param {string} endpoint such as `GET /v1/games/{game_id}/events`
   * @param {{ path?: Json, query?: Json, body?: unknown, headers?: Record<string, string>,
   *           signal?: AbortSignal, auth?: boolean }} [args]
   * @returns {Promise<any>}
   */
  async request(endpoint, { path = {}, query = {}, body, headers = {}, signal, auth } = {}) {
    const [method, template] = endpoint.split(" ", 2);
    const response = await this.fetch(fillPath(template, path) + queryString(query), {
      method,
      headers: body === undefined ? headers : { "Content-Type": "application/json", ...headers },
      body: body === undefined ? undefined : JSON.stringify(body),
      signal,
      auth,
    });
    return readReply(response);
  }

  /**
   * Say why there was no answer. Browsers do not tell a page whether a server is down or does not
   * let the page read; an opaque request, which needs no permission, tells the two apart.
   * @returns {Promise<ServerUnreachable>}
   */
  async unreachable() {
    const origin = globalThis.location?.origin;
    if (origin && new URL(this.url).origin !== origin) {
      try {
        await fetch(`${this.url}/healthz`, { mode: "no-cors", signal: AbortSignal.timeout(5000) });
        return new ServerUnreachable(
          `${this.url} does not admit pages of ${origin}. Start the server with PLAYHALL_ORIGINS=${origin}`
          + " (several are separated by commas).",
        );
      } catch {
        // It does not answer at all.
      }
    }
    return new ServerUnreachable(`Nothing answers at ${this.url}. Is a server running there, on this port?`);
  }
}

/**
 * @param {string} template
 * @param {Json} values
 */
function fillPath(template, values) {
  return template.replace(/\{(\w+)\}/g, (_, name) => {
    if (values[name] === undefined) throw new TypeError(`${template} needs path.${name}`);
    const parts = String(values[name]).split("/").map(encodeURIComponent);
    return parts.join("/");
  });
}

/** @param {Json} query */
function queryString(query) {
  const pairs = Object.entries(query).filter(([, value]) => value !== undefined && value !== null);
  return pairs.length ? `?${new URLSearchParams(pairs.map(([name, value]) => [name, String(value)]))}` : "";
}

/** @param {Response} response @returns {Promise<any>} */
async function readReply(response) {
  const text = await response.text();
  let data = null;
  try {
    data = text ? JSON.parse(text) : null;
  } catch {
    // Not Playhall: a proxy's page, for example.
  }
  if (response.ok) return data;
  if (data?.code) throw new RequestRefused(data, response.status);
  const message = `HTTP status ${response.status}.`;
  throw new RequestRefused({ code: "http", message, retry: response.status >= 500 }, response.status);
}

// --------------------------------------------------------------------------------- the connection

/**
 * @typedef {"idle" | "connecting" | "ready" | "lost" | "ended"} ConnectionState
 * `lost` while it reconnects; `ended` once it will not come back by itself.
 */

/**
 * One account's websocket: opened when it is needed, greeted, kept alive, and restored.
 *
 * Emits `state` with a `ConnectionState`, and every update under its type.
 */
class Connection extends Emitter {
  /** @type {ConnectionState} */
  state = "idle";
  /** The server's last greeting. @type {Json} */
  welcome = {};
  /** Why it will not come back. @type {ClientError | null} */
  failure = null;
  /** How often it was restored. */
  reconnects = 0;
  /** When the next attempt begins, milliseconds since 1970; 0 while none is planned. */
  nextAttemptAt = 0;
  /** What is followed, by game id. @type {Map<string, GameStream>} */
  streams = new Map();
  /** What is sent again after each greeting, by a key of its own. @type {Map<string, () => Promise<unknown>>} */
  watches = new Map();

  /** @type {WebSocket | null} */
  #socket = null;
  /** Why the present websocket is gone. @type {Deferred<{ code: number, reason: string }>} */
  #closed = new Deferred();
  /** @type {Map<number, { command: string, fields: Json, reply: Deferred<Json> }>} */
  #waiting = new Map();
  #nextId = 0;
  #heardAt = 0;
  #clockSkewMs = 0;
  #closing = false;
  /** @type {Deferred<void>} */
  #ready = new Deferred();
  /** Ends a pause early. */
  #wake = () => {};
  #pauseMs = 0;
  /** @type {string | null} */
  #redirect = null;
  #redirects = 0;
  /** @type {string} */
  #address;

  /**
   * @param {Http} http
   * @param {Account} account
   * @param {{ client?: string, WebSocket?: typeof WebSocket, companion?: boolean }} options
   */
  constructor(http, account, options) {
    super();
    this.http = http;
    this.account = account;
    this.options = options;
    this.#address = http.url;
  }

  /** Milliseconds since 1970 by the server's clock, as of its last greeting. */
  serverNow() {
    return Date.now() + this.#clockSkewMs;
  }

  /** Connect if it is not, and wait until commands can be sent. Throws what keeps it from coming up. */
  async ready() {
    if (this.state === "idle") this.#start();
    await this.#ready.promise;
  }

  /** Connect again after it has ended: this page takes the account's one connection back. */
  async restart() {
    if (this.state !== "ended") return this.ready();
    this.failure = null;
    this.#closing = false;
    this.#start();
    return this.#ready.promise;
  }

  /** Close for good. */
  close() {
    this.#closing = true;
    this.#abandon(1000, "closed");
    this.#wake();
    if (this.state === "idle") this.#end(new ConnectionLost("The connection was closed.", "closed"));
  }

  /** Drop the present websocket, as a bad network would. */
  drop() {
    this.#abandon(3000, "dropped");
  }

  /**
   * Give the present websocket up at once: on a dead network, its close would take minutes.
   * @param {number} code
   * @param {string} reason
   */
  #abandon(code, reason) {
    this.#socket?.close(code, reason);
    this.#closed.resolve({ code: ABNORMAL, reason });
  }

  /**
   * Send a command and wait for its reply.
   * @param {string} command
   * @param {Json} [fields]
   * @returns {Promise<any>}
   */
  async call(command, fields = {}) {
    for (;;) {
      await this.ready();
      try {
        return await this.send(command, fields);
      } catch (error) {
        if (!(error instanceof ConnectionLost) || !REPEATABLE.has(command) || this.state === "ended") throw error;
      }
    }
  }

  /**
   * Send a command on the present websocket.
   * @param {string} command
   * @param {Json} fields
   * @returns {Promise<Json>}
   */
  send(command, fields) {
    const reply = new Deferred();
    if (this.#socket?.readyState !== 1) {
      // It is closing: what waits until it is ready must wait for the next one.
      if (this.state === "ready") this.#abandon(1000, "closing");
      reply.reject(new ConnectionLost("There is no connection."));
      return reply.promise;
    }
    const id = ++this.#nextId;
    this.#waiting.set(id, { command, fields, reply });
    this.#socket.send(JSON.stringify({ id, type: command, ...fields }));
    const timer = setTimeout(() => {
      this.#waiting.delete(id);
      reply.reject(new ConnectionLost(`${command} was not answered within ${CALL_TIMEOUT_MS / 1000} s.`));
    }, CALL_TIMEOUT_MS);
    return reply.promise.finally(() => clearTimeout(timer));
  }

  /**
   * Follow a game from its next index on, now and after every interruption.
   * @param {GameStream} stream
   */
  async follow(stream) {
    await this.ready();
    this.streams.set(stream.game_id, stream);
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await this.#startStream(stream);
      } catch (error) {
        if (error instanceof ConnectionLost || this.#follow(error)) break; // the next connection resumes it
        if (!isElsewhere(error) || attempt >= REDIRECTS_MAX) {
          this.streams.delete(stream.game_id);
          throw error;
        }
        await sleep(fullJitterPauseMs(attempt + 3)); // on its way from one node to another
        await this.ready();
      }
    }
    await this.ready();
    if (stream.failure) throw stream.failure;
  }

  /**
   * Go to the node that has a game, a bounded number of times; says whether it does.
   * @param {unknown} error
   */
  #follow(error) {
    if (!isElsewhere(error) || !error.address || this.#redirects >= REDIRECTS_MAX) return false;
    this.#redirects += 1;
    this.#redirect = error.address;
    if (this.state === "ready") this.drop();
    return true;
  }

  /** Ask again for a stream that was paused, from its next index on. @param {GameStream} stream */
  async resume(stream) {
    try {
      await this.send("game.unwatch", { game_id: stream.game_id }).catch((error) => {
        if (!(error instanceof RequestRefused)) throw error; // it was not being sent any more
      });
      await this.#startStream(stream);
    } catch (error) {
      if (!(error instanceof ConnectionLost)) throw error;
      await this.ready();
    }
  }

  // ------------------------------------------------------------------------------- keeping it up

  #start() {
    this.#ready = new Deferred();
    this.#setState("connecting");
    for (const [target, type] of this.#wakers()) target.addEventListener(type, this.#wakeUp);
    this.#run().catch((error) => this.#end(error instanceof ClientError ? error : new ConnectionLost(String(error))));
  }

  /** @returns {[EventTarget, string][]} */
  #wakers() {
    if (typeof globalThis.document === "undefined") return [];
    return [[globalThis, "online"], [document, "visibilitychange"]];
  }

  /** The network is back, or somebody looks again: try at once. */
  #wakeUp = () => {
    if (globalThis.document?.visibilityState !== "hidden") this.#wake();
  };

  async #run() {
    let attempt = 0;
    for (;;) {
      const closed = await this.#connectOnce();
      attempt = closed.greeted ? 0 : attempt + 1;
      const end = this.#endAfter(closed);
      if (end) return this.#end(end);
      if (closed.greeted) this.reconnects += 1;
      await this.#pause(attempt);
      if (this.#closing) return this.#end(new ConnectionLost("The connection was closed.", "closed"));
    }
  }

  /**
   * @param {{ code: number, reason: string, error?: ClientError }} closed
   * @returns {ClientError | null}
   */
  #endAfter(closed) {
    if (this.#closing) return new ConnectionLost("The connection was closed.", "closed");
    if (closed.error) return closed.error;
    if (closed.code === TOKEN_EXPIRED) return null; // a new one is got before the next greeting
    if (closed.code === SUPERSEDED) {
      return new ConnectionLost("Your account is connected from somewhere else.", "superseded");
    }
    if (closed.code >= 4100 && closed.code < 4200) {
      return new ConnectionLost(`The server closed the connection: ${closed.reason}.`, closed.reason);
    }
    return null;
  }

  /** Connect, greet, and wait for the close. */
  async #connectOnce() {
    let greeted = false;
    let token;
    try {
      token = await this.account.token();
    } catch (error) {
      return { greeted, code: ABNORMAL, reason: "", error: lasting(error) };
    }
    const address = this.#address;
    const socket = new (this.options.WebSocket ?? WebSocket)(`${address.replace(/^http/, "ws")}/ws`, SUBPROTOCOL);
    this.#socket = socket;
    /** @type {Deferred<{ code: number, reason: string }>} */
    const closed = new Deferred();
    this.#closed = closed;
    let opened = false;
    let silence;
    /** @type {ClientError | undefined} */
    let failure;
    const opening = setTimeout(() => this.#abandon(1000, "timeout"), OPEN_TIMEOUT_MS);
    socket.onopen = async () => {
      opened = true;
      clearTimeout(opening);
      this.#heardAt = Date.now();
      try {
        await this.#greet(token);
        greeted = true;
        this.#redirects = 0;
        silence = setInterval(() => this.#beat(), this.welcome.heartbeat_ms);
        this.#setState("ready");
        this.#ready.resolve();
      } catch (error) {
        failure = lasting(error);
        if (socket === this.#socket) this.#abandon(1000, "not greeted");
      }
    };
    socket.onmessage = (message) => { if (socket === this.#socket) this.#receive(message.data); };
    socket.onclose = (event) => closed.resolve({ code: event.code, reason: event.reason });
    socket.onerror = () => {}; // a close follows
    const { code, reason } = await closed.promise;
    clearTimeout(opening);
    clearInterval(silence);
    this.#disconnected();
    if (address !== this.http.url && !greeted) this.#address = this.http.url; // the way there is blocked
    if (!opened && !failure) failure = await this.#closedDoor();
    return { greeted, code, reason, error: failure };
  }

  /** A handshake that failed: for a page of another origin, find out whether it is not admitted. */
  async #closedDoor() {
    const origin = globalThis.location?.origin;
    if (!origin || new URL(this.#address).origin === origin) return undefined;
    const error = await this.http.unreachable();
    return error.message.includes("PLAYHALL_ORIGINS") ? this.#checkOrigin(error) : undefined;
  }

  /** @param {ServerUnreachable} error */
  async #checkOrigin(error) {
    try {
      await fetch(`${this.#address}/v1/status`, { signal: AbortSignal.timeout(5000) });
      return undefined; // pages of this origin may ask, so it was something else
    } catch {
      return error;
    }
  }

  /** @param {string} token */
  async #greet(token) {
    const { client = "playhall-js", companion } = this.options;
    const hello = { token, client, version: VERSION, ...(companion ? { companion } : {}) };
    try {
      this.welcome = await this.send("session.hello", hello);
    } catch (error) {
      if (!(error instanceof RequestRefused) || error.code !== "token_expired") throw error;
      await this.account.renew(token);
      this.welcome = await this.send("session.hello", { ...hello, token: await this.account.token() });
    }
    this.#clockSkewMs = Date.parse(this.welcome.server_time) - Date.now();
    for (const stream of [...this.streams.values()]) await this.#startOrFail(stream);
    for (const watch of [...this.watches.values()]) {
      await watch().catch((error) => { if (!(error instanceof RequestRefused)) throw error; });
    }
  }

  /** @param {GameStream} stream */
  async #startOrFail(stream) {
    try {
      await this.#startStream(stream);
    } catch (error) {
      if (!(error instanceof RequestRefused)) throw error;
      this.#follow(error);
      if (error.retry) throw error;
      stream.fail(error);
      this.streams.delete(stream.game_id);
    }
  }

  /** Ask for the events after the last one; those that exist come before the reply. @param {GameStream} stream */
  async #startStream(stream) {
    stream.paused = false;
    const fields = { game_id: stream.game_id, after: stream.nextIndex - 1 };
    const reply = stream.asPlayer
      ? await this.send("game.resume", fields)
      : await this.send("game.watch", { ...fields, delay_s: stream.delayS });
    const isWhole = stream.live || stream.delayS || stream.nextIndex > reply.head;
    if (!stream.paused && !isWhole) {
      stream.fail(new EventOutOfOrder(`the stream ended before event ${reply.head}`));
    }
    stream.seat = reply.seat;
    stream.started(reply);
  }

  async #beat() {
    const silentFor = Date.now() - this.#heardAt;
    if (silentFor > SILENT_INTERVALS * this.welcome.heartbeat_ms) return this.#abandon(1000, "silent");
    this.send("session.ping", {}).catch(() => {});
    const session = this.account.session;
    if (!session || Date.now() < session.renew_at || !session.refresh_token) return;
    try {
      await this.send("session.refresh", { token: await this.account.token() });
    } catch {
      // The server closes the connection when the token is over; the next one begins with a new one.
    }
  }

  /** @param {number} attempt */
  async #pause(attempt) {
    if (this.#redirect) {
      this.#address = this.#redirect.replace(/\/$/, "");
      this.#redirect = null;
      return;
    }
    const ms = Math.max(this.#pauseMs, fullJitterPauseMs(attempt));
    this.#pauseMs = 0;
    this.nextAttemptAt = Date.now() + ms;
    this.emit("state", this.state);
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer;
    await new Promise((done) => {
      timer = setTimeout(done, ms);
      this.#wake = () => done(undefined);
      if (this.#closing) done(undefined);
    });
    clearTimeout(timer);
    this.nextAttemptAt = 0;
    this.#wake = () => {};
  }

  #disconnected() {
    this.#socket = null;
    if (this.state === "ready") {
      this.#ready = new Deferred();
      if (!this.#closing) this.#setState(this.#redirect ? "connecting" : "lost");
    }
    for (const stream of this.streams.values()) stream.moves.disconnected();
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reply } of waiting) {
      reply.reject(new ConnectionLost("The connection was lost before the answer came."));
    }
  }

  /** @param {ClientError} error */
  #end(error) {
    this.failure = error;
    this.#ready.reject(error);
    for (const [target, type] of this.#wakers()) target.removeEventListener(type, this.#wakeUp);
    for (const stream of this.streams.values()) stream.fail(error);
    this.streams.clear();
    this.#setState("ended");
  }

  /** @param {ConnectionState} state */
  #setState(state) {
    this.state = state;
    this.emit("state", state);
  }

  // -------------------------------------------------------------------------------------- frames

  /** @param {string} text */
  #receive(text) {
    this.#heardAt = Date.now();
    const message = JSON.parse(text);
    if ("re" in message) return this.#answer(message);
    const stream = this.streams.get(message.game_id);
    switch (message.type) {
      case "game.event": return stream?.event(message);
      case "game.state": return stream?.snapshot(message);
      case "game.patch": return stream?.patch(message);
      case "game.stopped":
        stream?.fail(new RequestRefused(message));
        this.streams.delete(message.game_id);
        break;
      case "session.closing":
        this.#pauseMs = Math.random() * message.pause_ms;
        if (message.reason === "wrong_node" && message.address && this.#redirects < REDIRECTS_MAX) {
          this.#redirects += 1;
          this.#redirect = message.address;
        }
    }
    this.emit(message.type, message);
    this.emit("update", message);
  }

  /** @param {Json} message */
  #answer(message) {
    const waiting = this.#waiting.get(message.re);
    if (!waiting) return;
    this.#waiting.delete(message.re);
    if (message.type !== "error") return waiting.reply.resolve(message);
    const refused = new RequestRefused(message);
    waiting.reply.reject(refused);
    // A game that moved to another node is asked for there; what is repeated goes with it.
    const isMove = waiting.command === "game.act" || waiting.command === "game.snapshot";
    if (isMove && this.state === "ready") this.#follow(refused);
  }
}

/**
 * Whether another node has the game.
 * @param {unknown} error
 * @returns {error is RequestRefused}
 */
function isElsewhere(error) {
  return error instanceof RequestRefused && error.code === "wrong_node";
}

/**
 * Give an error that no further attempt would change; undefined for one that may pass.
 * @param {unknown} error
 */
function lasting(error) {
  if (error instanceof SignedOut) return error;
  if (error instanceof RequestRefused) return error.retry ? undefined : error;
  if (error instanceof ServerUnreachable) return error.message.includes("PLAYHALL_ORIGINS") ? error : undefined;
  if (error instanceof ConnectionLost) return error.reason ? error : undefined;
  return error instanceof ClientError ? error : undefined;
}

// ------------------------------------------------------------------------------------------ games

/**
 * @typedef {object} PendingMove A move whose fate is not known yet.
 * @property {number} cmd_no
 * @property {Json} move
 * @property {number | undefined} expected_head
 * @property {Deferred<number>} index of the first event that it caused
 * @property {number} tries
 * @property {boolean} asked an answer is due on the present connection
 * @property {Json | null} logged the answer, as the game's log implies it
 */

/**
 * The moves of one player in one game, numbered 1, 2, 3, … and repeated until their fate is known,
 * so that a move acts once however often it was sent. A number is used up once the move's fate is in
 * the log: by an `ok`, or by a refusal that carries an `event_index`. Any other refusal leaves the
 * number free, and the moves behind it, which the server then refused as a gap, move up.
 */
class MoveQueue {
  used = 0; // the last number that is used up
  isOpen = false; // whether there is a connection that follows the game
  /** @type {PendingMove[]} */
  pending = [];

  /** @param {(fields: Json) => Promise<Json>} send */
  constructor(send) {
    this.send = send;
  }

  /**
   * @param {Json} move
   * @param {number} [expected_head]
   * @returns {Promise<number>}
   */
  act(move, expected_head) {
    const index = new Deferred();
    if (this.pending.length >= MOVES_MAX) {
      index.reject(new ConnectionLost(`${MOVES_MAX} moves are still unanswered; wait for one of them.`));
      return index.promise;
    }
    const cmd_no = this.used + this.pending.length + 1;
    const item = { cmd_no, move, expected_head, index, tries: 0, asked: false, logged: null };
    this.pending.push(item);
    if (this.isOpen) this.#sendOnce(item);
    return index.promise;
  }

  /** @param {number} used the last number in the log, as the server says */
  connected(used) {
    // With moves under way, the server's number may count moves whose answers got lost. They keep
    // their numbers: the server recognises the repeats and answers what it answered.
    if (!this.pending.length) this.used = used;
    this.isOpen = true;
    this.#resend();
  }

  /** No answer will come on this connection. */
  disconnected() {
    this.isOpen = false;
    for (const item of this.pending) item.asked = false;
  }

  /**
   * The log has one of these moves. One that ended the game, and whose answer got lost, is refused as
   * too late when it is repeated; its true fate is known from here.
   * @param {number} cmd_no
   * @param {number} event_index
   * @param {Json | null} refusal
   */
  logged(cmd_no, event_index, refusal) {
    for (const item of this.pending) {
      if (item.cmd_no === cmd_no) item.logged = { ...(refusal ?? {}), type: refusal ? "error" : "ok", event_index };
    }
  }

  /** @param {ClientError} error */
  fail(error) {
    this.disconnected();
    for (const item of this.pending.splice(0)) item.index.reject(error);
  }

  /** Send what no answer is due for, under the numbers now due; while one is, numbers may change. */
  #resend() {
    if (!this.isOpen || this.pending.some((item) => item.asked)) return;
    this.pending.forEach((item, at) => {
      item.cmd_no = this.used + at + 1;
      this.#sendOnce(item);
    });
  }

  /** @param {PendingMove} item */
  #sendOnce(item) {
    item.tries += 1;
    item.asked = true;
    const { cmd_no, move, expected_head } = item;
    this.send({ cmd_no, move, ...(expected_head === undefined ? {} : { expected_head }) }).then(
      (reply) => this.#answered(item, reply),
      (error) => {
        item.asked = false;
        // A lost connection: the next one repeats the move.
        if (error instanceof RequestRefused) this.#answered(item, { ...error.details, type: "error" });
      },
    );
  }

  /**
   * @param {PendingMove} item
   * @param {Json} reply
   */
  #answered(item, reply) {
    item.asked = false;
    if (!this.pending.includes(item)) return;
    if (reply.code === "game_over" && item.logged) reply = item.logged;
    const isInLog = typeof reply.event_index === "number";
    const again = reply.type === "error" && !isInLog && (reply.retry || reply.code === "cmd_no_gap");
    if (again && item.tries < MOVE_TRIES_MAX) return this.#resendLater(item.tries);
    if (isInLog) this.used = Math.max(this.used, item.cmd_no);
    this.pending.splice(this.pending.indexOf(item), 1);
    if (reply.type === "error") item.index.reject(new RequestRefused(reply));
    else item.index.resolve(reply.event_index);
    this.#resendLater(0);
  }

  /** @param {number} tries */
  #resendLater(tries) {
    if (!this.pending.length || this.pending.some((item) => item.asked)) return;
    setTimeout(() => this.#resend(), tries ? fullJitterPauseMs(tries) : 0);
  }
}

/**
 * A game's events, from the next index on: each has the index after the last one's, or the stream
 * fails. It outlives its connections; the next one resumes it after the last index that it took.
 */
class GameStream {
  nextIndex = 0;
  /** @type {number | null} */
  seat = null;
  completed = false;
  paused = false; // what arrives is dropped until the stream is resumed
  /** @type {ClientError | null} */
  failure = null;
  /** Of a real-time game. @type {{ tick: number, view: any, ack: number } | null} */
  live = null;

  /**
   * @param {string} game_id
   * @param {MoveQueue} moves
   * @param {Game} game that is told
   * @param {{ watch?: boolean, delayS?: number, after?: number }} options
   */
  constructor(game_id, moves, game, { watch = false, delayS = 0, after = -1 }) {
    this.game_id = game_id;
    this.moves = moves;
    this.game = game;
    this.asPlayer = !watch;
    this.delayS = delayS;
    this.nextIndex = after + 1;
  }

  /** @param {Json} reply */
  started(reply) {
    if (this.asPlayer) this.moves.connected(reply.cmd_no);
    this.game.emit("resumed", reply);
  }

  /** @param {Json} message */
  event(message) {
    if (this.paused || this.failure) return;
    const index = message.event_index;
    if (index !== this.nextIndex && !(this.live && index > this.nextIndex)) {
      const what = index < this.nextIndex ? "repeated" : "missing";
      return this.fail(new EventOutOfOrder(
        `game ${this.game_id}: expected event ${this.nextIndex}, got ${index} (${what})`));
    }
    this.nextIndex = index + 1;
    if (message.event === "game_completed") this.completed = true;
    const cause = message.payload?._cmd;
    if (cause && cause[0] === this.seat) {
      const { code, message: text } = message.payload;
      this.moves.logged(cause[1], index, message.event === "invalid_action" ? { code, message: text, retry: false } : null);
    }
    this.game.take({ event_index: index, type: message.event, payload: message.payload, at: message.at });
  }

  /** A snapshot in place of the events up to it. @param {Json} message */
  snapshot(message) {
    if (this.failure) return;
    this.nextIndex = Math.max(this.nextIndex, message.head + 1);
    if (message.tick !== undefined && message.tick !== null) {
      this.live = { tick: message.tick, view: message.view, ack: 0 };
      this.game.emit("view", this.live);
    }
    this.game.emit("snapshot", message);
  }

  /** What has changed in a real-time game. @param {Json} message */
  patch(message) {
    if (!this.live || this.paused || this.failure) return; // from before the snapshot on its way
    this.nextIndex = Math.max(this.nextIndex, message.head + 1);
    if (message.since > this.live.tick) {
      this.paused = true; // a patch is missing
      this.game.resume();
    } else if (message.tick >= this.live.tick) {
      this.live = { tick: message.tick, view: applyMergePatch(this.live.view, message.changes), ack: message.ack };
      this.game.emit("view", this.live);
    }
  }

  /** @param {ClientError} error */
  fail(error) {
    if (this.failure) return;
    this.failure = error;
    this.moves.fail(error);
    this.game.failed(error);
  }
}

/**
 * @typedef {object} GameEvent
 * @property {number} event_index
 * @property {string} type
 * @property {any} payload null where this viewer may not look into it
 * @property {string} at
 */

/**
 * One game. Iterate it for its events (`for await (const event of game)`), or listen:
 *
 * - `event`: the next event; `snapshot`: the state in place of many events
 * - `view`: the view of a real-time game has changed
 * - `resumed`: the game is followed, also after an interruption
 * - `failed`: it is followed no longer, with the reason
 */
export class Game extends Emitter {
  /** @type {GameStream} */
  #stream;
  /** @type {Connection} */
  #connection;
  /** @type {Promise<void> | null} */
  #following = null;
  /** @type {GameEvent[] | null} */
  #events = null;
  /** @type {Deferred<void>} */
  #arrived = new Deferred();
  #ended = false;

  /**
   * @param {Connection} connection
   * @param {string} game_id
   * @param {{ watch?: boolean, delayS?: number, after?: number }} options
   */
  constructor(connection, game_id, options) {
    super();
    this.game_id = game_id;
    this.#connection = connection;
    const moves = new MoveQueue((fields) => connection.send("game.act", { game_id, ...fields }));
    this.#stream = new GameStream(game_id, moves, this, options);
  }

  /** Your seat; null for a spectator. */
  get seat() {
    return this.#stream.seat;
  }

  /** The index of the last event that arrived; -1 for none. */
  get head() {
    return this.#stream.nextIndex - 1;
  }

  /** Whether the game is over. */
  get completed() {
    return this.#stream.completed;
  }

  /** Why it is followed no longer. */
  get failure() {
    return this.#stream.failure;
  }

  /** What you see of a real-time game now; null in every other game. */
  get live() {
    return this.#stream.live;
  }

  /** Start to follow the game; iterating does it by itself. Resolves once its events so far have come. */
  follow() {
    if (this.#stream.failure) return Promise.reject(this.#stream.failure);
    this.#following ??= this.#connection.follow(this.#stream).catch((error) => {
      this.#following = null;
      throw error;
    });
    return this.#following;
  }

  /** Stop following it. */
  async unfollow() {
    this.#connection.streams.delete(this.game_id);
    this.#following = null;
    this.#ended = true;
    this.#arrived.resolve();
    if (this.#connection.state === "ready") {
      await this.#connection.send("game.unwatch", { game_id: this.game_id }).catch(() => {});
    }
  }

  /**
   * Make a move; gives the index of its first event once that is committed. With `expectedHead`, it
   * is refused (`game_moved_on`) if anything that counts has happened since that event, so that what
   * a person chose is played nowhere else.
   * @param {Json} move
   * @param {{ expectedHead?: number }} [options]
   * @returns {Promise<number>}
   */
  async act(move, { expectedHead } = {}) {
    await this.follow();
    if (this.#stream.failure) throw this.#stream.failure;
    return this.#stream.moves.act(move, expectedHead);
  }

  /** Ask for the state, whose turn it is, and how long it may take. @returns {Promise<any>} */
  snapshot() {
    return this.#connection.call("game.snapshot", { game_id: this.game_id });
  }

  /** Ask for the whole state as you may see it, with your `legal_moves`. @returns {Promise<any>} */
  async view() {
    return (await this.snapshot()).view;
  }

  /** Say something to everybody at the game. @param {string} text */
  say(text) {
    return this.#connection.call("chat.say", { game_id: this.game_id, text });
  }

  /** Show everybody at the game something that nobody keeps. @param {Json} data */
  sendEphemeral(data) {
    return this.#connection.call("game.send_ephemeral", { game_id: this.game_id, data });
  }

  /** Ask for a rematch, or agree to one. @param {{ bestOf?: number }} [options] */
  rematch({ bestOf } = {}) {
    return this.#connection.call("lobby.rematch", { game_id: this.game_id, ...(bestOf ? { best_of: bestOf } : {}) });
  }

  /** Give up your seat. */
  async leave() {
    await this.#connection.call("game.leave", { game_id: this.game_id });
    await this.unfollow();
  }

  /** Give each event once, in order, until the game has ended. @returns {AsyncGenerator<GameEvent>} */
  async *[Symbol.asyncIterator]() {
    this.#events ??= [];
    try {
      await this.follow();
      while (!this.#ended) {
        const event = this.#events.shift();
        if (event) {
          yield event;
          if (event.type === "game_completed") return;
        } else if (this.#stream.failure) {
          throw this.#stream.failure;
        } else if (this.#stream.paused) {
          await this.resume();
        } else {
          this.#arrived = new Deferred();
          await this.#arrived.promise;
        }
      }
    } finally {
      this.#events = null;
    }
  }

  /** @param {GameEvent} event @package */
  take(event) {
    if (this.#events) {
      this.#events.push(event);
      if (this.#events.length >= EVENTS_MAX && !this.#stream.live) this.#stream.paused = true;
    }
    this.#arrived.resolve();
    this.emit("event", event);
  }

  /** @package */
  async resume() {
    await this.#connection.resume(this.#stream).catch((error) => this.#stream.fail(error));
  }

  /** @param {ClientError} error @package */
  failed(error) {
    this.#arrived.resolve();
    this.emit("failed", error);
  }
}

// ---------------------------------------------------------------------------------------- lobbies

/** Where players gather. */
class Lobbies {
  /** @param {Client} client */
  constructor(client) {
    this.client = client;
  }

  /**
   * One page of the public list, newest first; needs no account.
   * @param {Json} [filters] `ruleset`, `mode`, `region`, `status`, `free_seats`, `text`, `limit`, `cursor`
   * @returns {Promise<{ lobbies: any[], next: string | null }>}
   */
  list(filters = {}) {
    return this.client.request("GET /v1/lobbies", { query: filters });
  }

  /**
   * Follow the public list: calls `listener` with all lobbies of the filter now and after every change.
   * @param {Json} filters as in `list`
   * @param {(lobbies: any[]) => void} listener
   * @returns {Promise<() => void>} stops it
   */
  async watchList(filters, listener) {
    /** @type {Map<string, any>} */
    let lobbies = new Map();
    const tell = () => listener([...lobbies.values()].filter((lobby) => lobby.lobby)
      .map((lobby) => lobby.lobby).sort((a, b) => (a.created_at < b.created_at ? 1 : -1)));
    const stop = this.client.on("lobby.listed", ({ lobby_id, version, lobby }) => {
      if (version <= (lobbies.get(lobby_id)?.version ?? -1)) return;
      lobbies.set(lobby_id, { version, lobby });
      if (lobbies.size > 1000) lobbies = new Map([...lobbies].filter(([, each]) => each.lobby));
      tell();
    });
    const stopWatching = await this.client.keep("lobby list", async () => {
      const reply = await this.client.connection.send("lobby.watch", filters);
      lobbies = new Map(reply.lobbies.map((/** @type {any} */ lobby) => [lobby.lobby_id, { version: lobby.version, lobby }]));
      tell();
    });
    return () => {
      stop();
      stopWatching();
      this.client.connection.send("lobby.unwatch", {}).catch(() => {});
    };
  }

  /**
   * Create a lobby with you as host, and follow it.
   * @param {import("./protocol.d.ts").NewLobby} options
   */
  async create(options) {
    return this.#lobby(await this.client.call("lobby.create", options));
  }

  /**
   * Join by `code`, or a public lobby by `lobby_id`, and follow it.
   * @param {import("./protocol.d.ts").Joining} options
   */
  async join(options) {
    return this.#lobby(await this.client.call("lobby.join", options));
  }

  /** Follow a lobby that you are in, or may see. @param {string} lobby_id */
  async open(lobby_id) {
    return this.#lobby(await this.client.call("lobby.watch", { lobby_id }));
  }

  /**
   * Sit down with other players who come, or bots, and wait for the game.
   * @param {string} ruleset
   * @param {Json & { onLobby?: (lobby: Lobby) => void }} [options] `seats`, `config`; `onLobby` gets the lobby to wait in
   * @returns {Promise<Game>}
   */
  async quickPlay(ruleset, { onLobby, ...options } = {}) {
    const lobby = await this.#lobby(await this.client.call("lobby.quick_play", { ruleset, ...options }));
    onLobby?.(lobby);
    return lobby.game();
  }

  /** @param {Json} reply @returns {Promise<Lobby>} */
  async #lobby({ lobby }) {
    const followed = new Lobby(this.client, lobby);
    await followed.follow();
    return followed;
  }
}

/**
 * One lobby, kept up to date. Emits `change` with the lobby and what changed, and `chat`.
 * Its state, as the server shows it, is in `state`.
 */
export class Lobby extends Emitter {
  /** @type {(() => void)[]} */
  #stops = [];

  /**
   * @param {Client} client
   * @param {any} state
   */
  constructor(client, state) {
    super();
    this.client = client;
    this.state = state;
    /** In replies to members only, and it never changes. */
    this.join_code = /** @type {string | null} */ (state.join_code ?? null);
  }

  get lobby_id() {
    return /** @type {string} */ (this.state.lobby_id);
  }

  /** You, as a member; undefined for who only watches. */
  get me() {
    const player_id = this.client.session?.player_id;
    return this.state.members.find((/** @type {any} */ member) => member.player_id === player_id);
  }

  get isHost() {
    return this.state.host_player_id === this.client.session?.player_id;
  }

  /** The game that is played: of a lobby with several tables, the one of your table. @returns {string | null} */
  get game_id() {
    const { tables, game_id } = this.state;
    return tables ? tables[this.me?.table]?.game_id ?? null : game_id;
  }

  /** @package */
  async follow() {
    const { lobby_id } = this;
    this.#stops.push(
      this.client.on("lobby.update", (update) => {
        if (update.lobby_id === lobby_id) this.#take(update.lobby, update.change);
      }),
      this.client.on("chat.message", (message) => { if (message.lobby_id === lobby_id) this.emit("chat", message); }),
    );
    this.#stops.push(await this.client.keep(`lobby ${lobby_id}`, async () => {
      try {
        const { lobby } = await this.client.connection.send("lobby.watch", { lobby_id });
        this.#take(lobby, { kind: "caught_up", player_id: null });
      } catch (error) {
        if (!(error instanceof RequestRefused) || error.retry) throw error;
        this.#take({ ...this.state, status: "CLOSED", version: this.state.version + 1 }, { kind: "closed", player_id: null });
      }
    }));
  }

  /** Stop following it; you stay a member. */
  unfollow() {
    for (const stop of this.#stops.splice(0)) stop();
  }

  /**
   * Wait until the game has started.
   * @returns {Promise<Game>}
   */
  game() {
    return new Promise((resolve, reject) => {
      /** @type {(() => void)[]} */
      const stops = [];
      const look = () => {
        const { status } = this.state;
        const { game_id } = this;
        if (game_id) resolve(this.client.game(game_id, { watch: this.me?.role === "spectator" }));
        else if (status === "CLOSED") reject(new RequestRefused({ code: "lobby_closed", message: "The lobby was closed before the game started." }));
        else return;
        for (const stop of stops) stop();
      };
      stops.push(this.on("change", look), this.client.on("connection", (state) => {
        if (state !== "ended") return;
        for (const stop of stops) stop();
        reject(this.client.connection.failure);
      }));
      look();
    });
  }

  ready(ready = true) {
    return this.#act("lobby.ready", { ready });
  }

  /** @param {string} bot its name, of the ruleset's @param {number} [table] at which, where there are several */
  addBot(bot, table) {
    return this.#act("lobby.add_bot", { bot, ...(table === undefined ? {} : { table }) });
  }

  /** @param {string} player_id */
  removeBot(player_id) {
    return this.#act("lobby.remove_bot", { player_id });
  }

  /** @param {string} player_id */
  kick(player_id) {
    return this.#act("lobby.kick", { player_id });
  }

  /** @param {Json} changes `name`, `config`, `seats`, `is_public` */
  configure(changes) {
    return this.#act("lobby.configure", changes);
  }

  /** Change between player and spectator. @param {"player" | "spectator"} role */
  become(role) {
    return this.#act("lobby.join", { role });
  }

  /** Sit down at a table, of several. @param {number} table */
  sit(table) {
    return this.#act("lobby.join", { role: "player", table });
  }

  /** @param {number} [table] which one, where there are several and you do not sit there */
  start(table) {
    return this.#act("lobby.start", table === undefined ? {} : { table });
  }

  close() {
    return this.#act("lobby.close", {});
  }

  async leave() {
    await this.#act("lobby.leave", {});
    this.unfollow();
  }

  /** @param {string} text */
  say(text) {
    return this.client.call("chat.say", { lobby_id: this.lobby_id, text });
  }

  /**
   * @param {string} command
   * @param {Json} fields
   */
  async #act(command, fields) {
    const reply = await this.client.call(command, { lobby_id: this.lobby_id, ...fields });
    if (reply.lobby) this.#take(reply.lobby, { kind: "caught_up", player_id: null });
    return reply;
  }

  /**
   * @param {any} lobby
   * @param {Json} change
   */
  #take(lobby, change) {
    this.join_code ??= lobby.join_code ?? null;
    if (lobby.version < this.state.version || (lobby.version === this.state.version && change.kind !== "caught_up")) return;
    this.state = lobby;
    this.emit("change", { lobby, change });
  }
}

// ------------------------------------------------------------------------------------ matchmaking

/** A search for a match. Emits `update` with how it is going. */
export class MatchSearch extends Emitter {
  /** @type {(() => void)[]} */
  #stops = [];
  /** @type {Deferred<Game>} */
  #found = new Deferred();

  /** @param {Client} client */
  constructor(client) {
    super();
    this.client = client;
    /** The last `match.update`. @type {any} */
    this.state = null;
    this.#stops.push(
      client.on("match.update", (update) => {
        this.state = update;
        this.emit("update", update);
        if (update.state === "ended") this.#end(new RequestRefused({ code: "not_queued", message: "The search has ended without a match." }));
      }),
      client.on("match.found", (match) => {
        this.#found.resolve(client.game(match.game_id));
        this.#end();
      }),
      client.on("connection", (state) => { if (state === "ended") this.#end(client.connection.failure); }),
    );
  }

  /** Wait until the match begins. @returns {Promise<Game>} */
  game() {
    return this.#found.promise;
  }

  /** Accept the match that is offered, where the server asks for it. */
  accept() {
    return this.client.call("match.accept", { match_id: this.state?.match_id });
  }

  /** Decline it, which ends the search. */
  async decline() {
    await this.client.call("match.decline", { match_id: this.state?.match_id });
    this.#end(new RequestRefused({ code: "not_queued", message: "You declined the match." }));
  }

  /** Leave the queue. */
  async leave() {
    await this.client.call("match.leave");
    this.#end(new RequestRefused({ code: "not_queued", message: "You left the queue." }));
  }

  /** @param {ClientError | null} [error] @package */
  abandon(error) {
    this.#end(error);
  }

  /** @param {ClientError | null} [error] */
  #end(error) {
    for (const stop of this.#stops.splice(0)) stop();
    if (error) this.#found.reject(error);
  }
}

/** Matches of players of similar strength. */
class Matchmaking {
  /** @param {Client} client */
  constructor(client) {
    this.client = client;
  }

  /**
   * Queue for a match. The search outlives a lost connection for as long as the server keeps the place.
   * @param {string} ruleset
   * @param {Json} [options] `seats`, `config`, `region`, `properties`, `conditions`, `bots`, `lobby_id` of a party
   * @returns {Promise<MatchSearch>}
   */
  async queue(ruleset, options = {}) {
    const search = new MatchSearch(this.client); // before the command: updates can cross its reply
    try {
      await this.client.call("match.queue", { ruleset, ...options });
    } catch (error) {
      search.abandon(error instanceof ClientError ? error : null);
      throw error;
    }
    return search;
  }
}

// ----------------------------------------------------------------------------------------- epochs

/**
 * A day of competition, kept up to date without a hole. `state` is the day as of `version`, with its
 * slots; emits `event` with every event of the day, in order, and `snapshot` when `state` was read anew.
 */
export class EpochFeed extends Emitter {
  /** @type {(() => void)[]} */
  #stops = [];
  #isReading = false;

  /**
   * @param {Client} client
   * @param {string | null} epoch_id null for the current day
   */
  constructor(client, epoch_id) {
    super();
    this.client = client;
    this.epoch_id = epoch_id;
    this.version = -1;
    /** @type {any} */
    this.state = null;
  }

  /** @package */
  async follow() {
    this.#stops.push(this.client.on("epoch.event", (event) => this.#take(event)));
    this.#stops.push(await this.client.keep(`epoch ${this.epoch_id ?? "current"}`, () => this.#read()));
    return this;
  }

  /** Stop following it. */
  async close() {
    for (const stop of this.#stops.splice(0)) stop();
    if (this.epoch_id) await this.client.call("epoch.unwatch", { epoch_id: this.epoch_id }).catch(() => {});
  }

  async #read() {
    this.#isReading = true;
    try {
      const day = this.epoch_id ? { epoch_id: this.epoch_id } : {};
      const after = this.version >= 0 ? { after: this.version } : {};
      const reply = await this.client.connection.send("epoch.watch", { ...day, ...after });
      this.epoch_id = reply.epoch_id;
      if (reply.snapshot) {
        this.state = reply.snapshot;
        this.version = reply.version;
        this.emit("snapshot", this.state);
      }
      for (const event of reply.events) this.#apply(event);
    } finally {
      this.#isReading = false;
    }
  }

  /** @param {any} event */
  #take(event) {
    if (event.epoch_id !== this.epoch_id || event.version <= this.version) return;
    if (event.version === this.version + 1) this.#apply(event);
    else if (!this.#isReading) this.#read().catch(() => {}); // a gap, or a lost connection, which reads as well
  }

  /** @param {any} event */
  #apply(event) {
    if (event.version <= this.version) return;
    this.version = event.version;
    const slot = this.state?.slots?.[event.slot_index];
    if (slot && event.event === "slot_claimed") {
      Object.assign(slot, { code: event.payload.code, bot_id: event.bot_id, bot: event.bot, updated_at: event.at, version: event.version });
    }
    this.emit("event", event);
  }
}

/** Days of competition. */
class Epochs {
  /** @param {Client} client */
  constructor(client) {
    this.client = client;
  }

  /** One page of the days, newest first. @param {Json} [query] */
  list(query = {}) {
    return this.client.request("GET /v1/epochs", { query });
  }

  /** Follow a day, by default the current one. @param {string | null} [epoch_id] @returns {Promise<EpochFeed>} */
  watch(epoch_id = null) {
    return new EpochFeed(this.client, epoch_id).follow();
  }

  /**
   * Give every event of a day after a version, however many there are.
   * @param {string} epoch_id
   * @param {number} [after]
   * @returns {AsyncGenerator<any>}
   */
  async *events(epoch_id, after = 0) {
    for (;;) {
      /** @type {import("./protocol.d.ts").CommandReply<"epoch.events">} */
      const page = await this.client.call("epoch.events", { epoch_id, after, limit: 500 });
      yield* page.events;
      after = page.events.at(-1)?.version ?? page.head;
      if (after >= page.head) return;
    }
  }

  /** Score a target from 0 to 1, or change the score. @param {import("./protocol.d.ts").CommandArgs<"epoch.vote">} vote */
  vote(vote) {
    return this.client.call("epoch.vote", vote);
  }

  /** Write code into a slot; for bots. @param {import("./protocol.d.ts").CommandArgs<"epoch.claim">} claim */
  claim(claim) {
    return this.client.call("epoch.claim", claim);
  }
}

// ---------------------------------------------------------------------------------- peer lobbies

const SIGNAL_HEARTBEAT_MS = 5000;
const CHANNEL_BYTES_MAX = 64 * 1024;
const PEERS_MAX = 63;
const SIGNALS_MAX = 256; // of one peer that wait for its description
const FALLBACK_AFTER_MS = 12_000;

/**
 * The signaling of one peer: the wire protocol of the PeerJS server, so that the other side may as well
 * be the `peerjs` library. Opened again for as long as it is not closed here.
 */
class Signaling {
  /** @type {WebSocket | null} */
  #socket = null;
  /** @type {string[]} */
  #unsent = [];
  #isClosed = false;

  /**
   * @param {() => Promise<any>} access gives the url, key and token
   * @param {string} id
   * @param {(message: any) => void} onMessage
   * @param {typeof WebSocket} [Socket]
   */
  constructor(access, id, onMessage, Socket = WebSocket) {
    this.access = access;
    this.id = id;
    this.onMessage = onMessage;
    this.Socket = Socket;
  }

  /** Resolves once the server knows this peer. */
  async open() {
    const { url, key, token } = await this.access();
    const query = new URLSearchParams({ key, id: this.id, token, version: VERSION });
    const socket = new this.Socket(`${url.replace(/^http/, "ws")}/peerjs/peerjs?${query}`);
    const opened = new Deferred();
    /** @type {ReturnType<typeof setInterval> | undefined} */
    let beat;
    socket.onmessage = ({ data }) => {
      const message = JSON.parse(data);
      if (message.type === "OPEN") {
        this.#socket = socket;
        beat = setInterval(() => socket.send('{"type":"HEARTBEAT"}'), SIGNAL_HEARTBEAT_MS);
        for (const text of this.#unsent.splice(0)) socket.send(text);
        opened.resolve(undefined);
      } else if (message.type === "ERROR" || message.type === "ID-TAKEN") {
        opened.reject(new ConnectionLost(`Signaling is refused: ${message.payload?.msg ?? message.type}.`));
        socket.close();
      } else {
        this.onMessage(message);
      }
    };
    socket.onclose = () => {
      clearInterval(beat);
      if (this.#socket === socket) {
        this.#socket = null;
        this.#reopen(0);
      }
      opened.reject(new ConnectionLost("Signaling cannot be reached."));
    };
    await opened.promise;
  }

  /** @param {number} attempt */
  async #reopen(attempt) {
    await sleep(fullJitterPauseMs(attempt));
    if (this.#isClosed) return;
    await this.open().catch(() => this.#reopen(attempt + 1));
  }

  /** @param {Json} message */
  send(message) {
    const text = JSON.stringify(message);
    if (this.#socket?.readyState === 1) this.#socket.send(text);
    else if (this.#unsent.length < SIGNALS_MAX) this.#unsent.push(text);
  }

  close() {
    this.#isClosed = true;
    this.#socket?.close();
    this.#socket = null;
  }
}

/** One WebRTC connection to another peer, with one ordered channel for JSON. */
class PeerLink {
  /** @type {RTCDataChannel | null} */
  channel = null;
  /** The player at the other end, as they say. @type {string | null} */
  player_id = null;
  /** @type {any[]} */
  #candidates = [];

  /**
   * @param {Signaling} signaling
   * @param {string} peer_id of the other end
   * @param {string} connectionId
   * @param {any[]} iceServers
   * @param {{ opened: (link: PeerLink) => void, closed: (link: PeerLink) => void, message: (link: PeerLink, data: any) => void }} on
   */
  constructor(signaling, peer_id, connectionId, iceServers, on) {
    this.signaling = signaling;
    this.peer_id = peer_id;
    this.connectionId = connectionId;
    this.on = on;
    this.connection = new RTCPeerConnection({ iceServers });
    this.connection.onicecandidate = ({ candidate }) => {
      if (candidate) this.#signal("CANDIDATE", { candidate });
    };
    this.connection.onconnectionstatechange = () => {
      if (["failed", "closed"].includes(this.connection.connectionState)) this.close();
    };
    this.connection.ondatachannel = ({ channel }) => this.#use(channel);
  }

  /** @param {Json} metadata */
  async offer(metadata) {
    this.#use(this.connection.createDataChannel(this.connectionId));
    await this.connection.setLocalDescription();
    this.#signal("OFFER", {
      sdp: this.connection.localDescription, metadata, label: this.connectionId, reliable: true, serialization: "json",
    });
  }

  /** @param {any} message */
  async signal({ type, payload }) {
    if (type === "CANDIDATE") {
      if (!this.connection.remoteDescription) {
        if (this.#candidates.length < SIGNALS_MAX) this.#candidates.push(payload.candidate);
        return;
      }
      return this.connection.addIceCandidate(payload.candidate);
    }
    await this.connection.setRemoteDescription(payload.sdp);
    if (type === "OFFER") {
      await this.connection.setLocalDescription();
      this.#signal("ANSWER", { sdp: this.connection.localDescription });
    }
    for (const candidate of this.#candidates.splice(0)) await this.connection.addIceCandidate(candidate);
  }

  /** @param {unknown} data */
  send(data) {
    const text = JSON.stringify(data);
    if (text.length > CHANNEL_BYTES_MAX) throw new TypeError(`A message has at most ${CHANNEL_BYTES_MAX} bytes.`);
    if (this.channel?.readyState === "open") this.channel.send(text);
  }

  close() {
    this.connection.close();
    this.on.closed(this);
  }

  /** @param {RTCDataChannel} channel */
  #use(channel) {
    this.channel = channel;
    channel.onopen = () => this.on.opened(this);
    channel.onclose = () => this.close();
    channel.onmessage = ({ data }) => {
      const text = typeof data === "string" ? data : new TextDecoder().decode(data);
      try {
        this.on.message(this, JSON.parse(text));
      } catch (error) {
        reportError(error);
      }
    };
  }

  /**
   * @param {string} type
   * @param {Json} payload
   */
  #signal(type, payload) {
    this.signaling.send({ type, dst: this.peer_id, payload: { ...payload, type: "data", connectionId: this.connectionId } });
  }
}

/**
 * @typedef {object} PeerOptions
 * @property {number} [fallbackAfterMs] when the host goes on over the server if somebody cannot be reached
 * @property {boolean} [webrtc] false does not even try
 */

/**
 * A game between peers. Messages go over WebRTC to the lobby's host, who passes them on to all others;
 * if that cannot be, over the server, whose `relay` ruleset then stores every one of them.
 *
 * Emits `message` with `{from, data}` for everybody's messages but one's own, `transport` with what
 * carries them, and `lobby` after every change. Who somebody is comes from the server over the relay;
 * over WebRTC it is what their own client says.
 */
export class PeerSession extends Emitter {
  /** What carries the messages. @type {"connecting" | "webrtc" | "relay" | "closed"} */
  transport = "connecting";
  /** @type {Signaling | null} */
  #signaling = null;
  /** By connection id. @type {Map<string, PeerLink>} */
  #links = new Map();
  /** @type {any[]} */
  #iceServers = [];
  /** @type {Promise<Signaling> | null} */
  #opening = null;
  #peer_id = globalThis.crypto.randomUUID();
  #reached = "";
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #heartbeat;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #fallback;
  /** The relay's game. @type {Game | null} */
  game = null;

  /**
   * @param {Client} client
   * @param {Lobby} lobby
   * @param {PeerOptions} options
   */
  constructor(client, lobby, { fallbackAfterMs = FALLBACK_AFTER_MS, webrtc = "RTCPeerConnection" in globalThis } = {}) {
    super();
    this.client = client;
    this.lobby = lobby;
    this.fallbackAfterMs = fallbackAfterMs;
    this.webrtc = webrtc;
    lobby.on("change", () => { this.#look(); this.emit("lobby", lobby.state); });
    this.#look();
  }

  get isHost() {
    return this.lobby.isHost;
  }

  /** Send something to everybody else. @param {unknown} data JSON of at most 64 KiB over WebRTC; the relay's bound is the server's */
  async send(data) {
    if (this.transport === "relay") await this.game?.act({ from: "peer", data });
    else if (this.transport === "webrtc") this.#broadcast({ from: this.client.session?.player_id, data });
    else throw new ConnectionLost("The peers are not connected yet.");
  }

  /** Go on over the server; the host's to decide, and done by itself if peers do not connect in time. */
  fallBack() {
    return this.client.call("lobby.fallback", { lobby_id: this.lobby.lobby_id });
  }

  /** Close all connections and leave the lobby. */
  async close() {
    this.#carry("closed");
    this.#stopPeers();
    await this.game?.unfollow();
    if (this.lobby.state.status === "CLOSED" || this.game) this.lobby.unfollow();
    else await this.lobby.leave();
  }

  /** See what the lobby has become, and do what follows from it. */
  #look() {
    const { mode, game_id, host_peer_id, needs_peer, status, heartbeat_s } = this.lobby.state;
    if (this.transport === "closed") return;
    if (status === "CLOSED") {
      this.#stopPeers();
      this.#carry("closed");
    } else if (mode === "server" && game_id) {
      if (!this.game) this.#relay(game_id).catch((error) => this.emit("failed", error));
    } else if (this.isHost) {
      if (needs_peer || this.#peer_id !== host_peer_id) this.#host(heartbeat_s).catch((error) => this.emit("failed", error));
      this.#watchOthers();
    } else if (host_peer_id && host_peer_id !== this.#reached && this.webrtc) {
      this.#reached = host_peer_id;
      this.#reach(host_peer_id).catch((error) => this.emit("failed", error));
    }
  }

  /** @param {number} heartbeat_s */
  async #host(heartbeat_s) {
    if (this.#heartbeat) return;
    const lobby_id = this.lobby.lobby_id;
    this.#heartbeat = setInterval(() => { this.client.call("lobby.heartbeat", { lobby_id }).catch(() => {}); }, heartbeat_s * 1000);
    await this.#open();
    await this.client.call("lobby.register_peer", { lobby_id, peer_id: this.#peer_id });
  }

  /** @param {string} peer_id */
  async #reach(peer_id) {
    const signaling = await this.#open();
    const link = this.#link(signaling, peer_id, `dc_${globalThis.crypto.randomUUID()}`);
    await link.offer({ player_id: this.client.session?.player_id });
  }

  /** Where another player is not connected in time, the host goes on over the server. */
  #watchOthers() {
    const others = this.lobby.state.members.filter((/** @type {any} */ member) => member.role === "player").length - 1;
    const connected = [...this.#links.values()].filter((link) => link.channel?.readyState === "open").length;
    if (others <= connected) {
      clearTimeout(this.#fallback);
      this.#fallback = undefined;
    } else {
      this.#fallback ??= setTimeout(() => { this.fallBack().catch((error) => this.emit("failed", error)); }, this.fallbackAfterMs);
    }
  }

  /** @returns {Promise<Signaling>} */
  #open() {
    this.#opening ??= (async () => {
      const access = async () => {
        const given = await this.client.call("lobby.peer_access", { lobby_id: this.lobby.lobby_id });
        this.#iceServers = given.ice_servers;
        return given;
      };
      const signaling = new Signaling(access, this.#peer_id, (message) => this.#signalled(message), this.client.options.WebSocket);
      this.#signaling = signaling;
      await signaling.open();
      return signaling;
    })();
    return this.#opening;
  }

  /** @param {any} message */
  #signalled(message) {
    const { type, src, payload } = message;
    if (type === "LEAVE") {
      for (const link of [...this.#links.values()]) if (link.peer_id === src && link.channel?.readyState !== "open") link.close();
      return;
    }
    if (!["OFFER", "ANSWER", "CANDIDATE"].includes(type) || !this.#signaling) return;
    let link = this.#links.get(payload?.connectionId);
    if (!link && type === "OFFER" && this.webrtc && this.#links.size < PEERS_MAX) {
      link = this.#link(this.#signaling, src, payload.connectionId);
      link.player_id = payload.metadata?.player_id ?? null;
    }
    if (link && link.peer_id === src) link.signal(message).catch(reportError);
  }

  /**
   * @param {Signaling} signaling
   * @param {string} peer_id
   * @param {string} connectionId
   */
  #link(signaling, peer_id, connectionId) {
    const link = new PeerLink(signaling, peer_id, connectionId, this.#iceServers, {
      opened: () => { this.#carry("webrtc"); if (this.isHost) this.#watchOthers(); },
      closed: (closed) => {
        if (!this.#links.delete(closed.connectionId) || this.transport === "relay" || this.transport === "closed") return;
        if (closed.peer_id === this.#reached) this.#reached = ""; // reach the host again, or the next one
        if (![...this.#links.values()].some((each) => each.channel?.readyState === "open")) this.#carry("connecting");
        setTimeout(() => this.#look(), fullJitterPauseMs(3));
      },
      message: (from, envelope) => {
        if (this.isHost) this.#broadcast(envelope, from); // members talk with each other through the host
        this.emit("message", { from: envelope.from ?? from.player_id, data: envelope.data });
      },
    });
    this.#links.set(connectionId, link);
    return link;
  }

  /**
   * @param {Json} envelope
   * @param {PeerLink} [except]
   */
  #broadcast(envelope, except) {
    for (const link of this.#links.values()) if (link !== except) link.send(envelope);
  }

  /** @param {string} game_id */
  async #relay(game_id) {
    this.#stopPeers();
    this.game = this.client.game(game_id);
    this.game.on("event", ({ type, payload }) => {
      if (type !== "relayed" || payload.player_id === this.client.session?.player_id || payload.data.from !== "peer") return;
      this.emit("message", { from: payload.player_id, data: payload.data.data });
    });
    this.game.on("failed", (error) => this.emit("failed", error));
    await this.game.follow();
    this.#carry("relay");
  }

  #stopPeers() {
    clearInterval(this.#heartbeat);
    clearTimeout(this.#fallback);
    for (const link of [...this.#links.values()]) {
      this.#links.delete(link.connectionId);
      link.close();
    }
    this.#signaling?.close();
  }

  /** @param {PeerSession["transport"]} transport */
  #carry(transport) {
    if (this.transport === transport) return;
    this.transport = transport;
    this.emit("transport", transport);
  }
}

/** Games that run on the players' own machines. */
class Peers {
  /** @param {Client} client */
  constructor(client) {
    this.client = client;
  }

  /**
   * Create a peer lobby with you as host.
   * @param {import("./protocol.d.ts").NewLobby & PeerOptions} options `ruleset` is any name
   * @returns {Promise<PeerSession>}
   */
  async create({ fallbackAfterMs, webrtc, ...options }) {
    const lobby = await this.client.lobbies.create({ ...options, mode: "peer" });
    return new PeerSession(this.client, lobby, { fallbackAfterMs, webrtc });
  }

  /**
   * Join a peer lobby.
   * @param {import("./protocol.d.ts").Joining & PeerOptions} how
   * @returns {Promise<PeerSession>}
   */
  async join({ fallbackAfterMs, webrtc, ...how }) {
    return new PeerSession(this.client, await this.client.lobbies.join(how), { fallbackAfterMs, webrtc });
  }
}

// ----------------------------------------------------------------------------------------- client

/**
 * @typedef {object} ClientOptions
 * @property {Storage | null} [storage] where the session is kept, such as `localStorage`
 * @property {string} [key] under which it is kept
 * @property {string} [client] the name of your program, as the server sees it
 * @property {boolean} [companion] a second connection of the account, which only follows its saves
 * @property {typeof WebSocket} [WebSocket] another implementation of websockets
 */

/**
 * One account on one server. It connects by itself when it first needs to.
 *
 * Emits every update of the server under its type (`lobby.update`, `chat.message`, …); `connection`
 * with the connection's state; and `session` with who is signed in, or null.
 */
export class Client extends Emitter {
  /**
   * @param {string} [url] of the server; without one, of the page
   * @param {ClientOptions} [options]
   */
  constructor(url = globalThis.location?.origin, options = {}) {
    super();
    if (!/^https?:\/\/[^/]/.test(url ?? "")) {
      throw new ServerUnreachable(`${url} is not a server address; it begins with http or https.`);
    }
    const { storage = null, key = "playhall.session" } = options;
    this.url = url.replace(/\/+$/, "");
    this.http = new Http(this.url);
    this.account = new Account(
      (body) => this.http.request("POST /v1/auth/refresh", { body, auth: false }), storage, key);
    this.http.account = this.account;
    this.options = options;
    this.connection = this.#newConnection();
    this.lobbies = new Lobbies(this);
    this.matchmaking = new Matchmaking(this);
    this.epochs = new Epochs(this);
    this.peers = new Peers(this);
    this.account.on("session", (session) => {
      const { user_id } = this.connection.welcome;
      if (user_id && user_id !== session?.user_id) this.#replaceConnection(); // it is another person's
      this.emit("session", session);
    });
  }

  /** Who is signed in, or null. */
  get session() {
    return this.account.session;
  }

  /**
   * Send a command (`"lobby.create"`) and give its reply; throws `RequestRefused` or `ConnectionLost`.
   * @template {keyof Commands | (string & {})} C
   * @param {C} command
   * @param {import("./protocol.d.ts").CommandArgs<C>} [fields]
   * @returns {Promise<import("./protocol.d.ts").CommandReply<C>>}
   */
  call(command, fields) {
    return this.connection.call(command, fields);
  }

  /**
   * Make an HTTP request: `client.request("GET /v1/matches/{match_id}", { path: { match_id } })`.
   * @template {keyof Endpoints | (string & {})} E
   * @param {E} endpoint
   * @param {import("./protocol.d.ts").Args<E> & RequestOptions} [args]
   * @returns {Promise<import("./protocol.d.ts").Reply<E>>}
   */
  request(endpoint, args) {
    return this.http.request(endpoint, args);
  }

  /**
   * As `fetch`, signed: for what is not JSON.
   * @param {string} path
   * @param {RequestInit & { auth?: boolean }} [init]
   */
  fetch(path, init) {
    return this.http.fetch(path, init);
  }

  /**
   * A game, as its player or as a spectator.
   * @param {string} game_id
   * @param {{ watch?: boolean, delayS?: number, after?: number }} [options]
   */
  game(game_id, options = {}) {
    return new Game(this.connection, game_id, options);
  }

  /**
   * Do something now, and again after every greeting, until it is stopped: what the server forgets
   * with a connection. It must use `connection.send`.
   * @param {string} key
   * @param {() => Promise<unknown>} watch
   * @returns {Promise<() => void>} stops it
   */
  async keep(key, watch) {
    const { connection } = this;
    for (;;) {
      await connection.ready();
      try {
        await watch();
        break;
      } catch (error) {
        if (!(error instanceof ConnectionLost) || connection.state === "ended") throw error;
      }
    }
    connection.watches.set(key, watch);
    return () => { if (connection.watches.get(key) === watch) connection.watches.delete(key); };
  }

  // ------------------------------------------------------------------------------------ accounts

  /**
   * Sign in as a new guest; waits while the server takes no more guests for now.
   * @param {{ name?: string }} [options]
   */
  async signInAsGuest({ name } = {}) {
    for (let attempt = 0; ; attempt += 1) {
      try {
        const body = name ? { display_name: name } : {};
        this.account.take(await this.request("POST /v1/auth/guest", { body, auth: false }));
        return /** @type {Session} */ (this.session);
      } catch (error) {
        if (!(error instanceof RequestRefused) || !error.retry || attempt + 1 >= SIGN_IN_TRIES_MAX) throw error;
        await sleep(fullJitterPauseMs(attempt + 3, BACKOFF_BASE_MS, 5000));
      }
    }
  }

  /**
   * Sign in with email and password.
   * @param {{ email: string, password: string, reactivate?: boolean }} credentials
   */
  async signIn(credentials) {
    this.account.take(await this.request("POST /v1/auth/email/sign-in", { body: credentials, auth: false }));
    return /** @type {Session} */ (this.session);
  }

  /** Use tokens that were got elsewhere. @param {Json} tokens as the server gives them */
  useTokens(tokens) {
    this.account.take(tokens);
  }

  /** End the session, on the server as well. */
  async signOut() {
    try {
      if (this.session) await this.request("POST /v1/auth/logout");
    } catch (error) {
      if (!(error instanceof ClientError)) throw error; // it ends here in any case
    } finally {
      this.account.set(null);
      this.#replaceConnection();
    }
  }

  /** Close the connection for good. */
  close() {
    this.connection.close();
  }

  #replaceConnection() {
    this.connection.close();
    this.connection = this.#newConnection();
    this.emit("connection", this.connection.state);
  }

  #newConnection() {
    const connection = new Connection(this.http, this.account, this.options);
    const { emit } = connection;
    connection.emit = (type, value) => {
      emit.call(connection, type, value);
      if (connection === this.connection) this.emit(type === "state" ? "connection" : type, value);
    };
    return connection;
  }
}

/**
 * Make a client, sign in (with what is stored, or as a new guest), and connect.
 * @param {string} [url]
 * @param {ClientOptions & { name?: string, token?: string, refreshToken?: string }} [options]
 * @returns {Promise<Client>}
 */
export async function connect(url, { name, token, refreshToken, ...options } = {}) {
  const client = new Client(url, options);
  if (token) {
    const never = Number.MAX_SAFE_INTEGER;
    client.account.set({
      access_token: token, refresh_token: null, expires_at: never, renew_at: never,
      user_id: "", player_id: "", display_name: "",
    });
  } else if (refreshToken) {
    const body = { refresh_token: refreshToken };
    client.account.take(await client.request("POST /v1/auth/refresh", { body, auth: false }));
  } else if (!client.session) {
    await client.signInAsGuest({ name });
  }
  await client.connection.ready();
  return client;
}
