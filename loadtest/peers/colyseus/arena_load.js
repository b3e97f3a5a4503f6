// Rooms of players who steer at a steady rate in the arena of arena.js, with the SDK. The time from
// an input to its effect is from sending it to the patch after which the player's `ack` has it.
//
//   node arena_load.js '{"url": …, "rooms": 20, "players": 8, "inputs_per_s": 5,
//                        "ramp_up_s": 1, "duration_s": 10}'
//
// Prints {"from_s", "to_s", "deliveries", "inputs", "p50_ms", "p95_ms", "p99_ms", "passed",
// "failed"}; a player passes if every input that was sent had its effect.

import { Client } from "@colyseus/sdk";

const asked = JSON.parse(process.argv[2]);
const sleep = (s) => new Promise((resolve) => setTimeout(resolve, s * 1000));
const now = () => Number(process.hrtime.bigint()) / 1e9;
const sign = () => Math.floor(Math.random() * 3) - 1;
let [deliveries, inputs, isMeasured, isOver] = [0, 0, false, false];
let taken = [];

class Player {
  constructor(room) {
    this.room = room;
    this.sent = 0;
    this.acked = 0;
    this.sentAt = new Map();
    room.onStateChange((state) => this.look(state));
  }

  look(state) {
    deliveries += 1;
    const ack = state.runners.get(this.room.sessionId)?.ack ?? 0;
    for (let no = this.acked + 1; no <= ack; no++) {
      if (isMeasured) taken.push((now() - this.sentAt.get(no)) * 1000);
      this.sentAt.delete(no);
      inputs += 1;
    }
    this.acked = Math.max(this.acked, ack);
  }

  async steer(phase) {
    const every = 1 / asked.inputs_per_s;
    let due = now() + every * phase;
    while (!isOver) {
      await sleep(Math.max(0, due - now()));
      due += every;
      this.sent += 1;
      this.sentAt.set(this.sent, now());
      this.room.send("input", { no: this.sent, type: "steer", x: sign(), y: sign() });
    }
  }
}

const players = [];
for (let number = 0; number < asked.rooms; number++) {
  const first = await new Client(asked.url).create("arena");
  players.push(new Player(first));
  for (let seat = 1; seat < asked.players; seat++) {
    players.push(new Player(await new Client(asked.url).joinById(first.roomId)));
  }
}
players.forEach((player, place) => player.steer((place % asked.players) / asked.players));
await sleep(asked.ramp_up_s);
const [fromS, before, beforeInputs] = [now(), deliveries, inputs];
isMeasured = true;
await sleep(asked.duration_s);
isMeasured = false;
const window = { from_s: fromS, to_s: now(), deliveries: deliveries - before, inputs: inputs - beforeInputs };
isOver = true;
await sleep(1.5);
taken = taken.sort((a, b) => a - b);
const at = (q) => taken[Math.min(taken.length - 1, Math.floor(q * taken.length))] ?? 0;
const failed = players.filter((player) => player.acked !== player.sent).length;
console.log(
  JSON.stringify({ ...window, p50_ms: at(0.5), p95_ms: at(0.95), p99_ms: at(0.99), passed: players.length - failed, failed }),
);
process.exit(0);
