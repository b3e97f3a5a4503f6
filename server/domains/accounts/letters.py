"""What is mailed, word for word. Pure."""

from typing import Final

from server.mail.post import Letter

CONFIRM_PATH: Final = "/account/confirm"
_IGNORE: Final = "If this was not you, do nothing: without this mail nothing happens."


def _link(server: str, code: str) -> str:
    # Behind the #, so that neither a log nor another site's Referer ever has the code.
    return f"{server}{CONFIRM_PATH}#{code}"


def welcome(to: str, *, server: str, code: str, minutes: int) -> Letter:
    """Invite somebody new to choose a password."""
    text = f"""Choose a password for your new account:

    {_link(server, code)}

The link works once, within {minutes} minutes. A program may ask for the code alone:

    {code}

{_IGNORE}
"""
    return Letter(to, "Your new account", text)


def forgotten(to: str, *, server: str, code: str, minutes: int) -> Letter:
    """Let somebody choose a new password."""
    text = f"""Somebody asked for a new password for your account. Choose one:

    {_link(server, code)}

The link works once, within {minutes} minutes, and then you are signed out everywhere else.
A program may ask for the code alone:

    {code}

{_IGNORE}
"""
    return Letter(to, "A new password", text)


def linking(to: str, *, server: str, code: str, minutes: int) -> Letter:
    """Ask whether an address shall belong to an account.

    It does not say who asks: players choose their names freely, so a stranger could put any
    words, or a link, into somebody's mailbox.
    """
    text = f"""A player at {server} wants to sign in with this address. If that is you:

    {_link(server, code)}

The link works once, within {minutes} minutes. A program may ask for the code alone:

    {code}

{_IGNORE}
"""
    return Letter(to, "Sign in with this address", text)


def moved(to: str) -> Letter:
    """Tell the old address that it is not used any more."""
    text = """Your account now signs in with another address, and no longer with this one.

If this was not you, write to those who run the server.
"""
    return Letter(to, "Your address was changed", text)
