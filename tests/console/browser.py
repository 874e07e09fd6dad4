"""A real Chromium before a real server: what a person does there, what axe-core says of a page, screenshots, and that nothing
leaves the server."""

import base64
import json
import shutil
import subprocess
import sys
import time
import urllib.parse

from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

PATIENCE = 120
FLAGS = """--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
--disable-component-update --disable-sync --disable-dev-shm-usage --force-color-profile=srgb""".split()


class Server:
    """A server on a folder of its own, with this besides in its configuration."""

    def __init__(self, program, folder, more):
        self.program, self.folder = program, folder
        self.config = folder / "coffer.toml"
        self.config.write_text(
            f'data_dir = "{folder}/data"\n[server]\nlisten = "127.0.0.1:0"\nsocket = ""\n[catalog]\nbackup = false\n{more}'
        )
        self.start()

    def start(self):
        log = open(self.folder / "log", "wb")
        self.process = subprocess.Popen([self.program, "serve", "--config", str(self.config)], stderr=log)
        self.url = self.wait_for(self.listening)
        self.token = (self.folder / "data/admin.token").read_text().strip()

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

    def sign_in(self, token=None):
        self.open("/console/")
        field = self.find("#token")
        field.send_keys(token or self.server.token, Keys.ENTER)
        self.find("form.sign-out")

    def run(self, steps, expected=()):
        """Runs the steps, then ends the browser and the server. Nothing may leave the server, and the browser may complain
        only of what is expected."""
        try:
            for step in steps:
                started = time.monotonic()
                try:
                    step(self)
                except BaseException:
                    self.picture(f"failed-{step.__name__}")
                    print(f"{step.__name__} failed at {self.driver.current_url}:\n{self.text()}", file=sys.stderr)
                    raise
                self.collect()
                print(f"{step.__name__} ({time.monotonic() - started:.1f} s)", flush=True)
        finally:
            self.driver.quit()
            status = self.server.stop()
        faults = [it for it in self.faults if not any(part in it for part in expected)]
        assert not faults, f"the browser complains: {faults}"
        host = urllib.parse.urlsplit(self.server.url).netloc
        elsewhere = [it for it in self.requested if it.startswith("http") and urllib.parse.urlsplit(it).netloc != host]
        assert not elsewhere, f"requests left the server: {elsewhere}"
        assert len(self.requested) > 5, "the requests were not seen"
        assert status == 0, f"the server ended with {status}"

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
