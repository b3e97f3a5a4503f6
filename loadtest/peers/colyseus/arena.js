// The arena on Colyseus: the same world, the same rules and the same rates as ours, with its
// state in a schema. Nothing is stored; inputs have numbers so that clients can see their effect.

import { Room } from "@colyseus/core";
import { MapSchema, schema } from "@colyseus/schema";

const HZ = 20;
const FIELD = 1000;
const SPEED = 8;
const DASH_SPEED = 24;
const DASH_TICKS = 6;
const DASH_REST_TICKS = 40;
const STUN_TICKS = 20;
const REACH = 24;
const GEMS = 12;

const Runner = schema(
  { x: "int16", y: "int16", gems: "uint16", stunned: "boolean", dashing: "boolean", ack: "uint32" },
  "Runner",
);
const Gem = schema({ x: "int16", y: "int16" }, "Gem");
const World = schema(
  { left_s: "uint16", runners: { map: Runner }, gems: { map: Gem } },
  "World",
);

const near = (one, other) => Math.abs(one.x - other.x) <= REACH && Math.abs(one.y - other.y) <= REACH;
const anywhere = () => Math.floor(Math.random() * FIELD);

export class Arena extends Room {
  maxClients = 8;
  maxMessagesPerSecond = Infinity;
  patchRate = 100;

  onCreate() {
    this.state = new World();
    this.state.runners = new MapSchema();
    this.state.gems = new MapSchema();
    this.bodies = new Map(); // what clients are not shown
    this.inputs = [];
    this.tick = 0;
    this.gemsMade = 0;
    this.addGems();
    this.onMessage("input", (client, input) => this.inputs.push([client.sessionId, input]));
    this.setSimulationInterval(() => this.step(), 1000 / HZ);
  }

  onJoin(client) {
    const runner = new Runner();
    Object.assign(runner, { x: anywhere(), y: anywhere(), gems: 0, stunned: false, dashing: false, ack: 0 });
    this.state.runners.set(client.sessionId, runner);
    this.bodies.set(client.sessionId, { steer: [0, 0], dash: 0, rest: 0, stun: 0 });
  }

  onLeave(client) {
    this.state.runners.delete(client.sessionId);
    this.bodies.delete(client.sessionId);
  }

  step() {
    this.tick += 1;
    this.state.left_s = Math.max(0, 600 - Math.floor(this.tick / HZ));
    for (const [id, input] of this.inputs) this.take(id, input);
    this.inputs = [];
    for (const [id, runner] of this.state.runners) this.move(runner, this.bodies.get(id));
    this.letDashesHit();
    for (const [id, runner] of this.state.runners) {
      if (!this.bodies.get(id).stun) this.gather(runner);
    }
    this.addGems();
  }

  take(id, { no, type, x, y }) {
    const [runner, body] = [this.state.runners.get(id), this.bodies.get(id)];
    if (!runner) return;
    runner.ack = no;
    if (type === "steer") body.steer = [x, y];
    else if (!body.rest && !body.stun) [body.dash, body.rest] = [DASH_TICKS, DASH_REST_TICKS];
  }

  move(runner, body) {
    body.rest = Math.max(0, body.rest - 1);
    if (body.stun) {
      body.stun -= 1;
    } else {
      const speed = body.dash ? DASH_SPEED : SPEED;
      body.dash = Math.max(0, body.dash - 1);
      runner.x = Math.min(Math.max(runner.x + body.steer[0] * speed, 0), FIELD);
      runner.y = Math.min(Math.max(runner.y + body.steer[1] * speed, 0), FIELD);
    }
    runner.stunned = body.stun > 0;
    runner.dashing = body.dash > 0;
  }

  letDashesHit() {
    for (const [id, dasher] of this.state.runners) {
      if (!this.bodies.get(id).dash) continue;
      for (const [otherId, other] of this.state.runners) {
        const body = this.bodies.get(otherId);
        if (otherId === id || body.stun || !near(dasher, other)) continue;
        [body.stun, body.dash] = [STUN_TICKS, 0];
        other.gems = Math.max(0, other.gems - 1);
      }
    }
  }

  gather(runner) {
    for (const [number, gem] of this.state.gems) {
      if (!near(runner, gem)) continue;
      this.state.gems.delete(number);
      runner.gems += 1;
    }
  }

  addGems() {
    while (this.state.gems.size < GEMS) {
      const gem = new Gem();
      Object.assign(gem, { x: anywhere(), y: anywhere() });
      this.state.gems.set(String(this.gemsMade++), gem);
    }
  }
}
