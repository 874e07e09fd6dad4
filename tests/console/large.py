"""The console of a server with a thousand instances and a hundred thousand backups, in a browser: how soon a page is seen, how
much is sent for it, and that no list is without end."""

import pathlib
import sqlite3
import tempfile

from browser import Browser, Server

CATALOG = pathlib.Path(__file__).parents[1] / "data" / "large_catalog.sql"
INSTANCES = 1000
FIRST = "00000001-0000-4000-8000-000000000000"
# The page, its style, its script and its icon together.
MOST_BYTES = 60_000
MOST_ROWS = 100
# Whatever else the machine does makes a page later, never sooner: the best of these counts.
LOADS = 5

# The largest page of each screen.
SCREENS = (
    ("overview", ""),
    ("overview-last", "?page=20"),
    ("overview-search", "?search=number"),
    ("instance", f"instances/{FIRST}"),
    ("backup", "backups/00000001-00c8-7000-8000-000000000000"),
    ("delete", "backups/00000002-0001-7000-8000-000000000000/delete"),
    ("alerts", "alerts"),
    ("events", "events"),
)

# Of what was just loaded: when something was to be seen first, and what was sent for it.
LOADED = """
const paint = performance.getEntriesByName("first-contentful-paint")[0];
if (!paint) return null;
const files = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")];
const lists = [...document.querySelectorAll("tbody, ul, ol, select")].map((it) => it.children.length);
const drawn = [...document.querySelectorAll("svg")].flatMap((it) => ["rect", "circle"].map((kind) => it.querySelectorAll(kind).length));
const rows = [...lists, ...drawn];
return [paint.startTime, files.reduce((sum, it) => sum + it.transferSize, 0), Math.max(...rows)];
"""


def server(program, folder):
    database = folder / "shop.db"
    sqlite3.connect(database).execute("CREATE TABLE orders (id INTEGER)").connection.close()
    instances = "".join(
        f'[[instances]]\nid = "{number:08x}-0000-4000-8000-000000000000"\nname = "shop number {number}"\n'
        f'project_id = "project-a"\nengine = "sqlite"\nsource = {{ path = "{database}" }}\n'
        for number in range(1, INSTANCES + 1)
    )
    made = Server(program, folder, instances)
    assert made.stop() == 0
    catalog = sqlite3.connect(folder / "data/catalog.db")
    # Python's SQLite may be older than Coffer's, and reads JSON as text only.
    catalog.execute("PRAGMA ignore_check_constraints = ON")
    catalog.executescript(CATALOG.read_text())
    (location,) = catalog.execute("SELECT location FROM backups ORDER BY created DESC LIMIT 1").fetchone()
    catalog.close()
    # Where every archive is missing, the pages would say so first.
    archive = folder / "data/archives" / location
    archive.parent.mkdir(parents=True)
    archive.touch()
    made.start()
    return made


def run(program, axe, screenshots, first_paint_ms):
    with tempfile.TemporaryDirectory() as folder:
        browser = Browser(server(program, pathlib.Path(folder)), axe, screenshots)
        browser.sign_in()

        def pages_of_a_large_server(browser):
            for name, path in SCREENS:
                one_screen(browser, name, path, first_paint_ms)

        browser.run([pages_of_a_large_server, turning_pages])


def one_screen(browser, name, path, first_paint_ms):
    # Nothing of an earlier visit is there.
    browser.driver.execute_cdp_cmd("Network.setCacheDisabled", {"cacheDisabled": True})
    seen = []
    for _load in range(LOADS):
        browser.open(f"/console/{path}")
        seen.append(browser.until(lambda: browser.driver.execute_script(LOADED)))
    paint, sent, rows = min(it[0] for it in seen), max(it[1] for it in seen), max(it[2] for it in seen)
    print(f"  {name}: first paint {paint:.0f} ms, {sent} bytes, longest list {rows}")
    assert paint <= first_paint_ms, f"{name}: the first paint is after {paint:.0f} ms"
    # Less than the page alone would be a sign that nothing was counted.
    assert 4_000 < sent <= MOST_BYTES, f"{name}: {sent} bytes were sent"
    assert 1 < rows <= MOST_ROWS, f"{name}: a list has {rows} rows"
    if name in ("overview", "instance", "alerts"):
        browser.check(f"large-{name}")


def turning_pages(browser):
    """Every instance is reached by the links, and the last page is the last."""
    browser.open("/console/")
    names = set()
    while True:
        names |= set(browser.driver.execute_script(
            "return [...document.querySelectorAll('tbody th a')].map((it) => it.textContent)"
        ))
        following = browser.driver.execute_script(
            "return document.querySelector('nav[aria-label=\"Pages of instances\"] a[rel=next]')?.href"
        )
        if not following:
            break
        browser.driver.get(following)
    assert len(names) == INSTANCES, f"{len(names)} instances were reached"
