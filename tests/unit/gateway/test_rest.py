"""PostgREST's requests: read, planned and composed; whatever is sent, nothing of it becomes SQL."""

import re
from typing import Any
from urllib.parse import quote

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.gateway.rest.catalogue import (
    Argument,
    Catalogue,
    Column,
    ForeignKey,
    Function,
    Table,
    TableName,
)
from server.gateway.rest.errors import RestError, status_of_sqlstate
from server.gateway.rest.parser import parse_query
from server.gateway.rest.planner import Limits, Plan, Planner, check_body
from server.gateway.rest.preferences import choose_media, parse_preferences
from server.gateway.rest.query import Condition, Field, Filter, Logic, SelectField, SelectRelation
from server.gateway.rest.sql import Statement, compose

ROLE = "authenticated"
READERS = frozenset({ROLE})


def column(name: str, type_name: str, *, is_readable: bool = True) -> Column:
    return Column(name, type_name, type_name, None, READERS if is_readable else frozenset())


def table(name: str, *columns: Column, key: str = "id") -> Table:
    return Table(TableName("public", name), {each.name: each for each in columns}, (key,))


def foreign_key(name: str, of: str, own: str, to: str) -> ForeignKey:
    return ForeignKey(
        name, TableName("public", of), (own,), TableName("public", to), ("id",), is_unique=False
    )


CATALOGUE = Catalogue(
    ["public"],
    [
        table(
            "people",
            column("id", "uuid"),
            column("name", "text"),
            column("email", "text", is_readable=False),
            column("facts", "jsonb"),
        ),
        table(
            "posts",
            column("id", "bigint"),
            column("author", "uuid"),
            column("reviewer", "uuid"),
            column("title", "text"),
            column("words", "tsvector"),
            column("tags", "text[]"),
        ),
        table("comments", column("id", "bigint"), column("post", "bigint"), column("said", "text")),
    ],
    [
        foreign_key("posts_author_fkey", "posts", "author", "people"),
        foreign_key("posts_reviewer_fkey", "posts", "reviewer", "people"),
        foreign_key("comments_post_fkey", "comments", "post", "posts"),
    ],
    [
        Function(
            TableName("public", "find"),
            (Argument("words", "text", False, False), Argument("most", "integer", True, False)),
            "row",
            True,
            False,
            TableName("public", "posts"),
            (),
        )
    ],
    {"mood": "mood"},
)


def plan(
    query: str | bytes,
    of: str = "posts",
    *,
    method: str = "GET",
    body: Any = None,
    prefer: str = "",
    accept: str = "",
) -> Plan:
    raw = query if isinstance(query, bytes) else query.encode()
    planner = Planner(CATALOGUE, Limits(ROLE, 100))
    name = TableName("public", of)
    media, preferences = choose_media(accept), parse_preferences(prefer)
    parsed = parse_query(raw, has_arguments=method == "CALL")
    if method == "GET":
        return planner.read(name, parsed, media, preferences)
    if method == "CALL":
        return planner.call(name, parsed, None, media, preferences)
    if method == "DELETE":
        return planner.delete(name, parsed, media, preferences)
    given_body = check_body(orjson.dumps(body).decode(), body)
    change = {"POST": planner.insert, "PATCH": planner.update, "PUT": planner.put}[method]
    return change(name, parsed, given_body, media, preferences)


def code_of(query: str, of: str = "posts", **options: Any) -> str:
    with pytest.raises(RestError) as caught:
        compose(plan(query, of, **options))
    return caught.value.code


# ------------------------------------------------------------------ what is read


def test_select_list_has_aliases_casts_paths_and_resources() -> None:
    query = parse_query(
        b"select=name,n:facts->pets->0->>name::text,posts!fk!inner(*,c:comments(said))"
    )
    name, path, posts = query.select
    assert name == SelectField(Field("name"))
    assert isinstance(path, SelectField)
    assert (path.alias, path.cast, path.field.name) == ("n", "text", "facts")
    assert [(s.key, s.is_index, s.as_text) for s in path.field.path] == [
        ("pets", False, False),
        ("0", True, False),
        ("name", False, True),
    ]
    assert isinstance(posts, SelectRelation)
    assert (posts.hint, posts.join, posts.items[1].alias) == ("fk", "inner", "c")


def test_values_reach_to_the_end_and_lists_take_quotes() -> None:
    query = parse_query(b'title=eq.a,b.c(d)&id=in.(1,"2,3","4\\"5")&name=not.like(any).{a*,b}')
    first, second, third = query.terms[()]
    assert first == Filter(Field("title"), Condition("eq", "a,b.c(d)"))
    assert isinstance(second, Filter)
    assert second.condition.value == ("1", "2,3", '4"5')
    assert third == Filter(Field("name"), Condition("like", "{a*,b}", True, "any"))


