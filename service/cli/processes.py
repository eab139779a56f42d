"""The commands that run until they are stopped: `start`, `serve`, `work`."""

from __future__ import annotations

import gc
import os
import signal
import threading
from typing import Any, Protocol

import click
from flask import Flask
from gunicorn.app.base import BaseApplication
from prometheus_client import start_http_server

from service import __version__, telemetry
from service.api import events
from service.app import create_app
from service.cli.preparing import Refused, context_of, newer, prepared, sentences
from service.operations.context import Context
from service.operations.figures import counted
from service.settings.environment import Settings
from service.shell import tell
from service.store.database import open_database
from service.worker import Worker
from service.worker.parts import part
from service.worker.presence import Presence

GRACE = 25
"""Seconds that requests and runs have to come to a good end after SIGTERM; a supervisor waits 30 or so."""


class Working(Protocol):
    """Who works on runs, embedded or for the queue."""

    def start(self) -> None: ...

    def stop(self, timeout: float = ...) -> None: ...


@click.command()
def start() -> None:
    """Serve the API and work on runs, in one process."""
    with sentences():
        settings = prepared(migrating=True)
        Server(settings, working=True).run()


@click.command()
def serve() -> None:
    """Serve the API only; `accord work` works on the runs."""
    with sentences():
        Server(prepared(migrating=False), working=False).run()


@click.command()
def work() -> None:
    """Work on runs only; `accord serve` serves the API."""
    with sentences():
        settings = prepared(migrating=False)
        context, worker = working_context(settings)
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        telemetry.start(os.environ)
        if settings.metrics_port is not None:
            start_http_server(settings.metrics_port, settings.host, counted().registry)
        closed: list[str] = []

        def leave(level: str) -> None:
            closed.append(level)
            stop.set()

        presence = Presence(context, "worker", leave)
        presence.start()
        worker.start()
        _keep_what_is_loaded()
        click.echo(tell("Accord {version} works on runs.", version=__version__), err=True)
        stop.wait()
        worker.stop(GRACE)
        presence.stop()
        telemetry.stop()
        if closed:
            raise Refused(newer(closed[0]))


class Server(BaseApplication):  # type: ignore[misc]
    """gunicorn with threads in one process, so that the worker and the requests wake each other."""

    def __init__(self, settings: Settings, *, working: bool) -> None:
        self._settings, self._working = settings, working
        self._worker: Working | None = None
        self._presence: Presence | None = None
        super().__init__()

    def load_config(self) -> None:
        chosen = {
            "bind": f"{self._settings.host}:{self._settings.port}",
            "workers": 1,
            "worker_class": "gthread",
            "threads": self._settings.threads,
            "graceful_timeout": GRACE + 5,
            "timeout": 120,
            "loglevel": "warning",
            "control_socket_disable": True,
            "proc_name": "accord",
            "when_ready": self._announce,
            "post_worker_init": self._serving,
            "worker_exit": self._ended,
        }
        for name, value in chosen.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """In the process that serves: open the database there, since connections do not survive a fork."""
        open_database(self._settings.database_url)
        telemetry.start(os.environ)
        if self._working:
            context, self._worker = working_context(self._settings)
        else:
            context = context_of(self._settings)
        self._presence = Presence(context, "both" if self._working else "web", _leave)
        self._presence.start()
        if self._worker is not None:
            self._worker.start()
        return create_app(self._settings, context)

    def _announce(self, _server: Any) -> None:
        where = f"http://{self._settings.host}:{self._settings.port}"
        said = tell(
            "Accord {version} listens on {where}; the API is described on {where}/docs",
            version=__version__,
            where=where,
        )
        click.echo(said, err=True)

    @staticmethod
    def _serving(process: Any) -> None:
        """Nobody who watches a run keeps a server from stopping, and what was loaded keeps nobody waiting."""
        events.end_with(process.wsgi, lambda: not process.alive)
        _keep_what_is_loaded()

    def _ended(self, _server: Any, _process: Any) -> None:
        if self._worker is not None:
            self._worker.stop(GRACE)
        if self._presence is not None:
            self._presence.stop()
        telemetry.stop()


def _keep_what_is_loaded() -> None:
    """Python looks for rings among all objects now and then, and modules and schemas are most of them: that took up to
    a tenth of a second out of an answer. They stay until the process ends, and need not be looked through again."""
    gc.collect()
    gc.freeze()


def _leave(level: str) -> None:
    """In the process that serves: have the server end as if somebody had asked for it."""
    click.echo(newer(level), err=True)
    os.kill(os.getppid(), signal.SIGTERM)


def working_context(settings: Settings) -> tuple[Context, Working]:
    """A context, and who works on runs for it; the embedded worker is woken by it."""
    if settings.queue_url is not None:
        context = context_of(settings)
        return context, part("distributed").QueueWorker(context, settings.database_url, settings.runs)
    made: list[Worker] = []
    context = context_of(settings, wake=lambda: made[0].wake())
    made.append(Worker(context, settings.runs))
    return context, made[0]
