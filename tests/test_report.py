"""The report in a real browser: Chromium, headless, of the system."""

import json
import os
import re
import shutil
import subprocess
import sys
from urllib.parse import unquote

import pytest
from conftest import CHECKOUT, DEMO, run_workflow, write_light, write_night

from lightmask import demo
from lightmask.bits import REASONS
from lightmask.night.summary import SUMMARY_COLUMNS
from lightmask.show import write_index

AXE = CHECKOUT / ".venv/axe/node_modules/axe-core/axe.min.js"
"""A library that finds what keeps people from using a page (`make .venv/axe/done`)."""
ATTACK = "</script><script>document.title='taken'</script><b>x"


@pytest.fixture(scope="module")
def browser():
    """Give Chromium, which is to fetch nothing from any network."""
    programs = [shutil.which("chromium"), shutil.which("chromedriver")]
    if None in programs:
        pytest.skip("chromium or chromedriver is not installed (Debian: chromium, chromium-driver)")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = programs[0]
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1600,1200"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(programs[1]))
    yield driver
    driver.quit()


def wait(browser, condition):
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(browser, 120).until(lambda _: condition())


def click(browser, xpath):
    wait(browser, lambda: browser.find_elements("xpath", xpath))[0].click()


def report(work, *arguments):
    """Make the report of a night that has been masked."""
    command = [sys.executable, "-m", "snakemake", "-s", CHECKOUT / "Snakefile", "--directory", work, *arguments]
    made = subprocess.run([*command, "--report", work / "report.html"], capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stdout + made.stderr
    return work / "report.html"


def open_report(browser, path):
    browser.get_log("performance")
    browser.get_log("browser")
    browser.get(path.as_uri())
    wait(browser, lambda: browser.find_elements("xpath", "//nav//*[text()='Frames']"))


def results_of(browser, category):
    """Open a category of the report, and give the buttons that show its results."""
    if browser.find_elements("xpath", "//a[text()='Results']"):
        click(browser, "//a[text()='Results']")
    click(browser, f"//nav//*[text()='{category}']")
    wait(browser, lambda: browser.find_elements("xpath", "//nav//table//tbody//a"))
    return browser.find_elements("xpath", "//nav//table//tbody//tr//a[1]")


def shown_picture(browser):
    """Return the picture on display once it is loaded."""
    script = """
        const shown = [...document.images].filter(i => i.src.startsWith("data:image/png") && i.complete);
        return shown.length ? [shown[0].naturalWidth, shown[0].src.length, shown[0].src.slice(-60)] : null;
    """
    return browser.execute_script(script)


@pytest.fixture(scope="module")
def demo_report(demo_results):
    return report(demo_results.parent, *DEMO)


def test_every_picture_loads_and_nothing_is_fetched(browser, demo_report, tmp_path):
    open_report(browser, demo_report)
    seen = set()
    for category, number in (("Frames", len(demo.LIGHTS)), ("Masks", 2)):
        count = len(results_of(browser, category))
        assert count == number
        for place in range(count):
            results_of(browser, category)[place].click()
            width, _, end = wait(browser, lambda: (p := shown_picture(browser)) and p[2] not in seen and p)
            seen.add(end)
            assert width > 900
    browser.save_screenshot(tmp_path / "report.png")
    requests = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    urls = [r["params"]["request"]["url"] for r in requests if r["method"] == "Network.requestWillBeSent"]
    assert urls
    assert {url.partition(":")[0] for url in urls} <= {"file", "data", "blob"}
    assert not [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]


def table(browser):
    rows = browser.find_elements("css selector", "tbody tr")
    return [[cell.text for cell in row.find_elements("css selector", "td")] for row in rows]


def test_the_table_sorts(browser, demo_report):
    open_report(browser, demo_report)
    results_of(browser, "Night")
    click(browser, "//nav//table//tr[td[text()='table']]//a[1]")
    wait(browser, lambda: browser.find_elements("tag name", "iframe"))
    browser.switch_to.frame(0)
    wait(browser, lambda: browser.find_elements("css selector", "th button"))
    heads = [button.text for button in browser.find_elements("css selector", "th button")]
    place = heads.index("COSMIC")
    before = [row[place] for row in table(browser)]
    assert len(before) == len(demo.LIGHTS)
    click(browser, "//button[text()='COSMIC']")
    assert [row[place] for row in table(browser)] == sorted(before, key=int) != before
    click(browser, "//button[text()='COSMIC']")
    assert [row[place] for row in table(browser)] == sorted(before, key=int, reverse=True)
    click(browser, "//button[text()='frame']")
    assert [row[0] for row in table(browser)] == sorted(demo.LIGHTS)
    browser.switch_to.default_content()


def test_the_workflow_graph_is_drawn(browser, demo_report):
    open_report(browser, demo_report)
    click(browser, "//nav//*[text()='Workflow']")
    drawn = "const drawn = document.querySelector('canvas'); return drawn ? drawn.width * drawn.height : 0"
    assert wait(browser, lambda: browser.execute_script(drawn)) > 10_000
    assert "mask_light" in browser.execute_script("return Object.keys(rules)")


def test_header_values_and_names_show_as_text(browser, tmp_path):
    night = tmp_path / "night"
    write_night(night)
    write_light(night / "bad<b>name.fits", seed=5, OBJECT="<script>alert(1)</script>", FILTER=ATTACK)
    write_light(night / "x<" / "script>y.fits", seed=6, OBJECT=ATTACK, INSTRUME=ATTACK)
    arguments = [
        "--config",
        f"frames={night}",
        f"unit_names={json.dumps({ATTACK: 'adu'})}",
    ]
    run = run_workflow(tmp_path / "work", *arguments)
    assert run.returncode == 0, run.output
    path = report(tmp_path / "work", *arguments)
    open_report(browser, path)
    assert browser.title == "Snakemake Report"
    for button in results_of(browser, "Frames"):
        button.click()
        wait(browser, lambda: shown_picture(browser))
    assert "‹/script>" in browser.find_element("tag name", "nav").text
    results_of(browser, "Night")
    click(browser, "//nav//table//tr[td[text()='table']]//a[1]")
    wait(browser, lambda: browser.find_elements("tag name", "iframe"))
    browser.switch_to.frame(0)
    wait(browser, lambda: browser.find_elements("css selector", "tbody tr"))
    text = browser.find_element("tag name", "tbody").text
    assert "<script>alert(1)</script>" in text and ATTACK in text
    assert browser.title == "Snakemake Report"
    browser.switch_to.default_content()


def test_a_night_with_a_broken_frame_has_a_report_too(tmp_path):
    write_night(tmp_path / "night")
    (tmp_path / "night/broken.fits").write_text("this is no FITS file")
    arguments = ["--config", f"frames={tmp_path / 'night'}"]
    assert run_workflow(tmp_path, *arguments).returncode != 0
    made = report(tmp_path, *arguments).read_text()
    assert "a.fits.png" in made and "broken.fits.png" not in made
    assert "this is n" in (tmp_path / "results/pictures/summary.html").read_text()


def open_index(browser, path, width=1366, height=768, scheme="light"):
    """Open the page of a night in a window of some size, or on a phone."""
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    scheme = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
    browser.get_log("performance")
    browser.get_log("browser")
    browser.get(path.as_uri())
    wait(browser, lambda: browser.execute_script("return document.readyState") == "complete")


def requested(browser):
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]


