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
export declare const VERSION = "0.1.0";
export type Json = Record<string, any>;
export type Endpoints = import("./protocol.d.ts").Endpoints;
export type Commands = import("./protocol.d.ts").Commands;
export type RequestOptions = {
    headers?: Record<string, string>;
    signal?: AbortSignal;
    /**
     * false leaves the request unsigned
     */
    auth?: boolean;
};
/** @typedef {Record<string, any>} Json A JSON object. */
/** @typedef {import("./protocol.d.ts").Endpoints} Endpoints */
/** @typedef {import("./protocol.d.ts").Commands} Commands */
/**
 * @typedef {object} RequestOptions
 * @property {Record<string, string>} [headers]
 * @property {AbortSignal} [signal]
 * @property {boolean} [auth] false leaves the request unsigned
 */
/** Base of everything that this client throws. */
export declare class ClientError extends Error {
    /** @param {string} message */
    constructor(message: string);
}
/**
 * The server refused a command or a request. `code` is stable and for programs; `message` is for
 * people; `field` is the field at fault; `retry` says whether the same may succeed later.
 */
export declare class RequestRefused extends ClientError {
    code: string;
    field: string | null;
    retry: boolean;
    status: number | null;
    /** Set where the refusal itself is in the game's log. */
    event_index: number | null;
    /** Seconds until the request can succeed, if known. */
    wait_s: number | null;
    /** With `wrong_node`: the URL of the server to connect to. */
    address: string | null;
    /** Everything that the server said. */
    details: Json;
    /**
     * @param {Json} reply an error of the server's
     * @param {number} [status] of the HTTP response
     */
    constructor(reply: Json, status?: number);
}
/** The connection is gone, and with it what was not answered. */
export declare class ConnectionLost extends ClientError {
    reason: string;
    /**
     * @param {string} message
     * @param {string} [reason] of the close, such as `superseded`
     */
    constructor(message: string, reason?: string);
}
/** The server sent another event than the one that comes next. */
export declare class EventOutOfOrder extends ClientError {
}
/** Nothing that speaks Playhall's protocol answers, or it does not let this page ask. */
export declare class ServerUnreachable extends ClientError {
}
/** There is nobody signed in. */
export declare class SignedOut extends ClientError {
    constructor();
}
/**
 * Draw a pause: from 0 to a bound that doubles with each attempt ("full jitter"), so that clients
 * which were disconnected together do not come back together.
 * @param {number} attempt
 */
export declare function fullJitterPauseMs(attempt: number, baseMs?: number, capMs?: number): number;
/** A promise with its two ends. @template T */
declare class Deferred<T> {
    /** @type {(value: T) => void} */
    resolve: (value: T) => void;
    /** @type {(error: unknown) => void} */
    reject: (error: unknown) => void;
    /** @type {Promise<T>} */
    promise: Promise<T>;
    constructor();
}
/** Functions to be called with what happens, by its name. */
declare class Emitter {
    #private;
    /**
     * Call a function whenever something happens; returns a function that stops it.
     * @param {string} type
     * @param {(value: any) => void} listener
     * @returns {() => void}
     */
    on(type: string, listener: (value: any) => void): () => void;
    /**
     * A listener's failure is its own: it is reported, and everything else goes on.
     * @param {string} type
     * @param {any} value
     */
    emit(type: string, value: any): void;
}
/**
 * Give what a JSON merge patch makes of a value, which stays as it is (RFC 7396, section 2).
 * @param {any} old
 * @param {any} patch
 * @returns {any}
 */
