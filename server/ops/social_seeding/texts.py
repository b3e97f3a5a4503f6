"""Titles, descriptions and tags in several languages, with few common and many rare words. Pure.

How often a word occurs falls with its rank, as in natural languages (Zipf's law). So there are
words that most texts have, and tens of thousands that one in a million has.
"""

from collections.abc import Callable, Sequence
from itertools import accumulate
from random import Random
from typing import Final, NamedTuple

COINED_MAX: Final = 40_000  # words of a language beside the common ones
EXPONENT: Final = 1.0  # of Zipf's law
TAGS_IN_USE: Final = 3000
TAGS_MAX: Final = 5

_COMMON: Final = {
    "en": (
        "the of and a to in light dream night river forest city song winter summer old blue red"
        " silver garden mountain sea storm quiet dragon ghost machine bird fox lantern bridge tower"
        " star moon sun shadow mirror child dance train road island desert market ship rain snow"
    ),
    "de": (
        "der die das und ein mit über Nacht Fluss Wald Stadt Lied Winter Sommer blau grün Mädchen"
        " König Träume Brücke Schloss Straße Schnee Vögel Mühle Äpfel Öl Übung Größe Weiß leise"
    ),
    "fr": (
        "le la les et un une dans nuit rivière forêt ville chanson hiver été bleu rêve château"
        " étoile fée cœur garçon île pêcheur théâtre lumière ombre façade naïf août élève"
    ),
    "es": (
        "el la los y un una con noche río bosque ciudad canción invierno verano azul sueño niño"
        " corazón árbol montaña señal año pájaro música jardín lágrima dragón fantasía"
    ),
    "pl": (
        "i w na noc rzeka las miasto pieśń zima lato niebieski sen żółw ćma łódź świt gwiazda"
        " źródło smok księżyc ślad dźwięk mgła"
    ),
}
_SYLLABLES: Final = {
    "en": "ba be bi bo da de di do fa fe ga go ha he ka ke la le li lo ma me na ne pa ra re ro sa"
    " se ta te tha tri ver vo wen wy",
    "de": "ab auf bär bö der ein fül ge gri hau hö kä kün lie mör nach rei rü schä spü stei trä ung"
    " vor wäh zei zü",
    "fr": "bé ça châ cœu dé é eu fré gé jou lé mê né ô pré que ré sé té tion tré vè ville zé",
    "es": "ba ción cha da de es fa go guí ha jar la lle má mo ña ño pe ra rí so ta té to va ve",
    "pl": "bą brz by chó czy dź gę gó ja ką łą ło mię na nó pię prz rę szcz śl tę wą zi żó",
}
_COMMON_LETTERS: Final = {
    "zh": "的一是不了在人有我他这中大来上国个到说们为子和你地出道"
    "也时年得就那要下以生会自着去之过家学对龙山水火月日星花雪风雨海夜梦光影城森林河",
    "ja": "のにはをたがでてとしれさあるいもすがらなこよ"
    "龍山水火月日星花雪風雨海夜夢光影城森川犬猫鳥",
    "ko": "이다는을가에의한고은들지하나를그도로수과"
    "용산물불달해별꽃눈바람비바다밤꿈빛그림자성숲강새",
}
_RARE_LETTERS: Final = {"zh": (0x4E00, 0x9FA5), "ja": (0x4E00, 0x9FA5), "ko": (0xAC00, 0xD7A3)}
_SHARES: Final = {
    "en": 55, "de": 10, "fr": 8, "es": 9, "pl": 4, "zh": 6, "ja": 5, "ko": 3,
}  # fmt: skip


class CreationText(NamedTuple):
    """What a creation says."""

    title: str
    description: str
    tags: list[str]


class _Words:
    """What a language says: the commonest words first."""

    def __init__(self, words: Sequence[str], between: str) -> None:
        self._words = words
        self._between = between
        self._weights = zipf_weights(len(words))

    def write(self, chance: Random, count: int) -> str:
        return self._between.join(chance.choices(self._words, cum_weights=self._weights, k=count))


class Texts:
    """Writes texts; the same `chance` gives the same ones.

    A small platform has fewer words: `coined` of a language, at most so many as there can be.
    """

    def __init__(self, chance: Random, *, coined: int = COINED_MAX) -> None:
        count = min(coined, COINED_MAX)
        alphabetic = {language: _coin(chance, language, count) for language in _COMMON}
        scripts = {language: _letters(chance, language) for language in _COMMON_LETTERS}
        self._languages = [*alphabetic.items(), *scripts.items()]
        self._shares = list(accumulate(_SHARES[language] for language, _ in self._languages))
        english = alphabetic["en"].write
        tags = min(TAGS_IN_USE, count)
        self._tags = _distinct(tags, lambda: english(chance, 1).lower())
        self._tag_weights = zipf_weights(tags)

    def write_creation(self, chance: Random) -> CreationText:
        """Write a title, a description and tags in one language."""
        language, words = self._choose(chance)
        many = 3 if language in _COMMON_LETTERS else 1  # letters, not words
        title = words.write(chance, many * (2 + chance.randrange(4)))[:200]
        description = words.write(chance, many * (4 + int(chance.expovariate(1 / 14)) % 80))
        tags = chance.choices(
            self._tags, cum_weights=self._tag_weights, k=chance.randrange(TAGS_MAX + 1)
        )
        return CreationText(title, description, list(dict.fromkeys(tags)))

    def write_comment(self, chance: Random) -> str:
        """Write a comment."""
        language, words = self._choose(chance)
        many = 3 if language in _COMMON_LETTERS else 1
        return words.write(chance, many * (1 + chance.randrange(12)))[:2000]

    def _choose(self, chance: Random) -> tuple[str, _Words]:
        return chance.choices(self._languages, cum_weights=self._shares)[0]


def zipf_weights(count: int, exponent: float = EXPONENT) -> list[float]:
    """Give the running sums of the weights of ranks: of the first, of the first two, and so on."""
    return list(accumulate((rank + 1) ** -exponent for rank in range(count)))


def _coin(chance: Random, language: str, count: int) -> _Words:
    syllables = _SYLLABLES[language].split()
    common = list(dict.fromkeys(_COMMON[language].split()))
    known = set(common)

    def coin() -> str:
        word = "".join(chance.choices(syllables, k=2 + chance.randrange(3)))
        return "" if word in known else word

    return _Words(common + _distinct(count, coin), " ")


def _letters(chance: Random, language: str) -> _Words:
    common = list(dict.fromkeys(_COMMON_LETTERS[language]))
    rare = [chr(code) for code in range(*_RARE_LETTERS[language])]
    chance.shuffle(rare)
    return _Words(common + [letter for letter in rare if letter not in common], "")


def _distinct(count: int, make: Callable[[], str]) -> list[str]:
    """Make so many texts that differ, and are not empty."""
    found: dict[str, None] = {}
    while len(found) < count:
        if text := make():
            found[text] = None
    return list(found)