def test_the_page_of_a_night_shows_every_frame_and_fetches_nothing(browser, demo_results):
    open_index(browser, demo_results / "index.html")
    assert browser.find_element("css selector", ".night").text.startswith(f"{len(demo.LIGHTS)} LIGHT frames,")
    images = browser.find_elements("css selector", "img")
    assert len(images) == len(demo.LIGHTS) + 3  # and the night, and two masks
    for image in images:
        browser.execute_script("arguments[0].scrollIntoView()", image)
        wait(browser, lambda image=image: browser.execute_script("return arguments[0].naturalWidth", image) > 100)
    assert {url.partition(":")[0] for url in requested(browser)} == {"file"}
    assert not [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    for link in browser.find_elements("css selector", "a"):
        target = link.get_property("href")
        assert os.path.exists(unquote(target.partition("#")[0].removeprefix("file://"))), target


def test_the_page_in_one_file_shows_all_by_itself(browser, demo_results, tmp_path):
    work = demo_results.parent
    made = subprocess.run(
        [sys.executable, "-m", "lightmask.cli", "report", "-o", work, "--one-file"],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(CHECKOUT / "scripts")},
        check=True,
    )
    assert re.search(r"^look at .*/results/night.html \([0-9.]+ MB\)$", made.stdout, re.MULTILINE)
    shutil.move(demo_results / "night.html", tmp_path / "alone.html")
    open_index(browser, tmp_path / "alone.html")
    for image in browser.find_elements("css selector", "img"):
        browser.execute_script("arguments[0].scrollIntoView()", image)
        wait(browser, lambda image=image: browser.execute_script("return arguments[0].naturalWidth", image) > 100)
    assert {url.partition(":")[0] for url in requested(browser)} == {"file", "data"}
    assert not [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(1366, 768), (1440, 900), (390, 844)])