export declare function applyMergePatch(old: any, patch: any): any;
export type Session = {
    access_token: string;
    /**
     * null where only an access token was given
     */
    refresh_token: string | null;
    /**
     * milliseconds since 1970
     */
    expires_at: number;
    /**
     * milliseconds since 1970
     */
    renew_at: number;
    user_id: string;
    player_id: string;
    display_name: string;
};
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
declare class Account extends Emitter {
    #private;
    refresh: (body: Json) => Promise<Json>;
    storage: Storage | null;
    key: string;
    /**
     * @param {(body: Json) => Promise<Json>} refresh asks the server for new tokens
     * @param {Storage | null} storage
     * @param {string} key under which the session is stored
     */
    constructor(refresh: (body: Json) => Promise<Json>, storage: Storage | null, key: string);
    /** @returns {Session | null} */
    get session(): Session | null;
    /** @param {Json} tokens as the server gives them */
    take(tokens: Json): void;
    /** @param {Session | null} session */
    set(session: Session | null): void;
    /** Give a token that is valid now, renewed if need be. @returns {Promise<string>} */
    token(): Promise<string>;
    /**
     * Get new tokens in place of an old one, unless somebody else has done so meanwhile.
     * @param {string} old
     */
    renew(old: string): Promise<void>;
}
/** Requests to one server, signed by its account. */
declare class Http {
    #private;
    url: string;
    /** @type {Account | null} */
    account: Account | null;
    /** @param {string} url */
    constructor(url: string);
    /**
     * Send a request as `fetch` does, signed if somebody is signed in; throws `ServerUnreachable`.
     * A token that has just expired is renewed, and the request sent again.
     * @param {string} path
     * @param {RequestInit & { auth?: boolean }} [init] `auth: false` leaves it unsigned
     * @returns {Promise<Response>}
     */
    fetch(path: string, { auth, ...init }?: RequestInit & {
        auth?: boolean;
    }): Promise<Response>;
    /**
     * Send JSON, and give the JSON of the answer.
     * @param {string} endpoint such as `GET /v1/games/{game_id}/events`
     * @param {{ path?: Json, query?: Json, body?: unknown, headers?: Record<string, string>,
     *           signal?: AbortSignal, auth?: boolean }} [args]
     * @returns {Promise<any>}
     */
    request(endpoint: string, { path, query, body, headers, signal, auth }?: {
        path?: Json;
        query?: Json;
        body?: unknown;
        headers?: Record<string, string>;
        signal?: AbortSignal;
        auth?: boolean;
    }): Promise<any>;
    /**
     * Say why there was no answer. Browsers do not tell a page whether a server is down or does not
     * let the page read; an opaque request, which needs no permission, tells the two apart.
     * @returns {Promise<ServerUnreachable>}
     */
    unreachable(): Promise<ServerUnreachable>;
}
export type ConnectionState = "idle" | "connecting" | "ready" | "lost" | "ended";
/**
 * @typedef {"idle" | "connecting" | "ready" | "lost" | "ended"} ConnectionState
 * `lost` while it reconnects; `ended` once it will not come back by itself.
 */
/**
 * One account's websocket: opened when it is needed, greeted, kept alive, and restored.
 *
 * Emits `state` with a `ConnectionState`, and every update under its type.
 */
