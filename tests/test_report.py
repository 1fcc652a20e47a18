"""The report in a real browser: Chromium, headless, of the system."""

import json
import shutil
import subprocess
import sys

import pytest
from conftest import CHECKOUT, DEMO, run_workflow, write_light, write_night

from lightmask import demo

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
