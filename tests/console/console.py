"""The console in a real Chromium, with a real server and a real SQLite database: what a person does, by mouse and by
keyboard, on a desk and on a phone, in light and in dark; what axe-core says of every page; and that nothing leaves the
server. Screenshots for looking at are written to the folder that is named.

console.py COFFER AXE_MIN_JS SCREENSHOTS
"""

import base64
import json
import pathlib
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.parse

from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

INSTANCE = "11111111-0000-4000-8000-000000000001"
PATIENCE = 120
FLAGS = """--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
--disable-component-update --disable-sync --disable-dev-shm-usage --force-color-profile=srgb""".split()


def make_database(path):
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, note TEXT)")
    database.executemany("INSERT INTO orders (note) VALUES (?)", [(f"order {n}",) for n in range(2000)])
    database.commit()
    database.close()


class Server:
    """A server on a folder of its own."""

    def __init__(self, program, folder):
        self.folder = folder
        make_database(folder / "shop.db")
        config = folder / "coffer.toml"
        config.write_text(
            f'data_dir = "{folder}/data"\n[server]\nlisten = "127.0.0.1:0"\nsocket = ""\n[catalog]\nbackup = false\n'
            '[defaults.keep]\ndaily = 7\nweekly = 4\n'
            f'[[instances]]\nid = "{INSTANCE}"\nname = "shop"\nproject_id = "default"\nengine = "sqlite"\nschedule = "daily 02:30"\n'
            f'source = {{ path = "{folder}/shop.db" }}\n'
            f'[[instances]]\nname = "not-there"\nproject_id = "default"\nengine = "sqlite"\nsource = {{ path = "{folder}/none.db" }}\n'
        )
        log = open(folder / "log", "wb")
        self.process = subprocess.Popen([program, "serve", "--config", str(config)], stderr=log)
        self.url = self.wait_for(self.listening)
        self.token = (folder / "data/admin.token").read_text().strip()

    def listening(self):
        text = (self.folder / "log").read_text()
        if self.process.poll() is not None:
            raise AssertionError(text)
        after = text.partition("listening on ")[2]
        return after.split()[0] if after.strip() else None

    @staticmethod
    def wait_for(condition):
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if (found := condition()):
                return found
            time.sleep(0.05)
        raise AssertionError("it did not happen")

    def stop(self):
        self.process.terminate()
        return self.process.wait(timeout=PATIENCE)


