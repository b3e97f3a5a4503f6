// A whole game in a page of your own, from any web server: four_in_a_row.html?server=http://127.0.0.1:8080
//
// The server must name this page's origin in PLAYHALL_ORIGINS, or the browser keeps both apart.

const server = new URLSearchParams(location.search).get("server") ?? location.origin;
const { connect } = await import(`${server}/sdk/playhall.js`);

const ROWS = 6;
const COLUMNS = 7;
const state = document.querySelector("#state");
const board = document.querySelector("#board");
const play = document.querySelector("#play");

const columns = Array.from({ length: COLUMNS }, (_, column) => {
  const button = document.createElement("button");
  button.type = "button";
  button.disabled = true;
  button.setAttribute("aria-label", `Column ${column + 1}`);
  button.append(...Array.from({ length: ROWS }, () => document.createElement("span")));
  return button;
});
board.append(...columns);

let game = null;

for (const [column, button] of columns.entries()) {
  button.addEventListener("click", () => act({ type: "drop", column }));
}

async function act(move) {
  for (const button of columns) button.disabled = true; // until the server has answered
  try {
    await game.act(move);
  } catch (error) {
    state.textContent = error.message;
  }
}

function draw({ board: discs, legal_moves: moves }) {
  const open = new Set(moves.map((move) => move.column));
  for (const [column, button] of columns.entries()) {
    button.disabled = !open.has(column);
    for (const [row, cell] of [...button.children].entries()) {
      const seat = discs[column][row];
      if (seat === undefined) delete cell.dataset.seat;
      else cell.dataset.seat = seat;
    }
  }
}

play.addEventListener("click", async () => {
  play.disabled = true;
  try {
    const client = await connect(server, { storage: sessionStorage });
    state.textContent = "Waiting for somebody else …";
    game = await client.lobbies.quickPlay("four_in_a_row");
    for await (const event of game) {
      const { view } = await game.snapshot();
      draw(view);
      if (event.type === "game_completed") {
        const { winners } = event.payload;
        const isWon = winners.includes(client.session.player_id);
        state.textContent = winners.length === 0 ? "Nobody won." : isWon ? "You won." : "You lost.";
      } else {
        state.textContent = view.legal_moves.length ? "Your turn." : "The other one's turn.";
      }
    }
    client.close();
  } catch (error) {
    state.textContent = error.message; // a sentence that says what to do
  }
  play.disabled = false;
});
