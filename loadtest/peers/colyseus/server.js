// A bare relay on Colyseus: a room sends every message to all who are in it. Nothing is
// ordered, stored or checked beyond what Colyseus itself does.
//
//   node server.js [port]        prints "ready at http://127.0.0.1:PORT"

import { createServer } from "node:http";
import { Room, Server, matchMaker } from "@colyseus/core";
import { WebSocketTransport } from "@colyseus/ws-transport";
import { Arena } from "./arena.js";

class Relay extends Room {
  maxClients = 64;
  maxMessagesPerSecond = Infinity;
  patchRate = null; // there is no state to send

  onCreate() {
    this.onMessage("say", (client, message) => this.broadcast("say", message));
  }
}

const http = createServer();
const server = new Server({ transport: new WebSocketTransport({ server: http }), greet: false });
server.define("relay", Relay);
server.define("arena", Arena);
await server.listen(Number(process.argv[2] ?? 0), "127.0.0.1");
matchMaker.controller.exposedMethods = ["create", "joinById"];
console.log(`ready at http://127.0.0.1:${http.address().port}`);
