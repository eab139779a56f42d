"""The console in a real Chromium: by keyboard, live, in several languages, and as axe-core sees it."""

from __future__ import annotations

import os
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from flask import Flask
from playwright.sync_api import Browser, Page, expect, sync_playwright
from werkzeug.serving import make_server

from service.app import create_app
from tests.api.world import CONTEXT, SETTINGS, TOKEN, World
from tests.console.provider import CLIENT, SignInProvider
from tests.console.test_console import EVERY, POSTED

BROWSER = Path(__file__).parents[2] / "scripts" / "browser"
"""Says where a Chromium is, and gets one where there is none."""

SHOTS = os.environ.get("ACCORD_TEST_SCREENSHOTS")
"""A folder for pictures of all pages, for whoever wants to look at them."""


PARTS = 4
"""The pages are looked at in so many tests, which can run beside each other."""

VIEWS = (("light", 1440), ("light", 390), ("dark", 1440), ("dark", 390))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    found = os.environ.get("ACCORD_TEST_BROWSER") or subprocess.check_output([BROWSER], text=True).strip()
    with sync_playwright() as playwright:
        # The sandbox of the browser cannot be had by root, and these pages are our own.
        opened = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield opened
        opened.close()


@contextmanager
def serving(app: Flask) -> Iterator[str]:
    """An application on a port; its address."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def address(lively: World) -> Iterator[str]:
    with serving(lively.app) as found:
        yield found


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """A page on which somebody has signed in by keyboard; whatever its console complains of is a failure."""
    context = browser.new_context(base_url=address, locale="en-GB")
    opened = context.new_page()
    complaints: list[str] = []
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("console", lambda said: complaints.append(said.text) if "Content Security" in said.text else None)
    opened.goto("/console")
    expect(opened.get_by_label("Token")).to_be_focused()
    opened.keyboard.type(TOKEN)
    opened.keyboard.press("Enter")
    expect(opened.get_by_role("heading", name="Overview")).to_be_visible()
    yield opened
    context.close()
    assert not complaints


def test_a_conflict_is_resolved_by_keyboard_alone(page: Page, lively: World) -> None:
    page.goto("/console/skipped/1")
    for _ in range(40):
        if page.evaluate("document.activeElement.name") == "choice:name":
            break
        page.keyboard.press("Tab")
    page.keyboard.press("3")
    page.keyboard.type("Noir, typed")
    page.keyboard.press("Enter")
    page.wait_for_url("**/console/runs/*")
    lively.work()
    expect(page.get_by_role("status")).to_contain_text("succeeded")
    assert lively.sql("erp", "SELECT name FROM customer WHERE id = 'c2'") == [("Noir, typed",)]


def test_one_key_chooses_and_leads_on(page: Page) -> None:
    page.goto("/console/skipped/1")
    page.locator("input[name='choice:name']").first.focus()
    page.keyboard.press("2")
    assert page.evaluate("document.querySelector('input[name=\"choice:name\"]:checked').value") == "integration"
    assert page.evaluate("document.activeElement.value") == "merge"


def test_every_action_has_a_key_and_a_help_that_lists_them(page: Page) -> None:
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("Connections")
    page.keyboard.press("Escape")
    page.keyboard.press("M")
    page.wait_for_url("**/console/mappings")
    page.keyboard.press("n")
    page.wait_for_url("**/console/mappings/new")
    page.keyboard.press("P")
    page.wait_for_url("**/console/couplings")
    page.keyboard.press("/")
    page.keyboard.type("nMEx")
    assert page.get_by_label("Key or value").input_value() == "nMEx"
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Keys of this page").click()
    page.get_by_label("Use these keys").uncheck()
    page.get_by_role("button", name="Close").click()
    page.keyboard.press("M")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    assert page.url.endswith("/console/couplings")


def test_a_key_leads_to_what_cannot_be_undone_and_does_not_do_it(page: Page, lively: World) -> None:
    page.goto("/console/skipped/1")
    page.keyboard.press("u")
    assert page.evaluate("document.activeElement.value") == "uncouple"
    assert lively.get("/skipped/1")["status"] == "open"
    page.keyboard.press("l")
    page.wait_for_url("**/console/runs/*")
    assert lively.get("/skipped/1")["resolution"] == "keepLocal"


def test_a_run_is_watched_until_its_end_without_loading_the_page_again(page: Page, lively: World) -> None:
    page.get_by_role("button", name="Synchronize now").click()
    page.wait_for_url("**/console/runs/*")
    expect(page.get_by_role("status")).to_contain_text("queued")
    page.evaluate("window.stays = true")
    lively.work()
    expect(page.get_by_role("status")).not_to_contain_text("queued")
    assert page.evaluate("window.stays")


def test_many_are_resolved_and_errors_cleaned_up(page: Page, lively: World) -> None:
    page.goto("/console/skipped?mapping=1")
    page.get_by_role("button", name="Look at what would be done").click()
    page.get_by_role("button", name="Do it").click()
    expect(page.get_by_role("status")).to_contain_text("1 record is being resolved")
    lively.work()
    page.get_by_role("link", name="Errors").click()
    page.get_by_label("Clean up errors").select_option("all")
    page.get_by_role("button", name="Look at what would be done").click()
    page.get_by_role("button", name="Delete them").click()
    expect(page.get_by_role("status")).to_contain_text("1 error was deleted")


def test_a_broken_connection_is_checked(page: Page, lively: World) -> None:
    (lively.folder / "crm.db").write_text("this is no database, and never was one")
    page.get_by_role("link", name="Connections").click()
    page.get_by_role("row", name="crm").get_by_role("button", name="Check").click()
    expect(page.get_by_role("status")).to_contain_text("failed")
    expect(page.get_by_text("Check the address in the settings of the connection.").first).to_be_visible()


def test_two_records_are_found_coupled_and_uncoupled(page: Page, lively: World) -> None:
    page.get_by_role("link", name="Couplings").click()
    page.get_by_role("link", name="Couple two records").click()
    page.get_by_label("Local key").fill("c9")
    page.get_by_label("Integration key").fill("a9")
    page.get_by_role("button", name="Look at both").click()
    page.get_by_label("The local values").check()
    page.get_by_role("button", name="Couple", exact=True).click()
    page.wait_for_url("**/console/couplings/*")
    lively.work()
    page.get_by_role("link", name="Couplings").first.click()
    page.get_by_label("Key or value").fill("zoë")
    page.keyboard.press("Enter")
    page.get_by_role("row", name="Zoë").get_by_role("link").first.click()
    expect(page.get_by_text("keep the local record")).to_be_visible()
    page.get_by_role("link", name="Uncouple").click()
    page.get_by_role("button", name="Uncouple").click()
    expect(page.get_by_role("row", name="Zoë")).to_have_count(0)
    assert lively.sql("crm", "SELECT name FROM account WHERE accountid = 'a9'") == [("Zoë",)]


def test_a_plan_is_read_and_carried_out(page: Page, lively: World) -> None:
    lively.sql("erp", "UPDATE customer SET name = 'Bergström AB' WHERE id = 'c1'")
    page.get_by_role("link", name="Mappings").click()
    page.get_by_role("row", name="customers").get_by_role("link", name="customers").click()
    page.get_by_role("link", name="Start a run").click()
    page.get_by_label("all records").check()
    page.get_by_role("button", name="Only tell what would happen").click()
    page.wait_for_url("**/console/runs/*")
    lively.work()
    expect(page.get_by_text("Bergström AB")).to_be_visible()
    page.get_by_role("button", name="Do it now").click()
    lively.work()
    expect(page.get_by_role("heading", name="What happened")).to_be_visible()
    assert lively.sql("crm", "SELECT name FROM account WHERE accountnumber = '10000'") == [("Bergström AB",)]


def test_a_mapping_is_made_of_suggestions(page: Page, lively: World) -> None:
    assert lively.ask("DELETE", "/mappings/1").status_code == 204
    page.get_by_role("link", name="Mappings").click()
    page.get_by_role("link", name="New mapping").click()
    page.get_by_label("Connection").first.select_option(label="erp")
    page.get_by_label("Connection").last.select_option(label="crm")
    page.get_by_role("button", name="Go on").click()
    page.get_by_label("Table").first.fill("customer")
    page.get_by_label("Table").last.fill("account")
    page.get_by_role("button", name="Go on").click()
    for fields in ("number – accountnumber", "name – name"):
        page.get_by_role("button", name=f"Accept: {fields}").click()
    page.get_by_label("Name", exact=True).fill("made here")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="made here")).to_be_visible()
    assert len(lively.get("/mappings")["items"][0]["fieldMappings"]) == 2


def test_signing_in_at_a_provider_on_another_site(browser: Browser, lively: World) -> None:
    # Another name of this machine is another site for a browser, so that its cookies are kept apart.
    provider = SignInProvider("localhost")
    settings = replace(
        SETTINGS,
        oidc_issuer=provider.url,
        oidc_audience="accord",
        oidc_client_id=CLIENT,
        oidc_client_secret=provider.secret,
    )
    networked = replace(CONTEXT, private_networks=(ip_network("127.0.0.0/8"),))
    with serving(create_app(settings, networked)) as address:
        context = browser.new_context(base_url=address, locale="en-GB")
        page = context.new_page()
        page.goto("/console/runs?mapping=1")
        page.get_by_role("link", name="Sign in with localhost").click()
        page.get_by_role("link", name="Deny").click()
        expect(page.get_by_role("alert")).to_contain_text("access_denied")
        page.get_by_role("link", name="Sign in with localhost").click()
        page.get_by_role("link", name="Allow").click()
        page.wait_for_url("**/console/runs?mapping=1")
        expect(page.get_by_text("oidc:ada")).to_be_visible()
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("link", name="Sign in with localhost")).to_be_visible()
        context.close()
    provider.close()


def test_czech_and_back(page: Page) -> None:
    page.get_by_role("button", name="Čeština").click()
    expect(page.get_by_role("heading", name="Přehled")).to_be_visible()
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()


@pytest.mark.parametrize("part", range(PARTS))
def test_axe_finds_nothing_and_nothing_is_wider_than_the_window(browser: Browser, address: str, part: int) -> None:
    # Only here: what axe puts into a page is what the policy is there to refuse.
    context = browser.new_context(base_url=address, bypass_csp=True, locale="en-GB")
    page = context.new_page()
    wrong: dict[str, list[str]] = {}
    page.goto("/console/sign-in")
    if part == 0:
        _look(page, "/console/sign-in", wrong)
    page.get_by_label("Token").fill(TOKEN)
    page.keyboard.press("Enter")
    page.wait_for_url("**/console")
    for path in EVERY[part::PARTS]:
        page.goto(path)
        _look(page, path, wrong)
    for path, form in POSTED[part::PARTS]:
        page.goto("/console")
        with page.expect_navigation():
            page.evaluate(SEND, [path, form])
        _look(page, f"{path} {' '.join(form.values())}", wrong)
    context.close()
    assert not wrong


SEND = """([path, values]) => {
    const form = Object.assign(document.createElement("form"), { method: "post", action: path });
    for (const [name, value] of Object.entries({ ...values, csrf: document.querySelector("[name=csrf]").value }))
        form.append(Object.assign(document.createElement("input"), { type: "hidden", name, value }));
    document.body.append(form);
    form.submit();
}"""


def _look(page: Page, path: str, wrong: dict[str, list[str]]) -> None:
    """Hold the page that is open against axe and the window, wide and narrow; in the dark only colours are others. Take
    its pictures where asked to."""
    for scheme, width in VIEWS if SHOTS else (VIEWS[0], VIEWS[-1]):
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        rules = {"runOnly": ["color-contrast", "scrollable-region-focusable"]} if scheme == "dark" else None
        found = [item["id"] for item in Axe().run(page, options=rules).response["violations"]]
        if page.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
            found.append("wider than the window")
        if found:
            wrong[f"{path} {scheme} {width}"] = found
        if SHOTS:
            name = re.sub(r"[^a-z0-9]+", "-", path.lower()).strip("-")
            page.screenshot(path=Path(SHOTS) / f"{name}-{scheme}-{width}.png", full_page=True)
