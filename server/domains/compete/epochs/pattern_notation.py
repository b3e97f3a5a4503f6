"""The grammar of a small pattern notation for live coding, parsed by recursive descent.

    pattern   = sequence *("|" sequence)            ; one of them at random, each cycle
    sequence  = 1*step *("," 1*step)                ; several at once
    step      = term *modifier
    term      = word / "~" / "[" pattern "]" / "<" sequence ">"
    modifier  = "*" number / "/" number / "!" [integer] / "@" number / "?"
              / "(" integer "," integer ["," integer] ")"
    word      = letter *(letter / digit / "_" / "#" / "-") [":" integer] / number

`bd*2 [sn ~] <hh hh:3>(3,8)` is two kicks, a snare in half a step, and hats in turns.
"""

from dataclasses import dataclass, field
from typing import Final

DEPTH_MAX: Final = 16
NUMBER_MAX: Final = 64

_LETTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_DIGITS: Final = frozenset("0123456789")
_IN_WORDS: Final = _LETTERS | _DIGITS | frozenset("_#-")
_CLOSES: Final = {"[": "]", "<": ">"}


class InvalidPattern(ValueError):
    """Says what is wrong and where, counting characters from 1."""

    def __init__(self, problem: str, place: int) -> None:
        super().__init__(f"{problem} at character {place + 1}")


def pattern_words(text: str) -> frozenset[str]:
    """Parse a pattern and give the words it uses, without their numbers; raise `InvalidPattern`."""
    parser = _Parser(text)
    parser.pattern(depth=0)
    parser.end()
    return frozenset(parser.words)


@dataclass(slots=True)
class _Parser:
    text: str
    place: int = 0
    words: set[str] = field(default_factory=set)

    # ------------------------------------------------------------------ the rules

    def pattern(self, depth: int) -> None:
        if depth > DEPTH_MAX:
            raise self.wrong(f"brackets are nested deeper than {DEPTH_MAX}")
        self.sequence(depth)
        while self.take("|"):
            self.sequence(depth)

    def sequence(self, depth: int) -> None:
        self.steps(depth)
        while self.take(","):
            self.steps(depth)

    def steps(self, depth: int) -> None:
        self.step(depth)
        while self.begins_term():
            self.step(depth)

    def step(self, depth: int) -> None:
        self.term(depth)
        while self.modifier():
            pass

    def term(self, depth: int) -> None:
        self.skip_spaces()
        opening = self.peek()
        if opening == "~":
            self.place += 1
        elif opening in _CLOSES:
            self.place += 1
            (self.pattern if opening == "[" else self.sequence)(depth + 1)
            self.expect(_CLOSES[opening])
        elif opening in _LETTERS:
            self.word()
        elif opening in _DIGITS:
            self.number()
        else:
            raise self.wrong("a sound, ~, [ or < is missing")

    def word(self) -> None:
        begin = self.place
        while self.peek() in _IN_WORDS:
            self.place += 1
        self.words.add(self.text[begin : self.place])
        if self.peek() == ":":
            self.place += 1
            self.integer()

    def modifier(self) -> bool:
        kind = self.peek()
        if kind not in ("*", "/", "@", "!", "?", "("):
            return False
        self.place += 1
        if kind in ("*", "/", "@"):
            self.number()
        elif kind == "!" and self.peek() in _DIGITS:
            self.integer()
        elif kind == "(":
            self.rhythm()
        return True

    def rhythm(self) -> None:
        pulses = self.integer()
        self.expect(",")
        if pulses > self.integer():
            raise self.wrong("a rhythm has more pulses than steps")
        if self.take(","):
            self.integer()
        self.expect(")")

    # ------------------------------------------------------------------ what they are made of

    def number(self) -> None:
        number = self.integer()
        if self.peek() == ".":
            self.place += 1
            number += self.digits()  # 0 with nothing behind its point is 0
        if number == 0:
            raise self.wrong("a number that is not 0 is missing")

    def integer(self) -> int:
        self.skip_spaces()
        number = self.digits()
        if number > NUMBER_MAX:
            raise self.wrong(f"a number is larger than {NUMBER_MAX}")
        return number

    def digits(self) -> int:
        begin = self.place
        while self.peek() in _DIGITS and self.place - begin < 4:
            self.place += 1
        if begin == self.place:
            raise self.wrong("a number is missing")
        return int(self.text[begin : self.place])

    def begins_term(self) -> bool:
        self.skip_spaces()
        char = self.peek()
        return char == "~" or char in _CLOSES or char in _LETTERS or char in _DIGITS

    def take(self, char: str) -> bool:
        self.skip_spaces()
        if self.peek() != char:
            return False
        self.place += 1
        return True

    def expect(self, char: str) -> None:
        if not self.take(char):
            raise self.wrong(f"{char} is missing")

    def end(self) -> None:
        self.skip_spaces()
        if self.place < len(self.text):
            raise self.wrong(f"{self.peek()} does not belong here")

    def peek(self) -> str:
        return self.text[self.place : self.place + 1]

    def skip_spaces(self) -> None:
        while self.peek() in (" ", "\n", "\t"):
            self.place += 1

    def wrong(self, problem: str) -> InvalidPattern:
        return InvalidPattern(problem, self.place)
