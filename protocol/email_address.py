"""Email addresses: which are accepted, how they are compared, and what mail is sent to.

The grammar is that of the `email-validator` package, at its strictest: one plain address, without
quotes, comments, brackets or a display name. What is before the @ must be ASCII, because a mail
server need not support anything else (SMTPUTF8), and because look-alikes of ASCII letters would
otherwise reach another mailbox than the one that is found. The domain may be international; mail is
sent to its ASCII form (punycode). Pure: no DNS is asked.
"""

from typing import Final, NamedTuple

import email_validator

ADDRESS_CHARS_MAX: Final = 254  # RFC 5321: a path of 256 with its angle brackets

# "=?utf-8?q?...?=" is made of allowed characters, but mail programs decode it to another address.
_ENCODED_WORD: Final = "=?"

# Whether mail can reach `ann@mail.local` is for the operator's mail server to decide.
email_validator.SPECIAL_USE_DOMAIN_NAMES.clear()


class InvalidAddress(ValueError):
    """The text is not an email address; the message is a clause that says what is wrong."""


class EmailAddress(NamedTuple):
    """An accepted address.

    `text` is stored and shown: the local part as typed, the domain in lower-case Unicode.
    `local` and `ascii_domain` are what mail is sent to. `folded` is equal for all spellings
    of one mailbox.
    """

    text: str
    local: str
    ascii_domain: str
    folded: str

    @property
    def ascii_folded(self) -> str:
        """The folded address with the domain in punycode."""
        return f"{self.local.lower()}@{self.ascii_domain}"


class Sender(NamedTuple):
    """Sender of emails."""

    display_name: str
    address: EmailAddress


def parse_address(text: str) -> EmailAddress:
    """Read an address that somebody typed; raise `InvalidAddress`."""
    return _address(_validated(text, is_sender=False))


def parse_sender(text: str) -> Sender:
    """Read `Name <address>` or an address, as configured; raise `InvalidAddress`."""
    name, bracket, address = text.rpartition("<")
    if bracket:
        address, bracket, rest = address.partition(">")
        name = name.strip().strip('"')
        if not bracket or rest or not name.isprintable():
            raise InvalidAddress("It is neither an address nor `Name <address>`")
    return Sender(name, _address(_validated(address, is_sender=True)))


def _validated(text: str, *, is_sender: bool) -> email_validator.ValidatedEmail:
    if not is_sender and len(text) > ADDRESS_CHARS_MAX:
        raise InvalidAddress(f"It has more than {ADDRESS_CHARS_MAX} characters")
    try:
        found = email_validator.validate_email(
            text,
            allow_smtputf8=False,
            allow_empty_local=False,
            allow_quoted_local=False,
            allow_domain_literal=False,
            allow_display_name=False,
            strict=True,
            check_deliverability=False,
            globally_deliverable=not is_sender,  # mail may be from `playhall@localhost`
        )
    except email_validator.EmailNotValidError as error:
        raise InvalidAddress(str(error).removesuffix(".")) from None
    if _ENCODED_WORD in found.local_part:
        raise InvalidAddress("Encoded words are not supported before the @-sign")
    return found


def _address(found: email_validator.ValidatedEmail) -> EmailAddress:
    text = f"{found.local_part}@{found.domain}"
    return EmailAddress(text, found.local_part, found.ascii_domain, text.lower())
