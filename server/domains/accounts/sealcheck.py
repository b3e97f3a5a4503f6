"""Whether the keys at hand open what is stored: asked before anything is sealed with them.

A server with another key would find nobody by their address, and take people for new ones.
"""

from collections.abc import Iterable

from persistence.refusals import StartRefused
from persistence.sealing import Seal, Unsealable, key_id_of
from persistence.signin import SealedMethod, SignInStore
from server.domains.accounts.sealed import about_method


async def require_keys(seal: Seal, store: SignInStore) -> None:
    """Read the keys; raise `StartRefused` if they are damaged, or do not open what is stored.

    Where there are none yet, one is made, but only if nothing is stored that another one sealed.
    """
    samples: dict[str, list[SealedMethod]] = {}
    for sample in await store.sealed_samples():
        samples.setdefault(key_id_of(sample.sealed), []).append(sample)
    if samples and seal.is_missing():
        raise StartRefused(
            f"The key file {seal.source} is missing, and {_of(samples)} sealed what people sign in "
            f"with. Put the file back from a backup. {_lost(samples)}"
        )
    seal.require_keys()
    for key_id, sealed in samples.items():
        if any(_opens(seal, sample) for sample in sealed):
            continue
        if seal.has_key_of(sealed[0].sealed):
            raise StartRefused(
                f"The key {key_id!r} in {seal.source} is not the one that sealed what people sign "
                f"in with: it has the same id and another secret. Put the right one back. "
                f"{_lost([key_id])}"
            )
        raise StartRefused(
            f"{seal.source} has no key {key_id!r}, which sealed what people sign in with. Add it "
            f"again, behind the newest; a key from secret.key is written the same way. "
            f"{_lost([key_id])}"
        )


def _opens(seal: Seal, sample: SealedMethod) -> bool:
    try:
        seal.open(sample.sealed, about=about_method(sample.kind, sample.user_id))
    except Unsealable:
        return False
    return True


def _of(key_ids: Iterable[str]) -> str:
    named = [f"key {key_id!r}" for key_id in key_ids]
    return " and ".join(named)


def _lost(key_ids: Iterable[str]) -> str:
    commands = " and ".join(f"`playhall keys forget {key_id}`" for key_id in key_ids)
    return f"If it is lost for good, {commands} deletes what nothing can open any more."