declare class Connection extends Emitter {
    #private;
    http: Http;
    account: Account;
    options: {
        client?: string;
        WebSocket?: typeof WebSocket;
        companion?: boolean;
    };
    /** @type {ConnectionState} */
    state: ConnectionState;
    /** The server's last greeting. @type {Json} */
    welcome: Json;
    /** Why it will not come back. @type {ClientError | null} */
    failure: ClientError | null;
    /** How often it was restored. */
    reconnects: number;
    /** When the next attempt begins, milliseconds since 1970; 0 while none is planned. */
    nextAttemptAt: number;
    /** What is followed, by game id. @type {Map<string, GameStream>} */
    streams: Map<string, GameStream>;
    /** What is sent again after each greeting, by a key of its own. @type {Map<string, () => Promise<unknown>>} */
    watches: Map<string, () => Promise<unknown>>;
    /**
     * @param {Http} http
     * @param {Account} account
     * @param {{ client?: string, WebSocket?: typeof WebSocket, companion?: boolean }} options
     */
    constructor(http: Http, account: Account, options: {
        client?: string;
        WebSocket?: typeof WebSocket;
        companion?: boolean;
    });
    /** Milliseconds since 1970 by the server's clock, as of its last greeting. */
    serverNow(): number;
    /** Connect if it is not, and wait until commands can be sent. Throws what keeps it from coming up. */
    ready(): Promise<void>;
    /** Connect again after it has ended: this page takes the account's one connection back. */
    restart(): Promise<void>;
    /** Close for good. */
    close(): void;
    /** Drop the present websocket, as a bad network would. */
    drop(): void;
    /**
     * Send a command and wait for its reply.
     * @param {string} command
     * @param {Json} [fields]
     * @returns {Promise<any>}
     */
    call(command: string, fields?: Json): Promise<any>;
    /**
     * Send a command on the present websocket.
     * @param {string} command
     * @param {Json} fields
     * @returns {Promise<Json>}
     */
    send(command: string, fields: Json): Promise<Json>;
    /**
     * Follow a game from its next index on, now and after every interruption.
     * @param {GameStream} stream
     */
    follow(stream: GameStream): Promise<void>;
    /** Ask again for a stream that was paused, from its next index on. @param {GameStream} stream */
    resume(stream: GameStream): Promise<void>;
}
export type PendingMove = {
    cmd_no: number;
    move: Json;
    expected_head: number | undefined;
    /**
     * of the first event that it caused
     */
    index: Deferred<number>;
    tries: number;
    /**
     * an answer is due on the present connection
     */
    asked: boolean;
    /**
     * the answer, as the game's log implies it
     */
    logged: Json | null;
};
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
declare class MoveQueue {
    #private;
    send: (fields: Json) => Promise<Json>;
    used: number;
    isOpen: boolean;
    /** @type {PendingMove[]} */
    pending: PendingMove[];
    /** @param {(fields: Json) => Promise<Json>} send */
    constructor(send: (fields: Json) => Promise<Json>);
    /**
     * @param {Json} move
     * @param {number} [expected_head]
     * @returns {Promise<number>}
     */
    act(move: Json, expected_head?: number): Promise<number>;
    /** @param {number} used the last number in the log, as the server says */
    connected(used: number): void;
    /** No answer will come on this connection. */
    disconnected(): void;
    /**
     * The log has one of these moves. One that ended the game, and whose answer got lost, is refused as
     * too late when it is repeated; its true fate is known from here.
     * @param {number} cmd_no
     * @param {number} event_index
     * @param {Json | null} refusal
     */
    logged(cmd_no: number, event_index: number, refusal: Json | null): void;
    /** @param {ClientError} error */
    fail(error: ClientError): void;
}
/**
 * A game's events, from the next index on: each has the index after the last one's, or the stream
 * fails. It outlives its connections; the next one resumes it after the last index that it took.
 */