def test_logic_nests_and_names_its_resource() -> None:
    query = parse_query(b"posts.or=(id.eq.1,not.and(title.is.null,tags.cs.{a,b}))")
    (logic,) = query.terms[("posts",)]
    assert isinstance(logic, Logic)
    inner = logic.terms[1]
    assert isinstance(inner, Logic)
    assert (logic.operator, inner.operator, inner.is_negated) == ("or", "and", True)
    assert inner.terms[1] == Filter(Field("tags"), Condition("cs", "{a,b}"))


@pytest.mark.parametrize(
    "query",
    [
        "id=1",
        "id=noop.1",
        "select=id,,",
        "select=id(",
        "select=posts(id",
        "select=id[0]",
        "order=id.up",
        "or=id.eq.1",
        "or=(id.eq.1",
        "or=()",
        "id=in.(1",
        "id=is.sometimes",
        'select="id',
        "select=" + "posts(" * 50,
        "or=" + "(and" * 50,
        "select=" + "id," * 2000 + "id",
    ],
)
def test_what_is_malformed_is_refused_with_pgrst100(query: str) -> None:
    with pytest.raises(RestError) as caught:
        parse_query(query.encode())
    assert (caught.value.status, caught.value.code) == (400, "PGRST100")


# ------------------------------------------------------------------ what is planned


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("select=secret", "42703"),
        ("secret=eq.1", "42703"),
        ("order=secret", "42703"),
        ("select=id::secret", "42704"),
        ("select=nothing(id)", "PGRST200"),
        ("select=people(id)", "PGRST201"),
        ("people.name=eq.x", "PGRST108"),
        ("select=id,comments(id)&order=comments(id)", "PGRST118"),
        ("select=id,comments(id)&comments=eq.1", "PGRST120"),
        ("limit=-1", "PGRST103"),
    ],
)
def test_names_that_are_not_there_are_refused(query: str, code: str) -> None:
    assert code_of(query) == code


def test_other_refusals_have_postgrests_codes() -> None:
    assert code_of("", "nothing") == "PGRST205"
    assert code_of("", method="POST", body={"secret": 1}) == "PGRST204"
    assert code_of("", method="POST", body=[{"id": 1}, {"title": ""}]) == "PGRST102"
    assert code_of("", method="PATCH", body={"title": ""}) == "21000"
    assert code_of("", method="DELETE") == "21000"
    assert code_of("id=gt.1", method="PUT", body={"id": 1}) == "PGRST105"
    assert code_of("id=eq.1", method="PUT", body={"id": 2}) == "PGRST115"
    assert code_of("word=x", "find", method="CALL") == "PGRST202"
    assert code_of("", prefer="handling=strict, return=everything") == "PGRST122"
    assert code_of("", accept="image/png") == "PGRST107"


def test_a_star_is_the_columns_that_the_role_may_read() -> None:
    text = compose(plan("", "people")).text
    assert '"name"' in text
    assert '"email"' not in text
    # Asked for by name, the database itself refuses it.
    assert '"email"' in compose(plan("select=email", "people")).text


def test_rows_are_bounded_on_every_level() -> None:
    text = compose(plan("select=id,comments(id)&limit=5000&comments.limit=7")).text
    assert re.findall(r"LIMIT (\d+)", text) == ["7", "100"]


@pytest.mark.parametrize(
    ("sqlstate", "status"),
    [
        ("42501", 403),
        ("23505", 409),
        ("22P02", 400),
        ("25006", 405),
        ("P0001", 400),
        ("PT402", 402),
        ("PTxyz", 400),
        ("57014", 500),
    ],
)
def test_sqlstates_have_postgrests_statuses(sqlstate: str, status: int) -> None:
    assert status_of_sqlstate(sqlstate, is_anonymous=False) == status
    assert status_of_sqlstate("42501", is_anonymous=True) == 401


# ------------------------------------------------------------------ what becomes of anything


# All that a statement may consist of, once names and literals are taken out: words of the composer,
# types of the catalogue, and numbered aliases.
def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


WORDS = words(
    """with src as select from where and or not is null true false unknown distinct any all in limit
    offset order by asc desc nulls first last group left join lateral on coalesce json_agg
    row_to_json count text json jsonb body page total inserted r s j x p c f value bigint int uuid
    regconfig insert into update set delete returning values excluded conflict do nothing set_config
    current_setting nullif like ilike json_to_record json_to_recordset json_array_elements to_jsonb
    tsvector to_tsvector to_tsquery plainto_tsquery phraseto_tsquery websearch_to_tsquery exists
    sum avg min max cast string_agg json_object_keys substring length e k key array integer double
    json_strip_nulls precision character varying time timestamp zone without mood variadic"""
)
NAMES = words(
    "public people posts comments id name email facts author reviewer title words tags post said "
    "find most"
)


