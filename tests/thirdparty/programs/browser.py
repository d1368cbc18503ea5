"""Drive Chromium over its DevTools protocol: ``browser.py CHROMIUM``."""

import asyncio
import sys

import websockets
from pyppeteer import launch


async def main(chromium: str) -> None:
    print(websockets.__file__, websockets.__version__)
    browser = await launch(
        executablePath=chromium,
        args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
        handleSIGINT=False,
        handleSIGTERM=False,
        handleSIGHUP=False,
    )
    page = await browser.newPage()
    await page.setContent("<title>a page</title><button id=b>press</button>")
    print(await page.title())
    pressed = asyncio.get_running_loop().create_future()
    await page.exposeFunction("pressed", lambda text: pressed.set_result(text))
    await page.evaluate(
        "() => { document.getElementById('b').onclick = () => pressed('it was') }"
    )
    await page.click("#b")
    print(await pressed)
    print(len(await page.evaluate("'ü'.repeat(3000000)")))
    pages = await asyncio.gather(*(browser.newPage() for _ in range(5)))
    print(await asyncio.gather(*(p.evaluate("1 + 1") for p in pages)))
    print((await page.screenshot())[1:4])
    await browser.close()
    print("closed")


asyncio.run(main(sys.argv[1]))
