"""Email and password.

One mail serves to register and to choose a new password: whoever asks hears the same, and
causes the same work, whether or not there is an account. The password is chosen with the
mailed code, so nobody can set one for an address that is not theirs.

Where an account is found, mail goes to the address that it has stored, never to the one that was
typed. A code proves exactly the address that it was mailed to, and counts for no other spelling.
"""

import secrets
from collections.abc import Callable
from typing import Final, Literal, NamedTuple

import orjson

from persistence.accounts.metadata import EMPTY, Data, Metadata
from persistence.accounts.sign_in import RecordedCode, SignInMethod, SignInStore
from protocol.accounts import Tokens
from protocol.errors import BadCode, InvalidField, NotSetUp, WrongCredentials
from protocol.ids import UserId
from server.core.mailer import Mail
from server.core.passwords import HashRequester, PasswordHasher, is_foreign
from server.domains.people.accounts.browser_sign_in import with_query
from server.domains.people.accounts.codes import (
    EMAIL,
    LIFETIMES_S,
    MAILED,
    Contents,
    OneTimeCodes,
    VerifiedCode,
)
from server.domains.people.accounts.password_limits import AttemptLimiter, PasswordLimits
from server.domains.people.accounts.providers import require_verifier
from server.domains.people.accounts.sealed import folded_email
from server.domains.people.accounts.service import Accounts
from server.domains.people.accounts.sign_in_methods import ProvedSignInMethod, SignInMethodService
from server.gateway.session.identity import Identity

CONFIRM_PATH: Final = "/account/confirm"
_IGNORE: Final = "If you did not ask for this, ignore this email. Nothing will change."


def confirm_link(server: str, code: str) -> str:
    """Give the address of the page that takes a code."""
    # Behind the #, so that neither a log nor another site's Referer ever has the code.
    return f"{server}{CONFIRM_PATH}#{code}"


def welcome_mail(to: str, *, server: str, code: str, minutes: int) -> Mail:
    """Invite somebody new to choose a password."""
    text = f"""Choose a password for your new account:

    {confirm_link(server, code)}

The link works once and expires in {minutes} minutes. If a program asks for the code, enter:

    {code}

{_IGNORE}
"""
    return Mail(to, "Your new account", text)


def password_reset_mail(to: str, *, server: str, code: str, minutes: int) -> Mail:
    """Let somebody choose a new password."""
    text = f"""Someone asked to reset the password of your account. Choose a new one:

    {confirm_link(server, code)}

The link works once and expires in {minutes} minutes. Your other sessions will be signed out.
If a program asks for the code, enter:

    {code}

{_IGNORE}
"""
    return Mail(to, "A new password", text)


def continue_mail(to: str, *, link: str, code: str, minutes: int) -> Mail:
    """Lead somebody back to the application where they sign up or in."""
    text = f"""Continue in the browser in which you began:

    {link}

The link works once and expires in {minutes} minutes. If a program asks for the code, enter:

    {code}

{_IGNORE}
"""
    return Mail(to, "Sign in", text)


def link_mail(to: str, *, server: str, link: str, code: str, minutes: int) -> Mail:
    """Ask whether an address shall belong to an account.

    It does not say who asks: players choose their names freely, so a stranger could put any
    words, or a link, into somebody's mailbox.
    """
    text = f"""A player at {server} wants to sign in with this address. If that is you:

    {link}

The link works once and expires in {minutes} minutes. If a program asks for the code, enter:

    {code}

{_IGNORE}
"""
    return Mail(to, "Sign in with this address", text)


def address_changed_mail(to: str) -> Mail:
    """Notify the old address that it is not used any more."""
    text = """Your account now signs in with a different email address. This one no longer works.

If you did not do this, contact the operators of the server.
"""
    return Mail(to, "Your address was changed", text)


_MINUTES: Final = LIFETIMES_S[EMAIL] // 60


class ConfirmationResult(NamedTuple):
    """What came of a mailed code; `tokens` where somebody is signed in now."""

    done: Literal["registered", "password_changed", "linked"]
    tokens: Tokens | None
    user_id: UserId


class ClientLink(NamedTuple):
    """Where the link of a mail leads back to; it is good for whoever has the challenge's verifier.

    So a link that is looked at by somebody else, or by a scanner of mail, opens nothing.
    """

    redirect: str
    challenge: str


class NewAccountNotes(NamedTuple):
    """What is known of somebody who may get an account: a name, and an application's metadata."""

    display_name: str | None = None
    user_data: Data = EMPTY


NOTHING_KNOWN: Final = NewAccountNotes()