declare class GameStream {
    game_id: string;
    moves: MoveQueue;
    game: Game;
    asPlayer: boolean;
    delayS: number;
    nextIndex: number;
    /** @type {number | null} */
    seat: number | null;
    completed: boolean;
    paused: boolean;
    /** @type {ClientError | null} */
    failure: ClientError | null;
    /** Of a real-time game. @type {{ tick: number, view: any, ack: number } | null} */
    live: {
        tick: number;
        view: any;
        ack: number;
    } | null;
    /**
     * @param {string} game_id
     * @param {MoveQueue} moves
     * @param {Game} game that is told
     * @param {{ watch?: boolean, delayS?: number, after?: number }} options
     */
    constructor(game_id: string, moves: MoveQueue, game: Game, { watch, delayS, after }: {
        watch?: boolean;
        delayS?: number;
        after?: number;
    });
    /** @param {Json} reply */
    started(reply: Json): void;
    /** @param {Json} message */
    event(message: Json): void;
    /** A snapshot in place of the events up to it. @param {Json} message */
    snapshot(message: Json): void;
    /** What has changed in a real-time game. @param {Json} message */
    patch(message: Json): void;
    /** @param {ClientError} error */
    fail(error: ClientError): void;
}
export type GameEvent = {
    event_index: number;
    type: string;
    /**
     * null where this viewer may not look into it
     */
    payload: any;
    at: string;
};
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
export declare class Game extends Emitter {
    #private;
    game_id: string;
    /**
     * @param {Connection} connection
     * @param {string} game_id
     * @param {{ watch?: boolean, delayS?: number, after?: number }} options
     */
    constructor(connection: Connection, game_id: string, options: {
        watch?: boolean;
        delayS?: number;
        after?: number;
    });
    /** Your seat; null for a spectator. */
    get seat(): number | null;
    /** The index of the last event that arrived; -1 for none. */
    get head(): number;
    /** Whether the game is over. */
    get completed(): boolean;
    /** Why it is followed no longer. */
    get failure(): ClientError | null;
    /** What you see of a real-time game now; null in every other game. */
    get live(): {
        tick: number;
        view: any;
        ack: number;
    } | null;
    /** Start to follow the game; iterating does it by itself. Resolves once its events so far have come. */
    follow(): Promise<void>;
    /** Stop following it. */
    unfollow(): Promise<void>;
    /**
     * Make a move; gives the index of its first event once that is committed. With `expectedHead`, it
     * is refused (`game_moved_on`) if anything that counts has happened since that event, so that what
     * a person chose is played nowhere else.
     * @param {Json} move
     * @param {{ expectedHead?: number }} [options]
     * @returns {Promise<number>}
     */
    act(move: Json, { expectedHead }?: {
        expectedHead?: number;
    }): Promise<number>;
    /** Ask for the state, whose turn it is, and how long it may take. @returns {Promise<any>} */
    snapshot(): Promise<any>;
    /** Ask for the whole state as you may see it, with your `legal_moves`. @returns {Promise<any>} */
    view(): Promise<any>;
    /** Say something to everybody at the game. @param {string} text */
    say(text: string): Promise<any>;
    /** Show everybody at the game something that nobody keeps. @param {Json} data */
    sendEphemeral(data: Json): Promise<any>;
    /** Ask for a rematch, or agree to one. @param {{ bestOf?: number }} [options] */
    rematch({ bestOf }?: {
        bestOf?: number;
    }): Promise<any>;
    /** Give up your seat. */
    leave(): Promise<void>;
    /** Give each event once, in order, until the game has ended. @returns {AsyncGenerator<GameEvent>} */
    [Symbol.asyncIterator](): AsyncGenerator<GameEvent>;
    /** @param {GameEvent} event @package */
    take(event: GameEvent): void;
    /** @package */
    resume(): Promise<void>;
    /** @param {ClientError} error @package */
    failed(error: ClientError): void;
}
/** Where players gather. */
declare class Lobbies {
    #private;
    client: Client;
    /** @param {Client} client */
    constructor(client: Client);
    /**
     * One page of the public list, newest first; needs no account.
     * @param {Json} [filters] `ruleset`, `mode`, `region`, `status`, `free_seats`, `text`, `limit`, `cursor`
     * @returns {Promise<{ lobbies: any[], next: string | null }>}
     */
    list(filters?: Json): Promise<{
        lobbies: any[];
        next: string | null;
    }>;
    /**
     * Follow the public list: calls `listener` with all lobbies of the filter now and after every change.
     * @param {Json} filters as in `list`
     * @param {(lobbies: any[]) => void} listener
     * @returns {Promise<() => void>} stops it
     */
    watchList(filters: Json, listener: (lobbies: any[]) => void): Promise<() => void>;
    /**
     * Create a lobby with you as host, and follow it.
     * @param {import("./protocol.d.ts").NewLobby} options
     */
    create(options: import("./protocol.d.ts").NewLobby): Promise<Lobby>;
    /**
     * Join by `code`, or a public lobby by `lobby_id`, and follow it.
     * @param {import("./protocol.d.ts").Joining} options
     */
    join(options: import("./protocol.d.ts").Joining): Promise<Lobby>;
    /** Follow a lobby that you are in, or may see. @param {string} lobby_id */
    open(lobby_id: string): Promise<Lobby>;
    /**
     * Sit down with other players who come, or bots, and wait for the game.
     * @param {string} ruleset
     * @param {Json & { onLobby?: (lobby: Lobby) => void }} [options] `seats`, `config`; `onLobby` gets the lobby to wait in
     * @returns {Promise<Game>}
     */
    quickPlay(ruleset: string, { onLobby, ...options }?: Json & {
        onLobby?: (lobby: Lobby) => void;
    }): Promise<Game>;
}
/**
 * One lobby, kept up to date. Emits `change` with the lobby and what changed, and `chat`.
 * Its state, as the server shows it, is in `state`.
 */
