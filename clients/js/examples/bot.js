// A bot that plays Four in a Row against anyone who is waiting: node bot.js http://127.0.0.1:8080 3
//
// The server's rules say which moves are legal; this decides which of them to make. Node 20 needs
// --experimental-websocket.

import { connect } from "../playhall.js";

const [url = "http://127.0.0.1:8080", games = "1"] = process.argv.slice(2);
const MIDDLE = 3;

/** Columns in the middle are part of more lines of four. */
function choose(moves) {
  const distance = (move) => Math.abs(move.column - MIDDLE);
  const best = Math.min(...moves.map(distance));
  const good = moves.filter((move) => distance(move) === best);
  return good[Math.floor(Math.random() * good.length)];
}

const client = await connect(url, { name: "Middle Bot" });
for (let played = 0; played < Number(games); played += 1) {
  const game = await client.lobbies.quickPlay("four_in_a_row");
  for await (const event of game) {
    if (event.type === "game_completed") {
      const won = event.payload.winners.includes(client.session.player_id);
      console.log(`${game.game_id}: ${won ? "won" : event.payload.winners.length ? "lost" : "drawn"}`);
    }
    const { view, head } = await game.snapshot();
    if (head > event.event_index || !view.legal_moves.length) continue; // there is more to read first
    await game.act(choose(view.legal_moves));
  }
}
client.close();
