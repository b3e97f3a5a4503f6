"""What a viewer may see: of an event, and of the whole table."""

from server.gamekit.contract import Event, Payload, Viewer
from server.rulesets.el_dorado.rules import legal_moves
from server.rulesets.el_dorado.state import State


def redact(event: Event, viewer: Viewer) -> Payload:
    """Hide other players' hands; everything else is played face up."""
    if event.type != "cards_dealt":
        return event.payload
    own = None if viewer is None else event.payload["players"][viewer]
    hands = {player: hand for player, hand in event.payload["hands"].items() if player == own}
    return {**event.payload, "hands": hands}


def view(state: State, viewer: Viewer) -> Payload:
    """Draw the table. Lists are by seat; `hand` and `legal_moves` are the viewer's own."""
    return {
        "seat": viewer,
        "phase": state.phase,
        "round": state.round,
        "rounds": state.config.rounds,
        "cards": state.cards,
        "playing": list(state.playing),
        "trump": state.trump,
        "trump_card": state.trump_card.id if state.trump_card else None,
        "trump_broken": state.trump_broken,
        "leader": state.leader,
        "turn": state.turn.seats[0] if state.turn else None,
        "counts": [len(hand) for hand in state.hands],
        "bids": list(state.bids),
        "tricks": list(state.tricks),
        "trick": [{"seat": seat, "card": card.id} for seat, card in state.trick],
        "totals": list(state.totals),
        "history": list(state.results),
        "hand": None if viewer is None else _hand(state, viewer),
        "legal_moves": [] if viewer is None else legal_moves(state, viewer),
    }


def _hand(state: State, seat: int) -> list[str]:
    return [card.id for card in state.hands[seat]] if state.hands else []
