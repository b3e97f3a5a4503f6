// Rooms of players who keep messages under way on the relay in server.js: a message is under
// way until its sender gets it back. Every player checks that it got everybody's messages, in
// their order.
//
//   node load.js '{"url": …, "rooms": 50, "players": 4, "window": 4, "payload_bytes": 250,
//                  "ramp_up_s": 1, "duration_s": 10}'
//
// Prints {"from_s", "to_s", "deliveries", "messages", "passed", "failed"}; times are of the
// machine's monotonic clock, and of the window of full load.
//
// The websocket is read and written here, byte by byte: a library would cost the load more
// than Colyseus pays for serving it.

import { connect } from "node:net";

const JOIN_ROOM = 10;
const ROOM_DATA = 13;
const CLOSE = 8;
const PING = 9;
const BINARY = 2;
const SAY = Buffer.from([ROOM_DATA, 0xa3, ...Buffer.from("say")]);
const FROM = Buffer.from([0xa4, ...Buffer.from("from")]);

const asked = JSON.parse(process.argv[2]);
const url = new URL(asked.url);
const sleep = (s) => new Promise((resolve) => setTimeout(resolve, s * 1000));
const now = () => Number(process.hrtime.bigint()) / 1e9;
let deliveries = 0;
let messages = 0;
let resting = false;

class Player {
  constructor(seat) {
    this.seat = seat;
    this.sent = 0;
    this.next = Array(asked.players).fill(1); // the number due from each seat
    this.fault = null;
    this.rest = Buffer.alloc(0);
  }

  async join(roomId) {
    const [way, room] = roomId === null ? ["create", "relay"] : ["joinById", roomId];
    const answer = await fetch(`${url.origin}/matchmake/${way}/${room}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: "{}",
    });
    const seat = await answer.json();
    const { roomId: id, processId } = seat.room ?? seat;
    await this.open(`/${processId}/${id}?sessionId=${seat.sessionId}`);
    return id;
  }

  open(path) {
    return new Promise((resolve, reject) => {
      this.joined = resolve;
      this.socket = connect(Number(url.port), url.hostname, () => {
        this.socket.setNoDelay(true);
        this.socket.write(
          `GET ${path} HTTP/1.1\r\nHost: ${url.host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
        );
      });
      this.socket.once("error", reject);
      this.socket.once("data", (head) => {
        const end = head.indexOf("\r\n\r\n") + 4;
        if (!head.toString("latin1").startsWith("HTTP/1.1 101")) reject(new Error(head.toString()));
        this.socket.on("data", (data) => this.read(data));
        this.read(head.subarray(end));
      });
      this.socket.on("close", () => resting || this.wrong("the connection was lost"));
    });
  }

  // ------------------------------------------------------------------ frames

  read(data) {
    const all = this.rest.length ? Buffer.concat([this.rest, data]) : data;
    let at = 0;
    while (all.length - at >= 2) {
      let [start, length] = [at + 2, all[at + 1]]; // a server's frames are not masked
      if (length === 126) {
        if (all.length - at < 4) break;
        [start, length] = [at + 4, all.readUInt16BE(at + 2)];
      }
      if (all.length < start + length) break;
      this.take(all[at] & 0x0f, all, start, start + length);
      at = start + length;
    }
    this.rest = all.subarray(at);
  }

  write(opcode, payload) {
    const head = Buffer.alloc(payload.length < 126 ? 6 : 8); // the mask is 0, 0, 0, 0
    head[0] = 0x80 | opcode;
    head[1] = 0x80 | Math.min(payload.length, 126);
    if (payload.length >= 126) head.writeUInt16BE(payload.length, 2);
    this.socket.write(Buffer.concat([head, payload]));
  }

  take(opcode, bytes, start, end) {
    if (opcode === PING) this.write(10, bytes.subarray(start, end));
    else if (opcode === CLOSE) this.wrong("Colyseus closed the connection");
    else if (bytes[start] === JOIN_ROOM) this.arrive();
    else if (bytes[start] === ROOM_DATA) this.hear(bytes, start);
  }

  // ------------------------------------------------------------------ messages

  arrive() {
    this.write(BINARY, Buffer.from([JOIN_ROOM]));
    this.joined();
  }

  begin() {
    for (let n = 0; n < asked.window; n++) this.say();
  }

  say() {
    this.sent += 1;
    const head = Buffer.from([...SAY, 0x83, ...FROM, this.seat, 0xa1, 110, 0xce, 0, 0, 0, 0]);
    head.writeUInt32BE(this.sent, head.length - 4);
    const pad = Buffer.alloc(Math.max(0, asked.payload_bytes - 23), "x"); // 23: what is around it
    this.write(BINARY, Buffer.concat([head, Buffer.from([0xa3, 112, 97, 100, 0xd9, pad.length]), pad]));
  }

  hear(bytes, start) {
    // Colyseus packs the message anew: the map's head has 1 byte or 3, the number 1, 2, 3 or 5.
    const map = start + SAY.length;
    const seat = bytes[map + (bytes[map] === 0xde ? 3 : 1) + FROM.length];
    const n = number(bytes, map + (bytes[map] === 0xde ? 3 : 1) + FROM.length + 3);
    if (n !== this.next[seat]) this.wrong(`${n} came from seat ${seat}, ${this.next[seat]} was due`);
    this.next[seat] = n + 1;
    deliveries += 1;
    if (seat !== this.seat) return;
    messages += 1;
    if (!resting) this.say();
  }

  wrong(why) {
    this.fault ??= why;
  }
}

function number(bytes, at) {
  const kind = bytes[at];
  if (kind < 0x80) return kind;
  if (kind === 0xcc) return bytes[at + 1];
  return kind === 0xcd ? bytes.readUInt16BE(at + 1) : bytes.readUInt32BE(at + 1);
}

async function gather() {
  const rooms = [];
  for (let room = 0; room < asked.rooms; room++) {
    const players = Array.from({ length: asked.players }, (_, seat) => new Player(seat));
    let id = null;
    for (const player of players) id = await player.join(id);
    rooms.push(players);
  }
  return rooms;
}

function verdict(room) {
  const sent = room.map((player) => player.sent + 1);
  for (const player of room) {
    if (player.next.some((next, seat) => next !== sent[seat])) player.wrong("messages are missing");
  }
  return room.filter((player) => player.fault !== null);
}

const rooms = await gather();
for (const player of rooms.flat()) player.begin();
await sleep(asked.ramp_up_s);
const [fromS, before, said] = [now(), deliveries, messages];
await sleep(asked.duration_s);
const window = { from_s: fromS, to_s: now(), deliveries: deliveries - before, messages: messages - said };
resting = true;
await sleep(1);
const wrong = rooms.flatMap(verdict);
const examples = wrong.slice(0, 5).map((player) => player.fault);
const players = asked.rooms * asked.players;
console.log(JSON.stringify({ ...window, passed: players - wrong.length, failed: wrong.length, examples }));
process.exit(0);
