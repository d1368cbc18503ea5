// Drive the chat page in Chromium: node chat.mjs EXECUTABLE URL
//
// Says "restart" when the server is to be restarted, goes on after a line of input,
// and ends with one line of JSON: what the pages showed.

import { createInterface } from "node:readline/promises";
import { chromium } from "playwright-core";

const [executablePath, url] = process.argv.slice(2);
const TIMEOUT = 10_000; // milliseconds
const SIZE = 1024 * 1024;

const browser = await chromium.launch({
  executablePath,
  headless: true,
  args: [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-proxy-server",
  ],
});
const problems = [];

async function open() {
  const page = await (await browser.newContext()).newPage();
  page.setDefaultTimeout(TIMEOUT);
  page.on("pageerror", (error) => problems.push(String(error)));
  await page.goto(url);
  await connected(page, 1);
  return page;
}

const connected = (page, times) =>
  page.waitForSelector(`#status.on[data-connections="${times}"]`);

async function say(page, text) {
  await page.fill("#text", text);
  await page.click("button");
}

async function shown(page, count) {
  await page.waitForFunction(
    (wanted) => document.querySelectorAll("#log li").length >= wanted, count);
  return page.$$eval("#log li", (items) => items.map((item) => item.textContent));
}

try {
  const ann = await open();
  const bob = await open();
  const content = Buffer.alloc(SIZE, Uint8Array.from({ length: 256 }, (_, i) => i));

  await say(ann, "from ann: ünïcode 🦆 日本語");
  await shown(bob, 1);
  await say(bob, "from bob: <b>no markup</b>");
  await shown(ann, 2);
  await ann.setInputFiles("#file", {
    name: "file", mimeType: "application/octet-stream", buffer: content });
  await ann.click("button");
  await shown(bob, 3);
  const intact = await bob.$eval("#log a", async (link) => {
    const bytes = new Uint8Array(await (await fetch(link.href)).arrayBuffer());
    return bytes.length === 1024 * 1024 && bytes.every((byte, i) => byte === i % 256);
  });

  console.log("restart");
  const input = createInterface({ input: process.stdin });
  await input[Symbol.asyncIterator]().next();
  input.close();
  await Promise.all([connected(ann, 2), connected(bob, 2)]);
  await say(bob, "back again");
  const lists = [await shown(ann, 4), await shown(bob, 4)];
  console.log(JSON.stringify({ lists, intact, problems }));
} finally {
  await browser.close();
}
