"""The console in a real Chromium, with a real server and a real SQLite database: what a person does, by mouse and by
keyboard, on a desk and on a phone, in light and in dark; what axe-core says of every page; and that nothing leaves the
server. Then with a thousand instances and a hundred thousand backups (large.py), and with a real Keystone
(keystone_session.py). Screenshots for looking at are written to the folder that is named.

console.py COFFER AXE_MIN_JS SCREENSHOTS PYTHON_WITH_KEYSTONE FIRST_PAINT_MS
"""

import pathlib
import shutil
import sqlite3
import sys
import tempfile

from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

import keystone_session
import large
from browser import Browser, Server

INSTANCE = "11111111-0000-4000-8000-000000000001"


def make_database(path):
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, note TEXT)")
    database.executemany("INSERT INTO orders (note) VALUES (?)", [(f"order {n}",) for n in range(2000)])
    database.commit()
    database.close()


def server_with_a_shop(program, folder):
    make_database(folder / "shop.db")
    return Server(
        program,
        folder,
        '[defaults.keep]\ndaily = 7\nweekly = 4\n'
        f'[[instances]]\nid = "{INSTANCE}"\nname = "shop"\nproject_id = "default"\nengine = "sqlite"\nschedule = "daily 02:30"\n'
        f'source = {{ path = "{folder}/shop.db" }}\n'
        f'[[instances]]\nname = "not-there"\nproject_id = "default"\nengine = "sqlite"\nsource = {{ path = "{folder}/none.db" }}\n',
    )


def signing_in(browser):
    browser.open("/console/events")
    browser.at("/console/sign-in")
    browser.check("sign-in")
    browser.find("#token").send_keys("wrong", Keys.ENTER)
    browser.says("This is not a token of this server")
    browser.find("#token").send_keys(browser.server.token, Keys.ENTER)
    # Back to where one wanted to go.
    browser.says("What was done")
    browser.open("/console/")
    browser.says("shop")
    browser.check("overview-empty")


def backing_up(browser):
    """Two backups, watched to their end without loading a page; then a drill."""
    browser.open(f"/console/instances/{INSTANCE}")
    browser.check("instance-empty")
    for kind in ("full", "incremental"):
        browser.open(f"/console/instances/{INSTANCE}")
        Select(browser.find("#kind")).select_by_value(kind)
        browser.submit("Back up now")
        browser.at("/console/backups/")
        browser.says("COMPLETED")
        browser.says("Read back")
        # The database goes on.
        database = sqlite3.connect(browser.server.folder / "shop.db")
        database.execute("INSERT INTO orders (note) VALUES ('one more')")
        database.commit()
        database.close()
    verifying(browser)
    browser.submit("Drill now")
    browser.says("Drill passed")
    browser.check("backup")


def verifying(browser):
    """By keyboard. The result comes without loading the page, and where a screen reader hears of changes."""
    browser.button("Verify now").send_keys(Keys.ENTER)
    browser.says("Verification passed")
    statuses = "return [...document.querySelectorAll('main [role=status]')].map((it) => it.textContent).join()"
    browser.until(lambda: "Verification passed" in browser.driver.execute_script(statuses))


def restoring(browser):
    browser.submit("Restore…")
    browser.says("The plan")
    browser.check("restore")
    browser.submit("Restore")
    browser.at("/console/instances/")
    browser.says("every byte was compared")
    browser.check("restored")


def looking(browser):
    for path, name in [
        ("", "overview"), (f"instances/{INSTANCE}", "instance"), ("alerts", "alerts"), ("events", "events"),
        ("quotas", "quotas"), ("api", "api"), ("nowhere", "not-found"),
    ]:
        browser.open(f"/console/{path}")
        browser.find("h1")
        browser.check(name)
    slider(browser)


def slider(browser):
    browser.open(f"/console/instances/{INSTANCE}")
    browser.driver.execute_script(
        "const it = document.getElementById('days'); it.value = 30; it.dispatchEvent(new Event('input')); it.dispatchEvent(new Event('change'))"
    )
    browser.says("there will be")
    assert "days=30" in browser.driver.current_url


