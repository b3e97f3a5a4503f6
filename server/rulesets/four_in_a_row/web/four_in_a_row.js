// Four in a row: seven columns, each of which is a button.

import { build, replace } from "/static/dom.js";
import { t } from "/static/strings.js";

const COLUMNS = 7;
const ROWS = 6;

export default function view(table) {
  let columns = [];
  let open = new Map(); // by column: the move that drops there
  let selected = 3; // the column that the keyboard is at
  let last = null; // the cell of the last disc, as "column,row"

  const board = build("div", { class: "four-board", role: "group", "aria-label": t("four.board") });
  const legend = build("ul", { class: "row four-legend" });
  table.root.append(board, legend);

  function drop(column) {
    const move = open.get(column);
    if (move) table.act(move);
  }

  function press(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const digit = Number(event.key);
    if (step) selected = (selected + step + COLUMNS) % COLUMNS;
    else if (digit >= 1 && digit <= COLUMNS) selected = digit - 1;
    else return;
    event.preventDefault();
    columns[selected].focus();
    if (digit) drop(selected);
  }
  board.addEventListener("keydown", press);

  function drawColumn(discs, column, line) {
    const cells = Array.from({ length: ROWS }, (_, row) => {
      const at = `${column},${row}`;
      return build("span", {
        class: "four-cell",
        "data-seat": discs[row],
        "data-line": line.has(at),
        "data-last": at === last,
      });
    }).reverse();
    const top = discs.map((seat) => table.name(seat)).join(", ");
    return build("button", {
      type: "button",
      class: "four-column",
      "data-key": `column-${column}`,
      "aria-disabled": open.has(column) ? null : "true",
      "aria-label": `${t("four.column", { column: column + 1 })} ${top ? t("four.holds", { discs: top }) : t("four.empty")}`,
      tabindex: column === selected ? 0 : -1,
      onclick: () => { selected = column; drop(column); },
      onfocus: () => { select(column); },
    }, cells);
  }

  function select(column) {
    selected = column;
    columns.forEach((button, at) => { button.tabIndex = at === column ? 0 : -1; });
  }

  return {
    event(event) {
      if (event.type === "disc_dropped") last = `${event.payload.column},${event.payload.row}`;
    },
    update({ view: state, seat, players }) {
      open = new Map((state.legal_moves ?? []).map((move) => [move.column, move]));
      const line = new Set(state.line.map((cell) => cell.join(",")));
      board.dataset.seat = seat ?? "";
      columns = state.board.map((discs, column) => drawColumn(discs, column, line));
      replace(board, columns);
      replace(legend, players.map((player) => build("li", {},
        build("span", { class: "four-cell small-cell", "data-seat": player.seat }), table.name(player.seat))));
    },
    describe({ type, payload }) {
      if (type === "disc_dropped") return t("four.dropped", { name: table.playerName(payload.player_id), column: payload.column + 1 });
      if (type === "four_connected") return t("four.connected", { name: table.playerName(payload.player_id) });
      return type === "board_filled" ? t("four.full") : null;
    },
  };
}
