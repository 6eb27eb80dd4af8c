"""Attacks that arrive as trees: each is refused before it becomes text."""

import pytest
import sqlglot
from sqlglot import exp

from dure.engines.allowed import judge
from dure.engines.problems import PlanRefused

ATTACKS = [
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM read_parquet('https://example.invalid/x.parquet')",
    "SELECT * FROM glob('/*')",
    "SELECT * FROM '/etc/passwd'",
    'SELECT * FROM "/etc/passwd"',
    "SELECT * FROM duckdb_secrets()",
    "SELECT * FROM duckdb_settings()",
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM dure.dataset",
    "SELECT * FROM sqlite_master",
    "SELECT * FROM pragma_database_list",
    "SELECT * FROM nowhere",
    "SELECT getenv('HOME')",
    "SELECT current_setting('temp_directory')",
    "SELECT * FROM query('SELECT 1')",
    "SELECT * FROM query_table('person')",
    "SELECT * FROM range(1000000000)",
    "SELECT * FROM unnest([1, 2])",
    "SELECT random() FROM person",
    "SELECT lower(a) FROM person",
    "SELECT a FROM person LIMIT 3",
    "SELECT a FROM person EXCEPT SELECT a FROM x",
    "SELECT CAST('2020-01-01' AS DATE) + INTERVAL 3 MONTH",
    "SELECT DATE_DIFF('month', a, b) FROM person",
    "SELECT CAST(a AS VARCHAR) FROM person",
    "SELECT person_id::JSON FROM person",
    "SELECT COLUMNS('.*') FROM person",
    "SELECT (SELECT content FROM read_text('/etc/passwd'))",
    "WITH x AS (SELECT * FROM read_csv('/etc/passwd')) SELECT * FROM x",
    "SELECT * FROM person WHERE EXISTS (SELECT 1 FROM glob('/*'))",
    "SELECT * FROM person UNION ALL SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM person TABLESAMPLE 10%",
    "COPY person TO '/tmp/out.csv'",
    "ATTACH '/tmp/other.duckdb'",
    "INSTALL httpfs",
    "SET memory_limit = '1TB'",
    "PRAGMA database_list",
    "CREATE TABLE x AS SELECT 1",
    "INSERT INTO person SELECT * FROM person",
    "DELETE FROM person",
    "DROP TABLE person",
    "UPDATE person SET person_id = 1",
    "DESCRIBE person",
]


@pytest.mark.parametrize("sql", ATTACKS)
def test_refused_as_a_tree(sql: str) -> None:
    tree = sqlglot.parse_one(sql, dialect="duckdb")
    with pytest.raises(PlanRefused):
        judge(tree, {"person", "x"}.__contains__)


@pytest.mark.parametrize(
    "tree",
    [
        exp.select("*").from_(exp.Table(this=exp.Identifier(this="person; DROP TABLE person", quoted=False))),
        exp.select(exp.Column(this=exp.Identifier(this='a" FROM glob(1) --', quoted=False))).from_("person"),
        exp.select(exp.Literal(this="1; ATTACH 'x'", is_string=False)).from_("person"),
        exp.select(exp.Var(this="x FROM read_text('/etc/passwd')")).from_("person"),
        exp.select(exp.Anonymous(this="getenv", expressions=[exp.Literal.string("HOME")])).from_("person"),
        exp.select(exp.cast(exp.column("a"), exp.DataType.build("my_type", udt=True))).from_("person"),
        exp.Union(this=exp.select("1"), expression=exp.select("1"), side="; DROP TABLE person;"),
    ],
    ids=["table", "column", "number", "word", "function", "type", "argument"],
)
def test_text_smuggled_into_a_tree_is_refused(tree: exp.Expression) -> None:
    with pytest.raises(PlanRefused):
        judge(tree, {"person"}.__contains__)


def test_a_comment_is_refused() -> None:
    tree = exp.select("person_id").from_("person")
    tree.add_comments(["*/ ; DROP TABLE person; /*"])
    with pytest.raises(PlanRefused):
        judge(tree, {"person"}.__contains__)


@pytest.mark.parametrize("thing", ["SELECT 1", None, 1, exp.column("a")])
def test_what_isnt_a_query_is_refused(thing: object) -> None:
    with pytest.raises(PlanRefused):
        judge(thing, lambda _: True)


@pytest.mark.parametrize(
    "sql",
    [
        "WITH a AS (SELECT person_id, COUNT(DISTINCT year_of_birth) AS n FROM person GROUP BY person_id) "
        "SELECT * FROM a WHERE n >= 1 AND n <= 2 ORDER BY n DESC",
        "SELECT ROW_NUMBER() OVER (PARTITION BY a ORDER BY b ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) FROM person",
        "SELECT CASE WHEN a LIKE 'x%' THEN 1 ELSE 0 END, COALESCE(b, 0) FROM person LEFT JOIN x ON person.a = x.a",
        "SELECT CAST('2020-01-01' AS DATE) + 3, DATE_DIFF('day', a, b) FROM person",
        "SELECT a FROM person UNION ALL SELECT a FROM x",
        "SELECT a FROM (VALUES (1), (2)) AS v(a) WHERE a IN (SELECT a FROM x) AND NOT EXISTS (SELECT 1 FROM x)",
    ],
)
def test_what_cohorts_are_made_of_passes(sql: str) -> None:
    judge(sqlglot.parse_one(sql, dialect="duckdb"), {"person", "x"}.__contains__)
