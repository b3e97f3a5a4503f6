// Carries out clients/conformance.md with this client: node conformance.js http://127.0.0.1:8080

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { connect } from "./playhall.js";

const page = await readFile(new URL("../conformance.md", import.meta.url), "utf8");
const steps = JSON.parse(/```json\n(.*?)```/s.exec(page)[1]);
const url = process.argv[2] ?? "http://127.0.0.1:8080";

const pause = (ms) => new Promise((done) => setTimeout(done, ms));
const pick = (list) => list[Math.floor(Math.random() * list.length)];

let client;
let game;
const events = [];
let moves = 0;
let cuts = 0;

const carryOut = {
  async sign_in({ name }) {
    client = await connect(url, { name, client: "conformance-js" });
    assert.equal(client.connection.welcome.player_id, client.session.player_id);
  },

  async quick_play({ ruleset, seats, config }) {
    game = await client.lobbies.quickPlay(ruleset, { seats, config });
  },

  async play({ cut_offs, within_ms }) {
    for await (const event of game) {
      events.push(event);
      if (events.length <= game.head || game.completed) continue; // there is more to read first
      const { view, head } = await game.snapshot();
      if (head > game.head || !view.legal_moves.length) continue;
      const cut = cuts < cut_offs ? cutOff(within_ms) : null;
      if (Math.random() < 0.3) await cut;
      await game.act(pick(view.legal_moves));
      moves += 1;
      await cut;
    }
  },

  async finish() {
    const log = [];
    while (log.length < events.length) {
      const query = { after: log.length - 1, limit: 1000 };
      const read = await client.request("GET /v1/games/{game_id}/events", { path: { game_id: game.game_id }, query });
      if (!read.events.length) break;
      log.push(...read.events);
    }
    assert.deepEqual(events.map((event) => event.event_index), events.map((_, index) => index));
    assert.equal(events.at(-1).type, "game_completed");
    assert.deepEqual(events.map((event) => event.type), log.map((each) => each.event ?? each.type));
    const mine = events.map((event) => event.payload?._cmd).filter((cmd) => cmd?.[0] === game.seat);
    assert.deepEqual(mine.map((cmd) => cmd[1]), mine.map((_, index) => index + 1));
    assert.equal(mine.length, moves);
    assert.ok(client.connection.reconnects >= cuts, `${client.connection.reconnects} of ${cuts}`);
  },
};

async function cutOff(within_ms) {
  await client.connection.ready();
  await pause(Math.random() * within_ms);
  if (client.connection.state !== "ready") return;
  client.connection.drop();
  cuts += 1;
}

for (const step of steps) await carryOut[step.step](step);
client.close();
console.log(JSON.stringify({ client: "js", events: events.length, moves, cuts, reconnects: client.connection.reconnects }));