def test_nothing_of_the_page_is_cut_off(width, height, scheme, browser, demo_results, tmp_path):
    open_index(browser, demo_results / "index.html", width, height, scheme)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    cut = """
        const inside = e => e.closest(".scroll, pre, .name, td.long div") !== null;
        return [...document.querySelectorAll("main *, header *")].filter(e => !inside(e)
          && e.getClientRects().length && e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML);
    """
    assert browser.execute_script(cut) == []
    browser.save_screenshot(tmp_path / f"index_{width}_{scheme}.png")
    paper = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(255, 255, 255)") == (scheme == "light")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_can_be_used_by_all(scheme, browser, demo_results):
    if not AXE.exists():
        pytest.skip(f"no axe-core in {AXE.parent}: make .venv/axe/done")
    open_index(browser, demo_results / "index.html", scheme=scheme)
    browser.execute_script(AXE.read_text(encoding="utf-8"))
    found = browser.execute_async_script("const done = arguments[0]; axe.run().then(r => done(r.violations))")
    serious = {
        each["id"]: [node["html"] for node in each["nodes"]]
        for each in found
        if each["impact"] in ("serious", "critical")
    }
    assert serious == {}


def test_frames_are_chosen_and_the_table_sorts_by_keys(browser, demo_results):
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.ui import Select

    open_index(browser, demo_results / "index.html")

    def seen(selector):
        return [each for each in browser.find_elements("css selector", selector) if each.is_displayed()]

    count = browser.find_element("id", "count")
    Select(browser.find_element("name", "filter")).select_by_value("g")
    assert count.text == "3 of 6 frames" and len(seen(".sheet li")) == len(seen("tbody tr")) == 3
    browser.find_element("id", "name").send_keys("002", Keys.ENTER)
    assert count.text == "1 of 6 frames" and len(seen(".sheet li")) == 1
    Select(browser.find_element("name", "filter")).select_by_value("")
    assert count.text == "2 of 6 frames"
    browser.find_element("id", "name").send_keys(Keys.BACKSPACE * 3)
    Select(browser.find_element("name", "flag")).select_by_value("COSMIC")
    Select(browser.find_element("name", "state")).select_by_value("failed")
    assert count.text == "0 of 6 frames"
    Select(browser.find_element("name", "state")).select_by_value("")

    heads = browser.find_elements("css selector", "th button")
    place = [head.text for head in heads].index("cosmic rays")
    for expected in (False, True):
        heads[place].send_keys(Keys.ENTER)
        values = [int(row[place]) for row in table(browser)]
        assert values == sorted(values, reverse=expected) and len(set(values)) > 1


def test_a_thousand_frames_load_in_seconds_and_pictures_when_they_are_seen(browser, tmp_path):
    def row(number):
        name = f"night/frame {number:04}.fits"
        known = {"pixels": "16777216", "masked": "25000", "fraction": "0.0015", **dict.fromkeys(REASONS, "100")}
        known |= {
            "path": name,
            "masked_frame": name,
            "filter": "grizy"[number % 5],
            "exposure": "60",
            "events": str(number),
        }
        remark = (
            f"{name}: gain: auto finds no gain in the header; 1.{number} e- per count fits" if number % 3 == 0 else ""
        )
        return dict.fromkeys(SUMMARY_COLUMNS, "") | known | {"remark": remark}

    write_index([row(n) for n in range(1000)], tmp_path / "index.html", title="Masks", pictures=True, made={})
    open_index(browser, tmp_path / "index.html")
    timing = "const t = performance.getEntriesByType('navigation')[0]; return [t.duration, t.loadEventEnd]"
    took = wait(browser, lambda: (found := browser.execute_script(timing))[1] and found[0])
    assert took < 3000
    assert len(requested(browser)) < 200
    assert browser.find_element("id", "count").text == "1000 of 1000 frames"


def test_what_headers_hold_is_text_on_the_page_too(browser, tmp_path):
    name = f"x<{'/'}script>y.fits"
    known = {
        "path": name,
        "masked_frame": name,
        "pixels": "100",
        "fraction": "0",
        "masked": "0",
        **dict.fromkeys(REASONS, "0"),
    }
    row = (
        dict.fromkeys(SUMMARY_COLUMNS, "") | known | {"object": ATTACK, "filter": ATTACK, "remark": f"{name}: {ATTACK}"}
    )
    write_index([row], tmp_path / "index.html", title=ATTACK, pictures=True, made={ATTACK: ATTACK})
    open_index(browser, tmp_path / "index.html")
    assert browser.title == ATTACK
    assert ATTACK in browser.find_element("tag name", "tbody").text
    assert ATTACK in browser.find_element("css selector", ".wrong").text
    assert browser.find_element("id", "count").text == "1 of 1 frames"