class EmailSignIn:
    """Everything with an address; `send` takes mails, `server` says where this one is.

    Without `send` whoever has a password signs in and changes it, and what takes a mail is refused.
    """

    def __init__(
        self,
        *,
        store: SignInStore,
        methods: SignInMethodService,
        codes: OneTimeCodes,
        accounts: Accounts,
        send: Callable[[Mail], None] | None,
        server: Callable[[], str],
        mails: AttemptLimiter,
        guesses: PasswordLimits,
        passwords: PasswordHasher,
    ) -> None:
        self._store = store
        self._methods = methods
        self._codes = codes
        self._accounts = accounts
        self._mail = send
        self._server = server
        self._mails = mails
        self._guesses = guesses
        self._passwords = passwords

    async def mail_code(self, email: str, *, display_name: str | None, remote: str) -> None:
        """Mail a code that makes an account, or chooses a new password for the one there is."""
        self.require_mail()
        self._mails.count(remote=remote, account=folded_email(email))
        found = await self._methods.find_account(EMAIL, email)
        to = email if found is None else self._methods.read_display_name(found)
        code = await self._codes.make(EMAIL, {"email": to, "display_name": display_name})
        write = welcome_mail if found is None else password_reset_mail
        self._send(write(to, server=self._server(), code=code, minutes=_MINUTES))

    async def mail_sign_up_code(
        self,
        email: str,
        password: str,
        *,
        notes: NewAccountNotes,
        remote: str,
        back: ClientLink | None,
    ) -> None:
        """Mail a code that makes an account with this password, once it is typed (`redeem`).

        The link in the mail asks for another password instead: whoever opens it need not be who
        signed up. Where there is an account, the code only signs in to it.
        """
        self.require_mail()
        self._guesses.from_network(remote)
        self._mails.count(remote=remote, account=folded_email(email))
        hashed = await self._passwords.hash(password, HashRequester.at("account", remote))
        found = await self._methods.find_account(EMAIL, email)
        to = email if found is None else self._methods.read_display_name(found)
        contents = _contents(to, notes)
        if found is None:
            contents["password_hash"] = hashed
        code = await self._codes.make(EMAIL, contents, asked_with=email)
        await self._send_code(to, code, is_new=found is None, back=back)

    async def mail_sign_in_code(
        self,
        email: str,
        *,
        may_register: bool,
        notes: NewAccountNotes = NOTHING_KNOWN,
        remote: str,
        back: ClientLink | None = None,
    ) -> None:
        """Mail a code that signs in (`redeem`), or makes an account where it may."""
        self.require_mail()
        self._mails.count(remote=remote, account=folded_email(email))
        found = await self._methods.find_account(EMAIL, email)
        to = email if found is None else self._methods.read_display_name(found)
        is_mailed = may_register or found is not None  # else after the same work
        code = await self._codes.make(
            EMAIL, _contents(to, notes), asked_with=email if is_mailed else None
        )
        if is_mailed:
            await self._send_code(to, code, is_new=found is None, back=back)

    async def mail_again(
        self, email: str, *, is_link: bool, remote: str, back: ClientLink | None
    ) -> None:
        """Mail another code for what was asked for last with an address, if that is pending."""
        self.require_mail()
        self._mails.count(remote=remote, account=folded_email(email))
        pending = await self._codes.find_pending(email, is_link=is_link)
        if pending is None:  # nothing is mailed, after the same work
            await self._codes.make(EMAIL, {"email": email})
            return
        code = await self._codes.make(
            EMAIL, pending.contents, user_id=pending.user_id, asked_with=email
        )
        to = pending.contents["email"]
        assert to is not None
        if is_link:
            await self._send_link_code(to, code, back=back)
        else:
            found = await self._methods.find_account(EMAIL, to)
            await self._send_code(to, code, is_new=found is None, back=back)

    async def make_code(
        self,
        email: str,
        *,
        password: str | None = None,
        notes: NewAccountNotes = NOTHING_KNOWN,
        user_id: UserId | None = None,
        record: RecordedCode,
        remote: str,
    ) -> str:
        """Make a code as a mail would have it, for an operator who sends it in another way."""
        contents = _contents(email, notes)
        if password is not None:
            asker = HashRequester.at("account", remote)
            contents["password_hash"] = await self._passwords.hash(password, asker)
        return await self._codes.make(EMAIL, contents, user_id=user_id, record=record)

    async def mail_invitation(self, email: str, user_id: UserId) -> None:
        """Mail a code that links an address to an account which was made for it."""
        code = await self._codes.make(EMAIL, {"email": email}, user_id=user_id)
        await self._send_code(email, code, is_new=True, back=None)

    async def exchange(self, code: str, verifier: str, *, remote: str) -> Tokens:
        """Do what a mailed link stands for, for whoever has its verifier; raise `BadCode`."""
        proof = await self._codes.read(MAILED, code)
        require_verifier(proof, verifier)
        stands_for = proof.contents["code"]
        assert stands_for is not None
        return await self.redeem(stands_for, email=None, remote=remote)

    async def _send_code(
        self, to: str, code: str, *, is_new: bool, back: ClientLink | None
    ) -> None:
        if back is not None:
            link = await self._client_link(code, back)
            self._send(continue_mail(to, link=link, code=code, minutes=_MINUTES))
            return
        write = welcome_mail if is_new else password_reset_mail
        self._send(write(to, server=self._server(), code=code, minutes=_MINUTES))

    async def _send_link_code(self, to: str, code: str, *, back: ClientLink | None) -> None:
        server = self._server()
        link = confirm_link(server, code) if back is None else await self._client_link(code, back)
        self._send(link_mail(to, server=server, link=link, code=code, minutes=_MINUTES))

    async def _client_link(self, code: str, back: ClientLink) -> str:
        contents: dict[str, str | None] = {"code": code, "challenge": back.challenge}
        return with_query(back.redirect, code=await self._codes.make(MAILED, contents))

    async def redeem(self, code: str, *, email: str | None, remote: str) -> Tokens:
        """Sign in with a mailed code, or make or link what it proves; raise `BadCode`.

        Nobody's password is changed. `email` is the address that the client believes it is for.
        """
        self._guesses.from_network(remote)
        proof = await self._codes.read(EMAIL, code)
        address = proof.contents["email"]
        assert address is not None
        if email is not None and folded_email(email) != folded_email(address):
            raise BadCode
        found = await self._methods.find_account(EMAIL, address)
        if proof.user_id is not None:
            present = await self._present(proof.user_id)
            old = None if present is None else self._methods.read_display_name(present)
            await self._methods.link_method(
                proof.code_hash,
                proof.user_id,
                ProvedSignInMethod(EMAIL, address),
                password_hash=None if present else await self._unknown_password(remote),
            )
            if old is not None and folded_email(old) != folded_email(address):
                self._send(address_changed_mail(old))
            tokens = await self._accounts.open_session(proof.user_id, method=EMAIL)
        elif found is None:
            tokens = await self._methods.create_account(
                proof.code_hash,
                ProvedSignInMethod(EMAIL, address),
                password_hash=proof.contents.get("password_hash")
                or await self._unknown_password(remote),
                display_name=proof.contents.get("display_name"),
                metadata=Metadata(orjson.loads(proof.contents.get("user_data") or "{}")),
            )
        elif self._methods.read_display_name(found) != address:
            raise BadCode("The account's address has changed; request a new email.")
        else:
            tokens = await self._methods.sign_in_with_code(proof.code_hash, found, reactivate=False)
        self._guesses.record_success(UserId(tokens.user_id), remote=remote)
        return tokens

    async def _unknown_password(self, remote: str) -> str:
        """Hash a password that nobody has, until one is chosen."""
        asker = HashRequester.at("account", remote)
        return await self._passwords.hash(secrets.token_urlsafe(32), asker)

    async def set_password(self, who: Identity, new_password: str, *, remote: str) -> None:
        """Choose a password in a session that was signed in to just now with the address."""
        if await self._present(who.user_id) is None:
            raise WrongCredentials("Your account has no password; link an email address first.")
        self._guesses.count_session_attempt(who.session_id, remote=remote)
        hashed = await self._passwords.hash(new_password, HashRequester.at("account", remote))
        await self._store.set_password(who.user_id, hashed)

    async def mail_link_code(
        self,
        who: Identity,
        email: str,
        *,
        password: str | None,
        remote: str,
        back: ClientLink | None = None,
    ) -> None:
        """Mail a code that links an address to an account; to change it takes the password."""
        self.require_mail()
        self._mails.count(remote=remote, account=folded_email(email))
        if (present := await self._present(who.user_id)) is not None:
            await self._require(who, present, password, remote=remote)
        found = await self._methods.find_account(EMAIL, email)
        to = email if found is None else self._methods.read_display_name(found)
        code = await self._codes.make(EMAIL, {"email": to}, user_id=who.user_id, asked_with=email)
        await self._send_link_code(to, code, back=back)

    async def confirm(
        self, code: str, password: str | None, *, remote: str, reactivate: bool = False
    ) -> ConfirmationResult:
        """Do what a mailed code allows; raise `BadCode`, `MethodTaken` or `InvalidField`.

        What could refuse it is asked before the password is hashed.
        """
        self._guesses.from_network(remote)
        proof = await self._codes.read(EMAIL, code)
        email = proof.contents["email"]
        assert email is not None
        if proof.user_id is not None:
            confirmed = await self._link(proof, proof.user_id, email, password, remote=remote)
        else:
            found = await self._methods.find_account(EMAIL, email)
            if found is not None and self._methods.read_display_name(found) != email:
                raise BadCode("The account's address has changed; request a new email.")
            password_hash = await self._hashed(proof, password, remote=remote)
            if found is not None:
                tokens = await self._methods.reset_password(
                    proof.code_hash, found, password_hash, reactivate=reactivate
                )
                confirmed = ConfirmationResult("password_changed", tokens, found.user_id)
            else:
                confirmed = await self._join(proof, email, password_hash)
        self._guesses.record_success(confirmed.user_id, remote=remote)
        return confirmed

    async def sign_in(
        self, email: str, password: str, *, remote: str, reactivate: bool = False
    ) -> Tokens:
        """Sign in; raise `WrongCredentials`, alike for a wrong password and a wrong address."""
        self._guesses.from_network(remote)
        found = await self._methods.find_account(EMAIL, email)
        user_id, stored = (None, None) if found is None else (found.user_id, found.password_hash)
        self._guesses.count_sign_in_attempt(folded_email(email), user_id, remote=remote)
        fits = await self._passwords.matches(stored, password, HashRequester.at("sign-in", remote))
        if not fits or user_id is None:
            raise WrongCredentials
        self._guesses.record_success(user_id, remote=remote)
        if is_foreign(stored):
            hashed = await self._passwords.hash(password, HashRequester.at("sign-in", remote))
            await self._store.set_password(user_id, hashed)
        return await self._accounts.open_session(user_id, method=EMAIL, reactivate=reactivate)

    async def change_password(
        self, who: Identity, password: str, new_password: str, *, remote: str
    ) -> None:
        """Change a password; raise `WrongCredentials` if the present one is another."""
        present = await self._present(who.user_id)
        if present is None:
            raise WrongCredentials("Your account has no password; link an email address first.")
        await self._require(who, present, password, remote=remote)
        hashed = await self._passwords.hash(new_password, HashRequester.at("account", remote))
        await self._store.set_password(who.user_id, hashed)

    def require_mail(self) -> None:
        """Raise `NotSetUp` where this server sends no mail."""
        if self._mail is None:
            raise NotSetUp("This server does not send email; sign in with your existing password.")

    def _send(self, mail: Mail) -> None:
        if self._mail is not None:
            self._mail(mail)

    async def _join(
        self, proof: VerifiedCode, email: str, password_hash: str
    ) -> ConfirmationResult:
        tokens = await self._methods.create_account(
            proof.code_hash,
            ProvedSignInMethod(EMAIL, email),
            password_hash=password_hash,
            display_name=proof.contents.get("display_name"),
        )
        return ConfirmationResult("registered", tokens, UserId(tokens.user_id))

    async def _link(
        self, proof: VerifiedCode, user_id: UserId, email: str, password: str | None, *, remote: str
    ) -> ConfirmationResult:
        await self._methods.require_free(EMAIL, email, user_id)
        present = await self._present(user_id)
        password_hash = None
        if present is None or password is not None:
            password_hash = await self._hashed(proof, password, remote=remote)
        old = None if present is None else self._methods.read_display_name(present)
        await self._methods.link_method(
            proof.code_hash, user_id, ProvedSignInMethod(EMAIL, email), password_hash=password_hash
        )
        if old is not None and folded_email(old) != folded_email(email):
            self._send(address_changed_mail(old))
        return ConfirmationResult("linked", None, user_id)

    async def _present(self, user_id: UserId) -> SignInMethod | None:
        found = await self._methods.list_methods(user_id)
        return next((method for method in found if method.kind == EMAIL), None)

    async def _require(
        self, who: Identity, present: SignInMethod, password: str | None, *, remote: str
    ) -> None:
        self._guesses.count_session_attempt(who.session_id, remote=remote)
        asker = HashRequester.at("account", remote)
        if not await self._passwords.matches(present.password_hash, password or "", asker):
            raise WrongCredentials("Send your current password as `password`.", field="password")

    async def _hashed(self, proof: VerifiedCode, password: str | None, *, remote: str) -> str:
        if password is None:
            raise InvalidField("password: choose one with at least 8 characters.", field="password")
        self._guesses.with_code(proof.code_hash, remote=remote)
        return await self._passwords.hash(password, HashRequester.at("account", remote))


def _contents(email: str, notes: NewAccountNotes) -> Contents:
    contents: Contents = {"email": email, "display_name": notes.display_name}
    if notes.user_data:
        contents["user_data"] = orjson.dumps(notes.user_data).decode()
    return contents
