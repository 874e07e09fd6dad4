"""The console with a real Keystone: somebody signs in with a token of it, works, and the session waits while Keystone is away and
ends when the token is revoked."""

import json
import pathlib
import sys
import tempfile
import time
import urllib.request

from browser import Browser, Server

sys.path.append(str(pathlib.Path(__file__).parents[1] / "clients"))
from keystone_server import Keystone  # pylint: disable=wrong-import-position

# How long Coffer takes an answer of Keystone for true here.
CACHE_S = 1


class Token:
    """A token of Keystone's administrator for the project that was made with it."""

    def __init__(self, keystone):
        self.keystone = keystone
        domain = {"id": "default"}
        user = {"name": "admin", "domain": domain, "password": keystone.password}
        identity = {"methods": ["password"], "password": {"user": user}}
        scope = {"project": {"name": "admin", "domain": domain}}
        with self.ask("POST", {}, {"auth": {"identity": identity, "scope": scope}}) as answer:
            self.secret = answer.headers["X-Subject-Token"]
            self.project = json.load(answer)["token"]["project"]["id"]

    def ask(self, method, headers, body=None):
        data = json.dumps(body).encode() if body else None
        headers = {"Content-Type": "application/json", **headers}
        return urllib.request.urlopen(urllib.request.Request(f"{self.keystone.url}/auth/tokens", data, headers, method=method))

    def revoke(self):
        self.ask("DELETE", {"X-Auth-Token": self.secret, "X-Subject-Token": self.secret}).close()


def run(program, axe, screenshots, keystone_python):
    with Keystone(keystone_python) as keystone, tempfile.TemporaryDirectory() as folder:
        token, folder = Token(keystone), pathlib.Path(folder)
        (folder / "files").mkdir()
        server = Server(
            program,
            folder,
            f'[auth]\nmode = "keystone"\n[auth.keystone]\nauth_url = "{keystone.url}"\ncache_s = {CACHE_S}\n'
            f'[[instances]]\nname = "shop"\nproject_id = "{token.project}"\nengine = "directory"\nsource = {{ path = "{folder}/files" }}\n',
        )

        def signing_in_with_keystone(browser):
            browser.open("/console/events")
            browser.says("Or a token of Keystone")
            browser.check("keystone-sign-in")
            browser.sign_in(token.secret)
            browser.says("shop")
            signed_in = browser.driver.find_element("css selector", "form.sign-out").text
            assert "keystone:admin@Default" in signed_in, signed_in
            assert token.secret not in browser.driver.page_source
            assert "coffer_session" not in browser.driver.execute_script("return document.cookie")

        def keystone_is_away(browser):
            keystone.stop()
            time.sleep(CACHE_S)
            browser.until(lambda: load(browser, "") and "Keystone cannot be asked" in browser.text())
            browser.check("keystone-away")
            keystone.start()
            # The same session, without signing in again.
            browser.until(lambda: load(browser, "") and "shop" in browser.text())

        def the_token_is_revoked(browser):
            token.revoke()
            browser.until(lambda: load(browser, "events") and "Your session is over" in browser.text())
            browser.find("#token")
            browser.check("keystone-session-over")

        browser = Browser(server, axe, screenshots)
        steps = signing_in_with_keystone, keystone_is_away, the_token_is_revoked
        # While Keystone is away, the answer is meant to be 503.
        browser.run(steps, ["503"])


def load(browser, path):
    browser.open(f"/console/{path}")
    return True