class Browser:
    def __init__(self, server, axe, screenshots):
        self.server, self.axe, self.screenshots = server, axe, screenshots
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium")
        for flag in [*FLAGS, f"--user-data-dir={server.folder}/profile"]:
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        service = webdriver.ChromeService(executable_path=shutil.which("chromedriver"))
        self.driver = webdriver.Chrome(options=options, service=service)
        self.driver.set_page_load_timeout(PATIENCE)
        self.faults, self.requested = [], set()
        self.size(1200, 900)

    def size(self, width, height):
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def colours(self, scheme):
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def open(self, path):
        self.driver.get(self.server.url + path)

    def find(self, selector):
        return self.until(lambda: self.driver.find_elements(By.CSS_SELECTOR, selector))[0]

    def button(self, words):
        xpath = f"//main//*[self::button or self::a][normalize-space()='{words}']"
        return self.until(lambda: self.driver.find_elements(By.XPATH, xpath))[0]

    def until(self, condition):
        # The page replaces its content while it is looked at.
        wait = WebDriverWait(self.driver, PATIENCE, 0.05, ignored_exceptions=[WebDriverException])
        return wait.until(lambda _: condition())

    def text(self):
        return self.driver.find_element(By.TAG_NAME, "main").text

    def says(self, words):
        self.until(lambda: words in self.text())

    def at(self, part):
        self.until(lambda: part in self.driver.current_url)

    def submit(self, words):
        button = self.button(words)
        before = self.driver.current_url
        button.click()
        return before

    def sign_in(self):
        self.open("/console/")
        field = self.find("#token")
        field.send_keys(self.server.token, Keys.ENTER)
        self.find("form.sign-out")

    def collect(self):
        """What was asked for, and what the browser complained about, since this was called last."""
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                self.requested.add(message["params"]["request"]["url"])
        for entry in self.driver.get_log("browser"):
            # A refused sign-in is meant to be one.
            if entry["level"] == "SEVERE" and "/console/sign-in" not in entry["message"]:
                self.faults.append(entry["message"])

    def check(self, name):
        """axe-core, no wider than the window, and a screenshot, in both sets of colours and on a phone."""
        for scheme in ("light", "dark"):
            self.colours(scheme)
            self.driver.execute_script(self.axe)
            # In the dark, only the colours are others.
            rules = {} if scheme == "light" else {"runOnly": ["color-contrast"]}
            found = self.driver.execute_async_script(
                "const [rules, done] = arguments;"
                "axe.run(document, rules).then((it) => done(it.violations), (it) => done([{ id: String(it), nodes: [] }]))",
                rules,
            )
            violations = [(it["id"], [node["html"][:160] for node in it["nodes"]][:3]) for it in found]
            assert not found, f"{name}, {scheme}: {violations}"
            self.picture(f"{name}-{scheme}")
        self.colours("light")
        self.size(375, 812)
        wide = self.driver.execute_script("return document.documentElement.scrollWidth")
        assert wide <= 375, f"{name} is {wide} wide on a phone"
        self.picture(f"{name}-phone")
        self.size(1200, 900)

    def picture(self, name):
        height = self.driver.execute_script("return Math.min(4000, document.documentElement.scrollHeight)")
        width = self.driver.execute_script("return window.innerWidth")
        clip = {"x": 0, "y": 0, "width": width, "height": max(height, 600), "scale": 1}
        shot = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"clip": clip, "captureBeyondViewport": True})
        (self.screenshots / f"{name}.png").write_bytes(base64.b64decode(shot["data"]))


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
    """Somebody signs out elsewhere: the next step leads to the sign-in page, which says why."""
    browser.open("/console/")
    cookie = browser.driver.get_cookie("coffer_session") or {}
    browser.open("/console/quotas")
    assert cookie.get("httpOnly") and cookie.get("sameSite") == "Strict", cookie
    browser.driver.delete_cookie("coffer_session")
    browser.driver.add_cookie({**cookie, "value": "0" * 64})
    browser.open("/console/events")
    browser.says("Your session is over")
    browser.check("session-over")
    browser.sign_in()
    browser.driver.find_element(By.CSS_SELECTOR, "form.sign-out button").click()
    browser.says("You are signed out")


def main():
    program, axe, screenshots = sys.argv[1], pathlib.Path(sys.argv[2]).read_text(), pathlib.Path(sys.argv[3])
    shutil.rmtree(screenshots, ignore_errors=True)
    screenshots.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as folder:
        server = Server(program, pathlib.Path(folder))
        browser = Browser(server, axe, screenshots)
        try:
            for step in (
                signing_in, backing_up, restoring, looking, deleting, by_keyboard, without_script, session_over,
            ):
                started = time.monotonic()
                try:
                    step(browser)
                except BaseException:
                    browser.picture(f"failed-{step.__name__}")
                    print(f"{step.__name__} failed at {browser.driver.current_url}:\n{browser.text()}", file=sys.stderr)
                    raise
                browser.collect()
                print(f"{step.__name__} ({time.monotonic() - started:.1f} s)", flush=True)
        finally:
            browser.driver.quit()
            status = server.stop()
    expected = ["/console/nowhere"]
    faults = [it for it in browser.faults if not any(part in it for part in expected)]
    assert not faults, f"the browser complains: {faults}"
    host = urllib.parse.urlsplit(server.url).netloc
    elsewhere = [it for it in browser.requested if it.startswith("http") and urllib.parse.urlsplit(it).netloc != host]
    assert not elsewhere, f"requests left the server: {elsewhere}"
    assert len(browser.requested) > 20, "the requests were not seen"
    assert status == 0, f"the server ended with {status}"


main()
