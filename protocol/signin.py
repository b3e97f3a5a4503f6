"""HTTP bodies of signing in: email and password, Discord, and what is linked to an account."""

import re
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from protocol.account import DisplayName, Tokens
from protocol.emailaddress import ADDRESS_CHARS_MAX, BadAddress, parse_address
from protocol.envelope import WireModel
from protocol.limits import PASSWORD_CHARS_MIN, PASSWORD_CHARS_TYPED_MAX
from protocol.text import PASSWORD, prepare_password

CODE_CHARS_MAX: Final = 128
# What earlier versions accepted. Accounts made then still sign in; nothing is mailed to it.
_ACCEPTED_ONCE: Final = re.compile(
    r"[^\s@<>,;:\"()\[\]\\\x00-\x1f]{1,64}@[^\s@<>,;:\"()\[\]\\]+\.[^\s@.]+"
)


def _email(text: str) -> str:
    try:
        return parse_address(text).text
    except BadAddress as why:
        raise PydanticCustomError(
            "email", "Write an email address such as name@example.org. {why}", {"why": str(why)}
        ) from None


def _known_email(text: str) -> str:
    return text if _ACCEPTED_ONCE.fullmatch(text) else _email(text)


def _long_enough(password: str) -> str:
    """Count characters as they are hashed: an accent that was typed apart is not one more."""
    if len(prepare_password(password)) < PASSWORD_CHARS_MIN:
        raise PydanticCustomError(
            "password", "Choose one of {least} characters or more", {"least": PASSWORD_CHARS_MIN}
        )
    return password


def _challenge(text: str) -> str:
    if not re.fullmatch(r"[\w-]{43}", text, re.ASCII):
        raise PydanticCustomError(
            "challenge", "Send the SHA-256 of your verifier as base64url, 43 characters"
        )
    return text


_Typed = StringConstraints(strip_whitespace=True, max_length=ADDRESS_CHARS_MAX)
Email = Annotated[str, _Typed, AfterValidator(_email)]
KnownEmail = Annotated[str, _Typed, AfterValidator(_known_email)]
NewPassword = Annotated[
    str,
    StringConstraints(min_length=PASSWORD_CHARS_MIN, max_length=PASSWORD_CHARS_TYPED_MAX),
    AfterValidator(_long_enough),
    PASSWORD,
]
Password = Annotated[str, StringConstraints(max_length=PASSWORD_CHARS_TYPED_MAX), PASSWORD]
Code = Annotated[str, StringConstraints(min_length=1, max_length=CODE_CHARS_MAX)]
Challenge = Annotated[str, AfterValidator(_challenge)]
Kind = Literal["email", "discord"]


class EmailRequest(WireModel):
    """Ask for a mail: its link makes an account, or chooses a new password for the one there is."""

    email: Email
    display_name: DisplayName | None = Field(default=None, description="Of a new account.")


class EmailLinkRequest(WireModel):
    """Link an email address to your account, or change it."""

    email: Email
    password: Password | None = Field(
        default=None, description="The present one, to change the address."
    )


class Mailed(WireModel):
    """A mail is on its way, whether or not there is an account with this address."""

    expires_in: int = Field(description="Seconds that the code in it is good for.")


class EmailConfirmation(WireModel):
    """The code of a mail, and the password to sign in with from now on."""

    code: Code
    password: NewPassword | None = Field(
        default=None, description="Not needed where only the address changes."
    )


class Confirmed(WireModel):
    """What came of a mailed code; `tokens` where you are signed in with it."""

    done: Literal["registered", "password_changed", "linked"]
    tokens: Tokens | None


class PasswordSignIn(WireModel):
    """Sign in with email and password."""

    email: KnownEmail
    password: Password


class PasswordChange(WireModel):
    """Change your password; every other session of yours ends."""

    password: Password
    new_password: NewPassword


class Exchange(WireModel):
    """The code from a redirect, and the verifier behind the challenge that it was asked with."""

    code: Code
    verifier: Annotated[str, StringConstraints(min_length=43, max_length=128)]


class KindPath(WireModel):
    """The way to sign in, in an address."""

    kind: Kind


class Method(WireModel):
    """A way to sign in that is linked to your account; `name` is the address, or who at Discord."""

    kind: Kind
    name: str
    linked_at: str


class Methods(WireModel):
    """How you can sign in; a guest has nothing yet."""

    methods: list[Method]


class Offer(WireModel):
    """How one can sign in to this server."""

    methods: list[Literal["guest", "email", "discord", "supabase"]]
    url: str | None = Field(default=None, description="Of the service that keeps the accounts.")


class DiscordStart(WireModel):
    """Where to come back to, and the challenge of your verifier (S256)."""

    redirect: Annotated[str, StringConstraints(min_length=1, max_length=2000)]
    challenge: Challenge