def require_safe(statement: Statement, keys: set[str]) -> None:
    identifiers: list[str] = []

    def taken_out(found: re.Match[str]) -> str:
        if found[1] is not None:
            identifiers.append(found[1].replace('""', '"'))
        return " "

    bare = re.sub(r"""\"((?:[^"]|"")*)\"|E?'(?:[^']|'')*'""", taken_out, statement.text)
    assert set(identifiers) <= NAMES | keys, statement.text
    assert not re.search(r"[\"'\\;\0]|--|/\*", bare), statement.text
    strange = set(re.findall(r"[^\W\d]\w*", bare.lower())) - WORDS
    strange = {word for word in strange if not re.fullmatch(r"[tejo]\d+", word)}
    assert not strange, statement.text


INJECTIONS = (
    "'; DROP TABLE people; --",
    '"; DROP TABLE people; --',
    "1) OR (1=1",
    "1 UNION SELECT email FROM people",
    "\\'; SELECT 1; --",
    "$$; SELECT 1; $$",
    "/**/OR/**/1=1",
    "x' || (SELECT email FROM people) || '",
    'id" FROM people; --',
    "{1,2}'::text); SELECT 1 --",
    "\x00'; SELECT 1",
    "($1)[1]",
    "\u02bc OR \u02bc1\u02bc=\u02bc1",
)


@pytest.mark.parametrize("attack", INJECTIONS)
def test_no_injection_becomes_part_of_a_statement(attack: str) -> None:
    given_text = quote(attack)
    queries = [
        f"title=eq.{given_text}",
        f"title=in.({given_text})",
        f"title=like(any).{given_text}",
        f"words=fts({given_text}).{given_text}",
        f"or=(title.eq.{given_text})",
        f"{given_text}=eq.1",
        f"select={given_text}",
        f"select=a:{given_text}",
        f"select={given_text}:id",
        f"select={quote(chr(34) + attack.replace(chr(34), chr(92) + chr(34)) + chr(34))}:id",
        f"select=id::{given_text}",
        f"select=comments!{given_text}(id)",
        f"select=facts->{given_text}->>{given_text}",
        f"order={given_text}",
        f"limit={given_text}&offset={given_text}",
        f"on_conflict={given_text}",
        f"columns={given_text}",
        f"{given_text}.limit=1",
        f"{given_text}.or=(id.eq.1)",
    ]
    composed = 0
    for query in queries:
        for of in ("posts", "people"):
            for method in ("GET", "POST"):
                prefer = "return=representation, resolution=merge-duplicates, count=exact"
                body = {"id": attack}
                try:
                    planned = plan(query, of, method=method, body=body, prefer=prefer)
                    statement = compose(planned)
                except RestError:
                    continue
                composed += 1
                require_safe(statement, _keys_of(planned))
    assert composed > 10


def _keys_of(planned: Plan) -> set[str]:
    found: set[str] = set()
    levels = [planned.read]
    while levels:
        read = levels.pop()
        found |= {getattr(each, "key", "").replace("\0", "") for each in read.outputs}
        levels += [embed.read for embed in read.embeds]
    return found


SYNTAX = words(
    "eq. neq. in. is. not. fts. cs. or and null select= order= limit= offset= columns= .sum() "
    "on_conflict= ...posts( comments( people!posts_author_fkey( !inner .desc .nullsfirst ::text "
    "->> -> count() posts. comments. (any) &select= &or=( &order= &id=eq."
)
PIECES = st.sampled_from(
    ["\x00", "\ud7ff", " ", *"abc019.,()!:*\"'\\->{}[]&=%+;é", *sorted(NAMES), *sorted(SYNTAX)]
)
ANY_QUERY = st.one_of(
    st.binary(max_size=120),
    st.lists(PIECES, max_size=40).map(lambda pieces: "".join(pieces).encode("utf-8", "replace")),
)


@settings(max_examples=400)
@given(
    raw=ANY_QUERY,
    method=st.sampled_from(["GET", "POST", "PATCH", "DELETE", "PUT", "CALL"]),
    of=st.sampled_from(["posts", "people", "comments", "find", "'; --"]),
    prefer=st.text(max_size=30),
)
def test_any_query_gives_a_statement_or_an_error_with_a_code(
    raw: bytes, method: str, of: str, prefer: str
) -> None:
    planned = None
    try:
        planned = plan(
            raw, of, method=method, body={"id": 1}, prefer=f"return=representation,{prefer}"
        )
        statement = compose(planned)
    except RestError as error:
        refused = error
    else:
        require_safe(statement, _keys_of(planned))
        return
    assert 300 <= refused.status < 500
    assert orjson.loads(refused.body())["code"]
