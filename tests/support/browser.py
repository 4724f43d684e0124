"""A headless Chromium for tests of pages: found, never downloaded."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

MISSING = (
    "no Chromium with its driver is installed, so pages are not tested in a browser: run tools/chromium.sh, "
    "or set CHROMIUM and CHROMEDRIVER to their paths"
)
_FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-dev-shm-usage --disable-extensions --no-default-browser-check"
)


def _program(setting: str, *names: str) -> str:
    found = (shutil.which(name) for name in (os.environ.get(setting, ""), *names) if name)
    return next(filter(None, found), "")


class Browser:
    """One page at a time, in the window that a test asks for."""

    def __init__(self, driver: Any, place: Path) -> None:
        self.driver, self._file = driver, place / "page.html"

    def window(self, width: int = 1280, height: int = 900, *, dark: bool = False, media: str = "screen") -> None:
        """The size of the window, the scheme of colours and the medium."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": scheme})

    def show(self, page: str) -> None:
        """Load a page; what the one before has logged is forgotten."""
        self._file.write_text(page, encoding="utf-8")
        self.logged()
        self.requests()
        self.driver.get(self._file.as_uri())

    def run(self, script: str) -> Any:
        """The value of an expression in the page."""
        return self.driver.execute_script(f"return {script}")

    def press(self, *keys: str) -> None:
        """Type, as a user does, to whatever has the focus."""
        from selenium.webdriver import ActionChains

        ActionChains(self.driver).send_keys(*keys).perform()

    def click(self, selector: str) -> None:
        """Click on the first element with this selector."""
        self.driver.find_element("css selector", selector).click()

    def logged(self) -> list[str]:
        """What the console has got since it was last asked: errors, and what the policy has refused."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """The addresses that were asked for since the last time, but for the page."""
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        sent = [one["params"]["request"]["url"] for one in messages if one["method"] == "Network.requestWillBeSent"]
        return [url for url in sent if url.partition("#")[0] != self._file.as_uri()]


@contextmanager
def opened(place: Path) -> Iterator[Browser]:
    """A browser with an empty profile in ``place``; skips the test with a sentence where there is none."""
    chromium = _program("CHROMIUM", "chromium", "chromium-browser", "google-chrome", "chrome")
    driver = _program("CHROMEDRIVER", "chromedriver", "chromium.chromedriver")
    if not (chromium and driver):
        pytest.skip(MISSING)
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*_FLAGS.split(), f"--user-data-dir={place / 'profile'}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    running = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        yield Browser(running, place)
    finally:
        running.quit()
