"nbs/explore.ipynb: still under papermill, and in JupyterLab in a browser a slider changes the picture."
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import time

import pytest
from conftest import ROOT, papermill

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
SMALL = dict(most=60, protocol="smoke")


def test_pictures_stand_still_under_papermill(tmp_path, cache):
    r = papermill(tmp_path, notebook="explore", **SMALL)
    assert r.returncode == 0, r.stderr[-3000:]
    cells = json.loads((tmp_path/"out.ipynb").read_text())["cells"]
    assert sum("image/png" in o.get("data", {}) for c in cells for o in c.get("outputs", [])) == 3


def test_a_misspelt_parameter_gets_one_sentence(tmp_path, cache):
    r = papermill(tmp_path, notebook="explore", mots=60)
    assert r.returncode != 0 and "did you mean 'most'?" in r.stderr.strip().splitlines()[-1]


@contextlib.contextmanager
def jupyterlab(folder):
    "Its address."
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--port=0",
               "--IdentityProvider.token=", "--ServerApp.disable_check_xsrf=True", f"--ServerApp.root_dir={folder}"]
    log = folder/"lab.log"
    with open(log, "w") as f:
        server = subprocess.Popen(command, stdout=f, stderr=f, env=os.environ | dict(JUPYTER_CONFIG_DIR=str(folder)))
    try:
        for _ in range(600):
            if found := re.search(r"http://(?:localhost|127\.0\.0\.1):\d+", log.read_text()): break
            assert server.poll() is None, log.read_text()
            time.sleep(.2)
        yield found.group()
    finally:
        server.terminate()
        server.wait(30)


@contextlib.contextmanager
def chromium(folder):
    from selenium import webdriver
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for a in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1400,3000",
              f"--user-data-dir={folder/'chromium'}"):
        options.add_argument(a)
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    try: yield browser
    finally: browser.quit()


PROMPT, RUN = ".jp-Notebook .jp-InputPrompt", "//li[contains(@class, 'lm-MenuBar-item')][.//div[text()='Run']]"


@pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs chromium and chromedriver (Debian: chromium-driver)")
def test_in_a_browser_a_slider_changes_the_picture(tmp_path, cache):
    from selenium.common.exceptions import WebDriverException
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.ui import WebDriverWait
    nb = json.loads((ROOT/"nbs/explore.ipynb").read_text())
    for c in nb["cells"]:
        if "parameters" in c["metadata"].get("tags", []):
            c["source"] = "".join(c["source"]).replace("425", "60").replace("quick", "smoke")
    (tmp_path/"explore.ipynb").write_text(json.dumps(nb))
    with jupyterlab(tmp_path) as address, chromium(tmp_path) as browser:
        wait, soon, until = WebDriverWait(browser, 180), WebDriverWait(browser, 20), time.time() + 240
        browser.get(f"{address}/lab/tree/explore.ipynb")
        wait.until(lambda b: b.find_elements(By.CSS_SELECTOR, ".jp-Notebook .jp-CodeCell"))
        wait.until(lambda b: "Idle" in b.find_element(By.CSS_SELECTOR, ".jp-Notebook-ExecutionIndicator").get_attribute(
            "data-status").title())
        texts = f"return [...document.querySelectorAll('{PROMPT}')].map(p => p.textContent.trim())"
        begun = lambda b: {*b.execute_script(texts)} - {"", "[ ]:"}
        while not begun(browser):  # a click before the page is through is lost
            with contextlib.suppress(WebDriverException):
                browser.find_element(By.XPATH, RUN).click()
                soon.until(lambda b: b.find_elements(By.CSS_SELECTOR, "li[data-command='runmenu:run-all']"))[0].click()
                soon.until(begun)
            assert time.time() < until, "no cell has begun"
        sources = "return [...document.querySelectorAll('img.widget-image')].map(i => i.src)"
        images = lambda: browser.execute_script(sources)
        wait.until(lambda b: len(images()) == 3)
        sliders = browser.find_elements(By.CSS_SELECTOR, ".noUi-handle")
        before = images()
        sliders[0].send_keys(Keys.ARROW_RIGHT) # how strong the first panel's arm is
        wait.until(lambda b: images()[0] != before[0])
        assert images()[1:] == before[1:]
        browser.save_screenshot(str(tmp_path/"explore.png"))
