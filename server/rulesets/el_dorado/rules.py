"""The rules: what a move causes, which moves are legal, and how a round begins and ends."""

from typing import Final

from protocol.ids import PlayerId
from server.gamekit.cards import Card, shuffled_pack, winning_index
from server.gamekit.chance import derive_seed
from server.gamekit.contract import Event, IllegalMove, Payload
from server.rulesets.el_dorado import events
from server.rulesets.el_dorado.moves import Bid, Move, raw_bid, raw_play
from server.rulesets.el_dorado.scoring import round_result
from server.rulesets.el_dorado.state import Phase, Played, State, next_round

# Up to so many seats, one deck is enough for the longest deal and the card that is turned.
ONE_DECK_SEATS_MAX: Final = 5

_WRONG_PHASE: Final[dict[Phase, str]] = {
    "dealing": "The cards are being dealt; wait for bidding to start.",
    "bidding": "Cards can be played once everyone has bid.",
    "playing": "Bidding is over in this round; play a card.",
    "over": "The game has ended.",
}


def decide(state: State, seat: int, move: Move) -> list[Event]:
    """Give the events that a bid or a card causes, up to the next player's turn."""
    if isinstance(move, Bid):
        _check_turn(state, seat, "bidding")
        return _bid(state, seat, move.bid)
    _check_turn(state, seat, "playing")
    return _play(state, seat, move.card)


def start_round(state: State, number: int) -> list[Event]:
    """Open a round: shuffle, deal from seat 0 clockwise, turn the trump card.

    Who has left gets no cards. The start moves on by one seat a round, and past the absent.
    """
    players, cards = state.players, state.config.rounds + 1 - number
    playing = [seat for seat in range(len(players)) if seat not in state.left]
    first = (number - 1) % len(players)
    starter = min(playing, key=lambda seat: (seat - first) % len(players))
    hands, trump_card = _deal(state, number, playing=playing, cards=cards)
    return [
        events.round_started(number, cards=cards, player_id=players[starter]),
        *(events.player_marked_absent(players[seat]) for seat in sorted(state.left)),
        events.cards_dealt(players, hands),
        events.trump_revealed(trump_card),
    ]


def legal_moves(state: State, seat: int) -> list[Payload]:
    """List the raw moves that a seat can make now."""
    if state.turn is None or state.turn.seats[0] != seat:
        return []
    if state.phase == "bidding":
        return [raw_bid(bid) for bid in range(state.cards + 1)]
    return [raw_play(card) for card in playable_cards(state, seat)]


def playable_cards(state: State, seat: int) -> list[Card]:
    """List the cards of a hand that may be played to the present trick."""
    hand = state.hands[seat]
    if state.trick:
        led = state.trick[0].card.suit
        return [card for card in hand if card.suit == led] or hand
    if state.trump_broken:
        return hand
    trump = state.trump
    return [card for card in hand if card.suit != trump] or hand


def timeout_move(state: State, seat: int) -> Payload:
    """Play for the absent: bid 0; the highest of the led suit, else the lowest, trumps last."""
    if state.phase == "bidding":
        return raw_bid(0)
    cards, trump = playable_cards(state, seat), state.trump
    if state.trick and cards[0].suit == state.trick[0].card.suit:
        return raw_play(max(cards))
    return raw_play(min(cards, key=lambda card: (card.suit == trump, card)))


def _check_turn(state: State, seat: int, phase: Phase) -> None:
    if state.phase != phase:
        raise IllegalMove("invalid_phase", _WRONG_PHASE[state.phase])
    if state.turn is None or state.turn.seats[0] != seat:
        raise IllegalMove("not_your_turn", "It is not your turn.")


def _bid(state: State, seat: int, bid: int) -> list[Event]:
    if not 0 <= bid <= state.cards:
        raise IllegalMove("invalid_bid", f"Bid from 0 to {state.cards}, the cards in your hand.")
    players = state.players
    bids = {players[s]: b for s, b in enumerate(state.bids) if b is not None}
    bids[players[seat]] = bid
    made = [events.player_bid(players[seat], bid)]
    if len(bids) == len(state.playing):
        made.append(events.bidding_completed(bids))
        made.append(events.trick_started(1, players[state.leader]))
    return made


def _play(state: State, seat: int, card: Card) -> list[Event]:
    _check_card(state, seat, card)
    player = state.players[seat]
    made = [events.card_played(player, card)]
    if _breaks_trump(state, card):
        made.append(events.trump_broken(player))
    if len(state.trick) + 1 == len(state.playing):
        made += _complete_trick(state, _winner(state, Played(seat, card)))
    return made


def _check_card(state: State, seat: int, card: Card) -> None:
    if card not in state.hands[seat]:
        raise IllegalMove("card_not_in_hand", f"You do not hold {card.id}.")
    if card in playable_cards(state, seat):
        return
    if state.trick:
        led = state.trick[0].card.suit
        raise IllegalMove("must_follow_suit", f"You hold {led}, so you must play one.")
    raise IllegalMove(
        "cannot_lead_trump",
        f"Trump is not broken yet; lead a suit other than {card.suit}.",
    )


def _breaks_trump(state: State, card: Card) -> bool:
    if state.trump_broken or not state.trick:
        return False
    return card.suit == state.trump != state.trick[0].card.suit


def _winner(state: State, last: Played) -> int:
    trick = [*state.trick, last]
    return trick[winning_index([played.card for played in trick], state.trump)].seat


def _complete_trick(state: State, winner: int) -> list[Event]:
    number, player = state.trick_number, state.players[winner]
    completed = events.trick_completed(number, player)
    if number < state.cards:
        return [completed, events.trick_started(number + 1, player)]
    return [completed, *_complete_round(state, winner)]


def _complete_round(state: State, last_winner: int) -> list[Event]:
    scored = round_result(state, last_winner)
    following = next_round(state)
    return [scored] if following is None else [scored, *start_round(state, following)]


def _deal(
    state: State, number: int, *, playing: list[int], cards: int
) -> tuple[dict[PlayerId, list[Card]], Card]:
    decks = 1 if len(state.players) <= ONE_DECK_SEATS_MAX else 2
    pack = shuffled_pack(decks, derive_seed(state.seed, "round", number))
    dealt = len(playing) * cards
    hands = {
        state.players[seat]: pack[place : dealt : len(playing)]
        for place, seat in enumerate(playing)
    }
    return hands, pack[dealt]