export declare class Lobby extends Emitter {
    #private;
    client: Client;
    state: any;
    /** In replies to members only, and it never changes. */
    join_code: string | null;
    /**
     * @param {Client} client
     * @param {any} state
     */
    constructor(client: Client, state: any);
    get lobby_id(): string;
    /** You, as a member; undefined for who only watches. */
    get me(): any;
    get isHost(): boolean;
    /** The game that is played: of a lobby with several tables, the one of your table. @returns {string | null} */
    get game_id(): string | null;
    /** @package */
    follow(): Promise<void>;
    /** Stop following it; you stay a member. */
    unfollow(): void;
    /**
     * Wait until the game has started.
     * @returns {Promise<Game>}
     */
    game(): Promise<Game>;
    ready(ready?: boolean): Promise<any>;
    /** @param {string} bot its name, of the ruleset's @param {number} [table] at which, where there are several */
    addBot(bot: string, table?: number): Promise<any>;
    /** @param {string} player_id */
    removeBot(player_id: string): Promise<any>;
    /** @param {string} player_id */
    kick(player_id: string): Promise<any>;
    /** @param {Json} changes `name`, `config`, `seats`, `is_public` */
    configure(changes: Json): Promise<any>;
    /** Change between player and spectator. @param {"player" | "spectator"} role */
    become(role: "player" | "spectator"): Promise<any>;
    /** Sit down at a table, of several. @param {number} table */
    sit(table: number): Promise<any>;
    /** @param {number} [table] which one, where there are several and you do not sit there */
    start(table?: number): Promise<any>;
    close(): Promise<any>;
    leave(): Promise<void>;
    /** @param {string} text */
    say(text: string): Promise<import("./protocol.d.ts").Ok>;
}
/** A search for a match. Emits `update` with how it is going. */
export declare class MatchSearch extends Emitter {
    #private;
    client: Client;
    /** The last `match.update`. @type {any} */
    state: any;
    /** @param {Client} client */
    constructor(client: Client);
    /** Wait until the match begins. @returns {Promise<Game>} */
    game(): Promise<Game>;
    /** Accept the match that is offered, where the server asks for it. */
    accept(): Promise<import("./protocol.d.ts").Ok>;
    /** Decline it, which ends the search. */
    decline(): Promise<void>;
    /** Leave the queue. */
    leave(): Promise<void>;
    /** @param {ClientError | null} [error] @package */
    abandon(error?: ClientError | null): void;
}
/** Matches of players of similar strength. */
declare class Matchmaking {
    client: Client;
    /** @param {Client} client */
    constructor(client: Client);
    /**
     * Queue for a match. The search outlives a lost connection for as long as the server keeps the place.
     * @param {string} ruleset
     * @param {Json} [options] `seats`, `config`, `region`, `properties`, `conditions`, `bots`, `lobby_id` of a party
     * @returns {Promise<MatchSearch>}
     */
    queue(ruleset: string, options?: Json): Promise<MatchSearch>;
}
/**
 * A day of competition, kept up to date without a hole. `state` is the day as of `version`, with its
 * slots; emits `event` with every event of the day, in order, and `snapshot` when `state` was read anew.
 */
