"""One connection to a database: statements prepared once, rows as the driver gives them, errors as failures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import sqlalchemy as sa

from service.connectors.sql.failures import Context, Refused, Undone, concerns_side, connection_failed
from service.core.failures import Failure, SideFailed

Row: TypeAlias = tuple[Any, ...]
Params: TypeAlias = Mapping[str, Any]

_ENDED = ("connection_failed", "credentials_rejected", "password_change_required", "not_a_database")
"""Failures after which the connection is of no use any more."""


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement as text for the driver. `names` says the order of its parameters where they have no names;
    `fixed` are the values that belong to the statement itself (those of a filter)."""

    text: str
    names: tuple[str, ...] | None
    fixed: Params
    context: Context

    def bind(self, params: Params) -> Any:
        """The parameters as the driver wants them."""
        merged = {**self.fixed, **params} if self.fixed else params
        return merged if self.names is None else [merged[name] for name in self.names]


class Session:
    """A connection that is opened when it is first needed, and again after it broke.

    `begin` starts a writing transaction. `prepare` sets up a new driver's connection; `lives` says of one that was not
    used for a while whether it still can be (None: none is left open for so long); `classify` turns the driver's errors
    into failures. Raises SideFailed, or `Refused` where a statement failed for what it had to say.
    """

    def __init__(
        self,
        engine: sa.Engine,
        *,
        begin: str,
        prepare: Callable[[Any], None],
        classify: Callable[[Exception, Context], Failure],
        returning_many: Callable[[Any, str, Sequence[Any]], list[Row]],
        lives: Callable[[Any], bool] | None = None,
        running_many: Callable[[Any, str, Sequence[Any]], int] | None = None,
    ) -> None:
        self._engine = engine
        self._begin = begin
        self._prepare = prepare
        self._classify = classify
        self._returning_many = returning_many
        self._lives = lives
        self._running_many = running_many or _execute_many
        self._prepared: dict[tuple[str, Context], Statement] = {}
        self._connection: sa.Connection | None = None
        self._driver: Any = None

    def close(self) -> None:
        """Give the connection back. May be called twice."""
        connection, self._connection, self._driver = self._connection, None, None
        if connection is not None:
            with self._errors(Context()):
                connection.close()
        self._engine.dispose()

    def revive(self) -> None:
        """Before the first use after a while: a connection that broke meanwhile is opened anew."""
        if self._driver is not None and self._lives is not None and not self._lives(self._driver):
            self.hang_up()

    def hang_up(self) -> None:
        """Close the connection, whatever state it is in; the next use opens another."""
        connection, self._connection, self._driver = self._connection, None, None
        if connection is not None:
            connection.invalidate()
            connection.close()

    @property
    def driver(self) -> Any:
        """The driver's own connection."""
        if self._driver is None:
            with self._errors(Context()):
                connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
                self._connection = connection
                driver = connection.connection.driver_connection
                self._prepare(driver)
                self._driver = driver
        return self._driver

    @contextmanager
    def inspect(self, context: Context) -> Iterator[sa.Inspector]:
        """SQLAlchemy's view of the schema, as it is now."""
        assert self.driver is not None
        assert self._connection is not None
        with self._errors(context):
            yield sa.inspect(self._connection)

    def compile(self, clause: sa.ClauseElement, context: Context) -> Statement:
        """Prepare a statement. Its unbound parameters are given with each use."""
        compiled = clause.compile(dialect=self._engine.dialect)
        names = tuple(compiled.positiontup or ()) if compiled.positional else None  # type: ignore[attr-defined]
        fixed = {name: value for name, value in compiled.params.items() if value is not None}
        return Statement(str(compiled), names, fixed, context)

    def prepared(self, text: str, context: Context) -> Statement:
        """A statement of our own, which is prepared once; `:name` marks a parameter."""
        if (text, context) not in self._prepared:
            self._prepared[text, context] = self.compile(sa.text(text), context)
        return self._prepared[text, context]

    def rows(self, statement: Statement, params: Params | None = None) -> list[Row]:
        """Every row of an answer."""
        cursor = self.driver.cursor()
        with self._errors(statement.context):
            try:
                cursor.execute(statement.text, statement.bind(params or {}))
                found: list[Row] = cursor.fetchall()
            finally:
                cursor.close()
        return found

    def chunks(self, statement: Statement, params: Params) -> Iterator[list[Row]]:
        """The rows of an answer a thousand at a time, for one that may have as many rows as the table."""
        cursor = self.driver.cursor()
        with self._errors(statement.context):
            try:
                cursor.execute(statement.text, statement.bind(params))
                while found := cursor.fetchmany(1_000):
                    yield found
            finally:
                cursor.close()

    def run_many(self, statement: Statement, params: Sequence[Params]) -> int:
        """Execute once for each set of parameters; how many rows were touched in all."""
        cursor = self.driver.cursor()
        with self._errors(statement.context):
            try:
                return self._running_many(cursor, statement.text, [statement.bind(one) for one in params])
            finally:
                cursor.close()

    def run_rows(self, statement: Statement, rows: Iterable[Row]) -> int:
        """Execute once for each row of parameters, which have the statement's own order; how many rows were touched in
        all. For a driver that goes through them itself: what it refuses has its place."""
        cursor, sent = self.driver.cursor(), 0

        def sending() -> Iterator[Row]:
            nonlocal sent
            for row in rows:
                sent += 1
                yield row

        try:
            with self._errors(statement.context):
                cursor.executemany(statement.text, sending())
                touched: int = cursor.rowcount
        except Refused as refused:
            refused.place = sent - 1
            raise
        finally:
            cursor.close()
        return touched

    def return_many(self, statement: Statement, params: Sequence[Params]) -> list[Row]:
        """Execute once for each set of parameters, and what each returned, in their order; one without a row in its
        answer has the empty tuple."""
        cursor = self.driver.cursor()
        with self._errors(statement.context):
            try:
                return self._returning_many(cursor, statement.text, [statement.bind(one) for one in params])
            finally:
                cursor.close()

    @contextmanager
    def transaction(self, context: Context) -> Iterator[None]:
        """All or nothing. `Undone` when the database refuses it as a whole at the end."""
        self.execute(self._begin, context)
        try:
            yield
        except BaseException:
            self._roll_back()
            raise
        try:
            self.execute("COMMIT", context)
        except Refused as refused:
            self._roll_back()
            raise Undone(refused.failure) from refused

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """All or nothing within a transaction."""
        self.execute("SAVEPOINT accord")
        try:
            yield
        except Refused as refused:
            try:
                self.execute("ROLLBACK TO SAVEPOINT accord")
            except (Refused, SideFailed):  # The error has ended the transaction: a trigger can do that in SQLite.
                raise Undone(refused.failure) from refused
            self.execute("RELEASE SAVEPOINT accord")
            raise
        self.execute("RELEASE SAVEPOINT accord")

    def execute(self, text: str, context: Context | None = None) -> None:
        """Run a statement that has no parameters and no answer."""
        cursor = self.driver.cursor()
        with self._errors(context or Context()):
            try:
                cursor.execute(text)
            finally:
                cursor.close()

    def _roll_back(self) -> None:
        if self._driver is None:
            return
        try:
            self.execute("ROLLBACK")
        except (Refused, SideFailed):
            self.hang_up()  # Whatever state it is in, it is not used any more.

    @contextmanager
    def _errors(self, context: Context) -> Iterator[None]:
        """Turn errors of the driver and of SQLAlchemy into `Refused` or SideFailed."""
        try:
            yield
        except sa.exc.DBAPIError as error:
            self._raise(error.orig if isinstance(error.orig, Exception) else error, context)
        except sa.exc.SQLAlchemyError as error:
            raise SideFailed(connection_failed(type(error).__name__)) from error
        except (OverflowError, UnicodeError) as error:
            self._raise(error, context)
        except Exception as error:
            if not isinstance(error, self._engine.dialect.loaded_dbapi.Error):
                raise
            self._raise(error, context)

    def _raise(self, error: Exception, context: Context) -> None:
        failure = self._classify(error, context)
        if failure.code in _ENDED:
            self.hang_up()
        if concerns_side(failure):
            raise SideFailed(failure) from None
        raise Refused(failure) from None


def _execute_many(cursor: Any, text: str, params: Sequence[Any]) -> int:
    """As the driver does it: in one pipeline, or in its own process."""
    cursor.executemany(text, params)
    touched: int = cursor.rowcount
    return touched