def deleting(browser):
    """The full backup goes with the incremental one, and both come back."""
    browser.open(f"/console/instances/{INSTANCE}")
    browser.until(lambda: len(browser.driver.find_elements(By.CSS_SELECTOR, "#backups ~ table tbody tr")) == 2)
    browser.driver.find_elements(By.CSS_SELECTOR, "#backups ~ table tbody tr th a")[1].click()
    browser.submit("Delete…")
    browser.says("2 backups would go")
    browser.check("delete")
    browser.submit("Delete 2 backups")
    browser.says("Deleted, with what was built on it")
    browser.check("deleted")
    browser.submit("Undo")
    browser.at("/console/backups/")
    browser.says("COMPLETED")


def by_keyboard(browser):
    """From the top of the page to the content, to an instance, to a new backup, without a mouse."""
    browser.open("/console/")
    body = browser.driver.find_element(By.TAG_NAME, "body")
    body.send_keys(Keys.TAB)
    active = lambda: browser.driver.switch_to.active_element
    assert active().get_attribute("class") == "skip", active().get_attribute("outerHTML")
    active().send_keys(Keys.ENTER)
    tab_to(browser, lambda it: it.get_attribute("href") and it.get_attribute("href").endswith(INSTANCE))
    active().send_keys(Keys.ENTER)
    browser.at(INSTANCE)
    browser.find("#kind")
    tab_to(browser, lambda it: it.text == "Back up now")
    outline = browser.driver.execute_script("return getComputedStyle(document.activeElement).outlineStyle")
    assert outline != "none", "where the focus is cannot be seen"
    active().send_keys(Keys.ENTER)
    browser.at("/console/backups/")
    browser.says("COMPLETED")


def tab_to(browser, wanted):
    for _press in range(80):
        browser.driver.switch_to.active_element.send_keys(Keys.TAB)
        if wanted(browser.driver.switch_to.active_element):
            return
    raise AssertionError("it is not reached with Tab")


def without_script(browser):
    """The same forms work without the script."""
    browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    browser.open(f"/console/instances/{INSTANCE}?days=7")
    assert "there will be" in browser.text()
    browser.open("/console/quotas")
    browser.submit("Save")
    browser.at("project=")
    browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def session_over(browser):
    """Somebody signs out elsewhere: a page that asks for changes again goes to the sign-in page, which says why."""
    browser.open("/console/")
    cookie = browser.driver.get_cookie("coffer_session") or {}
    browser.open("/console/events")
    assert cookie.get("httpOnly") and cookie.get("sameSite") == "Strict", cookie
    browser.driver.delete_cookie("coffer_session")
    browser.driver.add_cookie({**cookie, "value": "0" * 64})
    # As if somebody turned away from the page and came back.
    browser.driver.execute_script("dispatchEvent(new Event('pagehide')); document.dispatchEvent(new Event('visibilitychange'))")
    browser.says("Your session is over")
    browser.check("session-over")
    browser.sign_in()
    browser.driver.find_element(By.CSS_SELECTOR, "form.sign-out button").click()
    browser.says("You are signed out")


def main():
    program, axe, screenshots, keystone_python, first_paint_ms = sys.argv[1:]
    axe, screenshots = pathlib.Path(axe).read_text(), pathlib.Path(screenshots)
    shutil.rmtree(screenshots, ignore_errors=True)
    screenshots.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as folder:
        browser = Browser(server_with_a_shop(program, pathlib.Path(folder)), axe, screenshots)
        steps = signing_in, backing_up, restoring, looking, deleting, by_keyboard, without_script, session_over
        browser.run(steps, ["/console/nowhere"])
    large.run(program, axe, screenshots, float(first_paint_ms))
    keystone_session.run(program, axe, screenshots, keystone_python)


main()
