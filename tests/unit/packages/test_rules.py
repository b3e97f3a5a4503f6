"""Who is in a staged rollout, which version counts, and where a locale is looked for."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persistence.packages.store import StoredPackage
from protocol.errors import InvalidField
from protocol.packages import ManifestQuery
from server.domains.progression.packages.rules import (
    PackageCatalog,
    find_newest,
    is_in_rollout,
    list_released_above,
    locale_chain,
    parse_manifest_query,
)

AT = datetime(2026, 11, 29, tzinfo=UTC)
PEOPLE = [f"00000000-0000-4000-8000-{number:012d}" for number in range(10_000)]


def package(version: str, **fields: object) -> StoredPackage:
    made = StoredPackage(
        package_id=f"story-{version}-{fields.get('channel', 'stable')}-{fields.get('locale', '')}",
        name="story",
        version=version,
        kind="content",
        channel="stable",
        locale="und",
        release_notes="",
        checksum="sha256:" + "0" * 64,
        required_client_version="0.0.0",
        rollout_percent=100,
        size=1,
        metadata=b"{}",
        parent_id=None,
        status="released",
        key="k",
        created_at=AT,
        uploaded_at=AT,
        released_at=AT,
        withdrawn_at=None,
        withdrawn_reason=None,
    )
    return made._replace(**fields)


# ------------------------------------------------------------------ staged rollout


@pytest.mark.parametrize("percent", [1, 10, 50, 90, 99])
def test_share_is_what_was_asked_for(percent: int) -> None:
    share = sum(is_in_rollout("p1", percent, person) for person in PEOPLE) / len(PEOPLE)
    assert share == pytest.approx(percent / 100, abs=0.015)


def test_hash_stays_the_same_for_ever() -> None:
    """Another hash would take content back from some, and is not to be changed by mistake."""
    early = [number for number in range(40) if is_in_rollout("p1", 20, PEOPLE[number])]
    assert early == [3, 4, 9, 12, 20, 27, 31]


@given(st.text(min_size=1, max_size=40), st.text(max_size=40), st.integers(0, 99))
def test_whoever_is_in_stays_in_while_the_share_grows(
    subject: str, package_id: str, percent: int
) -> None:
    if is_in_rollout(package_id, percent, subject):
        assert is_in_rollout(package_id, percent + 1, subject)
    assert not is_in_rollout(package_id, 0, subject)
    assert is_in_rollout(package_id, 100, subject)


def test_each_package_is_tried_by_others_first() -> None:
    first, second = (
        {person for person in PEOPLE if is_in_rollout(package_id, 10, person)}
        for package_id in ("p1", "p2")
    )
    assert len(first & second) == pytest.approx(len(PEOPLE) / 100, rel=0.4)


def test_nobody_in_particular_comes_last() -> None:
    assert not is_in_rollout("p1", 99, "")


# ------------------------------------------------------------------ versions and locales


def test_versions_compare_by_precedence() -> None:
    versions = ["1.9.0", "1.10.0-rc.2", "1.10.0-rc.10", "1.10.0", "1.2.0"]
    found = find_newest(map(package, versions))
    assert found is not None
    assert found.version == "1.10.0"
    higher = list_released_above([package(version) for version in versions], "1.9.0")
    assert [each.version for each in higher] == ["1.10.0", "1.10.0-rc.10", "1.10.0-rc.2"]
    assert find_newest([package("1.0.0", status="withdrawn")]) is None


@pytest.mark.parametrize(
    ("locale", "chain"),
    [
        ("und", ("und",)),
        ("de", ("de", "und")),
        ("zh-Hant-TW", ("zh-Hant-TW", "zh-Hant", "zh", "und")),
    ],
)
def test_locale_falls_back(locale: str, chain: tuple[str, ...]) -> None:
    assert locale_chain(locale) == chain


@pytest.mark.parametrize(
    ("typed", "first"), [("de_at", "de-AT"), ("ZH-hant-tw", "zh-Hant-TW"), ("es-419", "es-419")]
)
def test_locale_is_read_as_systems_write_it(typed: str, first: str) -> None:
    assert parse_manifest_query(ManifestQuery(client="1.0.0", locale=typed)).locales[0] == first


@pytest.mark.parametrize("locale", ["", "-", "de--at", "dé", "de at"])
def test_what_is_no_locale_is_refused(locale: str) -> None:
    with pytest.raises(InvalidField):
        parse_manifest_query(ManifestQuery(client="1.0.0", locale=locale))


def test_build_metadata_of_a_client_counts_for_nothing() -> None:
    """A plus sign arrives as a space."""
    assert parse_manifest_query(ManifestQuery(client="1.4.0 build.7")).client == "1.4.0"


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["1.0.0", "1.1.0", "1.2.0-rc.1", "2.0.0"]),
            st.sampled_from(["stable", "beta"]),
            st.sampled_from(["und", "de", "de-AT"]),
            st.sampled_from(["released", "withdrawn"]),
            st.sampled_from(["0.0.0", "3.0.0"]),
        ),
        max_size=12,
        unique_by=lambda each: each[:3],
    ),
    st.sampled_from(["1.0.0", "3.0.0"]),
    st.sampled_from(["und", "de", "de-AT", "fr"]),
)
def test_what_is_fetched_is_usable_and_settles(
    made: list[tuple[str, str, str, str, str]], client: str, locale: str
) -> None:
    catalog = PackageCatalog(
        [
            package(
                version, channel=channel, locale=its, status=status, required_client_version=needs
            )
            for version, channel, its, status, needs in made
        ],
        [],
    )
    query = parse_manifest_query(ManifestQuery(client=client, locale=locale, channel="beta,stable"))
    chosen = catalog.choose_packages(query, frozenset())
    for choice in chosen.fetch:
        found = choice.package
        assert found.status == "released"
        assert found.locale in query.locales
        assert client == "3.0.0" or found.required_client_version == "0.0.0"
    # Having fetched it, there is nothing more to do.
    have = frozenset(choice.package.package_id for choice in chosen.fetch)
    again = catalog.choose_packages(query._replace(have=have), frozenset())
    assert (again.fetch, again.remove, set(again.current)) == ([], [], have)