export declare class EpochFeed extends Emitter {
    #private;
    client: Client;
    epoch_id: string | null;
    version: number;
    /** @type {any} */
    state: any;
    /**
     * @param {Client} client
     * @param {string | null} epoch_id null for the current day
     */
    constructor(client: Client, epoch_id: string | null);
    /** @package */
    follow(): Promise<this>;
    /** Stop following it. */
    close(): Promise<void>;
}
/** Days of competition. */
declare class Epochs {
    client: Client;
    /** @param {Client} client */
    constructor(client: Client);
    /** One page of the days, newest first. @param {Json} [query] */
    list(query?: Json): Promise<import("./protocol.d.ts").Epochs>;
    /** Follow a day, by default the current one. @param {string | null} [epoch_id] @returns {Promise<EpochFeed>} */
    watch(epoch_id?: string | null): Promise<EpochFeed>;
    /**
     * Give every event of a day after a version, however many there are.
     * @param {string} epoch_id
     * @param {number} [after]
     * @returns {AsyncGenerator<any>}
     */
    events(epoch_id: string, after?: number): AsyncGenerator<any>;
    /** Score a target from 0 to 1, or change the score. @param {import("./protocol.d.ts").CommandArgs<"epoch.vote">} vote */
    vote(vote: import("./protocol.d.ts").CommandArgs<"epoch.vote">): Promise<import("./protocol.d.ts").Voted>;
    /** Write code into a slot; for bots. @param {import("./protocol.d.ts").CommandArgs<"epoch.claim">} claim */
    claim(claim: import("./protocol.d.ts").CommandArgs<"epoch.claim">): Promise<import("./protocol.d.ts").Done>;
}
export type PeerOptions = {
    /**
     * when the host goes on over the server if somebody cannot be reached
     */
    fallbackAfterMs?: number;
    /**
     * false does not even try
     */
    webrtc?: boolean;
};
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
export declare class PeerSession extends Emitter {
    #private;
    client: Client;
    lobby: Lobby;
    fallbackAfterMs: number;
    webrtc: boolean;
    /** What carries the messages. @type {"connecting" | "webrtc" | "relay" | "closed"} */
    transport: "connecting" | "webrtc" | "relay" | "closed";
    /** The relay's game. @type {Game | null} */
    game: Game | null;
    /**
     * @param {Client} client
     * @param {Lobby} lobby
     * @param {PeerOptions} options
     */
    constructor(client: Client, lobby: Lobby, { fallbackAfterMs, webrtc }?: PeerOptions);
    get isHost(): boolean;
    /** Send something to everybody else. @param {unknown} data JSON of at most 64 KiB over WebRTC; the relay's bound is the server's */
    send(data: unknown): Promise<void>;
    /** Go on over the server; the host's to decide, and done by itself if peers do not connect in time. */
    fallBack(): Promise<import("./protocol.d.ts").LobbyReply>;
    /** Close all connections and leave the lobby. */
    close(): Promise<void>;
}
/** Games that run on the players' own machines. */
declare class Peers {
    client: Client;
    /** @param {Client} client */
    constructor(client: Client);
    /**
     * Create a peer lobby with you as host.
     * @param {import("./protocol.d.ts").NewLobby & PeerOptions} options `ruleset` is any name
     * @returns {Promise<PeerSession>}
     */
    create({ fallbackAfterMs, webrtc, ...options }: import("./protocol.d.ts").NewLobby & PeerOptions): Promise<PeerSession>;
    /**
     * Join a peer lobby.
     * @param {import("./protocol.d.ts").Joining & PeerOptions} how
     * @returns {Promise<PeerSession>}
     */
    join({ fallbackAfterMs, webrtc, ...how }: import("./protocol.d.ts").Joining & PeerOptions): Promise<PeerSession>;
}
export type ClientOptions = {
    /**
     * where the session is kept, such as `localStorage`
     */
    storage?: Storage | null;
    /**
     * under which it is kept
     */
    key?: string;
    /**
     * the name of your program, as the server sees it
     */
    client?: string;
    /**
     * a second connection of the account, which only follows its saves
     */
    companion?: boolean;
    /**
     * another implementation of websockets
     */
    WebSocket?: typeof WebSocket;
};
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
export declare class Client extends Emitter {
    #private;
    url: string;
    http: Http;
    account: Account;
    options: ClientOptions;
    connection: Connection;
    lobbies: Lobbies;
    matchmaking: Matchmaking;
    epochs: Epochs;
    peers: Peers;
    /**
     * @param {string} [url] of the server; without one, of the page
     * @param {ClientOptions} [options]
     */
    constructor(url?: string, options?: ClientOptions);
    /** Who is signed in, or null. */
    get session(): Session | null;
    /**
     * Send a command (`"lobby.create"`) and give its reply; throws `RequestRefused` or `ConnectionLost`.
     * @template {keyof Commands | (string & {})} C
     * @param {C} command
     * @param {import("./protocol.d.ts").CommandArgs<C>} [fields]
     * @returns {Promise<import("./protocol.d.ts").CommandReply<C>>}
     */
    call<C extends keyof Commands | (string & {})>(command: C, fields?: import("./protocol.d.ts").CommandArgs<C>): Promise<import("./protocol.d.ts").CommandReply<C>>;
    /**
     * Make an HTTP request: `client.request("GET /v1/matches/{match_id}", { path: { match_id } })`.
     * @template {keyof Endpoints | (string & {})} E
     * @param {E} endpoint
     * @param {import("./protocol.d.ts").Args<E> & RequestOptions} [args]
     * @returns {Promise<import("./protocol.d.ts").Reply<E>>}
     */
    request<E extends keyof Endpoints | (string & {})>(endpoint: E, args?: import("./protocol.d.ts").Args<E> & RequestOptions): Promise<import("./protocol.d.ts").Reply<E>>;
    /**
     * As `fetch`, signed: for what is not JSON.
     * @param {string} path
     * @param {RequestInit & { auth?: boolean }} [init]
     */
    fetch(path: string, init?: RequestInit & {
        auth?: boolean;
    }): Promise<Response>;
    /**
     * A game, as its player or as a spectator.
     * @param {string} game_id
     * @param {{ watch?: boolean, delayS?: number, after?: number }} [options]
     */
    game(game_id: string, options?: {
        watch?: boolean;
        delayS?: number;
        after?: number;
    }): Game;
    /**
     * Do something now, and again after every greeting, until it is stopped: what the server forgets
     * with a connection. It must use `connection.send`.
     * @param {string} key
     * @param {() => Promise<unknown>} watch
     * @returns {Promise<() => void>} stops it
     */
    keep(key: string, watch: () => Promise<unknown>): Promise<() => void>;
    /**
     * Sign in as a new guest; waits while the server takes no more guests for now.
     * @param {{ name?: string }} [options]
     */
    signInAsGuest({ name }?: {
        name?: string;
    }): Promise<Session>;
    /**
     * Sign in with email and password.
     * @param {{ email: string, password: string, reactivate?: boolean }} credentials
     */
    signIn(credentials: {
        email: string;
        password: string;
        reactivate?: boolean;
    }): Promise<Session>;
    /** Use tokens that were got elsewhere. @param {Json} tokens as the server gives them */
    useTokens(tokens: Json): void;
    /** End the session, on the server as well. */
    signOut(): Promise<void>;
    /** Close the connection for good. */
    close(): void;
}
/**
 * Make a client, sign in (with what is stored, or as a new guest), and connect.
 * @param {string} [url]
 * @param {ClientOptions & { name?: string, token?: string, refreshToken?: string }} [options]
 * @returns {Promise<Client>}
 */
export declare function connect(url?: string, { name, token, refreshToken, ...options }?: ClientOptions & {
    name?: string;
    token?: string;
    refreshToken?: string;
}): Promise<Client>;
export {};
