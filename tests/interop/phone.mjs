// A phone with the field app, in a real browser, and the line between it and the server.
import { mkdirSync, readFileSync } from "node:fs";
import http from "node:http";
import { createRequire } from "node:module";
import { join } from "node:path";
import { chromium } from "playwright-core";

export const PIN = "493817";

export function start(executable) {
  return chromium.launch({ executablePath: executable, args: ["--no-sandbox"] });
}

/** What looks at a screen: takes a picture of it, and has axe add to the violations. */
export function looker({ shots, prefix = "", violations, fullPage = false }) {
  const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
  mkdirSync(shots, { recursive: true });
  return async (phone, name) => {
    await phone.page.waitForTimeout(350);
    await phone.page.screenshot({ path: join(shots, `${prefix}${name}.png`), fullPage });
    // Not a script tag: the page's policy allows none.
    await phone.page.evaluate(axe);
    const found = await phone.page.evaluate(() => window.axe.run(document));
    for (const { id, nodes } of found.violations) for (const { html } of nodes) violations.push(`${name}: ${id} ${html.slice(0, 300)}`);
  };
}

/** Asks the server as somebody who has signed in. */
export function asker(server, cookie) {
  return async (method, path, body) => {
    const headers = { cookie, "content-type": "application/json" };
    const response = await fetch(`${server}${path}`, { method, headers, body: body && JSON.stringify(body) });
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return response.status === 204 ? undefined : response.json();
  };
}

/** A line that can be cut or slow, that loses requests, and that can bring a new version of the app. */
export class Line {
  isCut = false;
  /** What is added to the service worker: another text is another version. */
  version = "";
  /** Bytes a second each way, and milliseconds there and back; none, where the line is as fast as it goes. */
  speed = undefined;
  /** How many of a hundred requests are cut: half on their way there, half on the way back. */
  loss = 0;
  requests = 0;
  cuts = 0;
  bytes = 0;

  static async between(server) {
    const line = new Line();
    line.server = server;
    line.proxy = http.createServer((request, response) => void line.carry(request, response));
    await new Promise((resolve) => line.proxy.listen(0, "127.0.0.1", resolve));
    line.origin = `http://127.0.0.1:${line.proxy.address().port}`;
    return line;
  }

  async carry(request, response) {
    const parts = [];
    for await (const part of request) parts.push(part);
    const body = Buffer.concat(parts);
    this.requests += 1;
    this.bytes += body.length + JSON.stringify(request.headers).length;
    const isLost = this.draw() < this.loss;
    const isLostBack = isLost && this.draw() < 50;
    if (this.speed) await wait(this.speed.rtt + (body.length / this.speed.up) * 1000);
    if (this.isCut || (isLost && !isLostBack)) {
      this.cuts += 1;
      return request.socket.destroy();
    }
    const headers = { ...request.headers, host: new URL(this.server).host };
    const isWorker = request.url === "/sw.js";
    if (isWorker) delete headers["accept-encoding"];
    const forward = http.request(`${this.server}${request.url}`, { method: request.method, headers }, async (answer) => {
      const received = [];
      for await (const part of answer) received.push(part);
      const content = isWorker ? Buffer.from(Buffer.concat(received).toString() + this.version) : Buffer.concat(received);
      const { "content-length": _, "transfer-encoding": __, ...rest } = answer.headers;
      response.writeHead(answer.statusCode, { ...rest, "content-length": content.length });
      await this.send(response, content, isLostBack ? Math.floor((content.length * this.draw()) / 100) : content.length);
      if (!isLostBack) return response.end();
      this.cuts += 1;
      request.socket.destroy();
    });
    forward.on("error", () => request.socket.destroy());
    forward.end(body);
  }

  async send(response, content, length) {
    const step = 1400;
    for (let at = 0; at < length; at += step) {
      const part = content.subarray(at, Math.min(at + step, length));
      this.bytes += part.length;
      response.write(part);
      if (this.speed) await wait((part.length / this.speed.down) * 1000);
    }
  }

  /** A number below 100, the same ones every time. */
  draw() {
    this.state = ((this.state ?? 12345) * 1103515245 + 12345) % 2147483648;
    return (this.state / 2147483648) * 100;
  }

  /** What went over it since this was last asked. */
  taken() {
    const { requests, cuts, bytes } = this;
    [this.requests, this.cuts, this.bytes] = [0, 0, 0];
    return { requests, cuts, bytes };
  }

  close() {
    this.proxy.close();
    this.proxy.closeAllConnections();
  }
}

function wait(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

export class Phone {
  static async make(browser, { name, origin, api, report, errors }) {
    const phone = new Phone();
    Object.assign(phone, { name, origin, api, report, errors });
    phone.context = await browser.newContext({ viewport: { width: 360, height: 740 }, locale: "zh-CN" });
    phone.context.setDefaultTimeout(20_000);
    await phone.turnOn();
    return phone;
  }

  async turnOn(address = "/") {
    this.page = await this.context.newPage();
    this.page.on("pageerror", (error) => this.errors.push(`${this.name}: ${error.stack ?? error}`));
    this.page.on("console", (message) => {
      if (/Content Security Policy|violates/.test(message.text())) this.errors.push(`${this.name}: ${message.text()}`);
    });
    await this.page.goto(`${this.origin}${address}`);
  }

  async turnOff() {
    await this.page.close();
  }

  text(text) {
    return this.page.getByText(text).first();
  }

  button(name) {
    return this.page.getByRole("button", { name, exact: true }).first();
  }

  sees(text) {
    return this.text(text).waitFor();
  }

  screen(name) {
    return this.report(this, name);
  }

  /** From now on its camera sees what it is shown. */
  async hasCamera() {
    await this.page.evaluate(() => {
      const seen = Object.assign(document.createElement("canvas"), { width: 720, height: 1480 });
      const context = seen.getContext("2d");
      window.show = (address) => {
        const picture = new Image();
        picture.onload = () => {
          context.fillStyle = "#fff";
          context.fillRect(0, 0, seen.width, seen.height);
          context.drawImage(picture, 0, 0, seen.width, (seen.width * picture.naturalHeight) / picture.naturalWidth);
        };
        picture.src = address;
      };
      navigator.mediaDevices.getUserMedia = async () => seen.captureStream(15);
    });
  }

  /** Shows a picture to its camera. */
  async show(type, picture) {
    await this.page.evaluate((address) => window.show(address), `data:${type};base64,${picture.toString("base64")}`);
  }

  /** Holds its camera to another phone's screen until it says this. */
  async showsUntil(other, text) {
    for (let turn = 0; turn < 60; turn += 1) {
      await this.show("image/png", await other.page.screenshot());
      if (await this.text(text).waitFor({ timeout: 400 }).then(() => true, () => false)) return;
    }
    throw new Error(`${this.name}: never saw ${text}`);
  }

  async enrol(person) {
    const { code } = await this.api("POST", "/api/devices/invitations", { person, name: this.name });
    await this.turnOff();
    await this.turnOn(`/#enrol=${code}`);
  }

  async choosePin() {
    await this.page.getByLabel("设置密码").fill(PIN);
    await this.page.getByLabel("再输一次").fill(PIN);
    await this.button("下一步").click();
  }

  async unlock(pin = PIN) {
    await this.page.getByLabel("密码").fill(pin);
    await this.button("打开").click();
  }

  /** Opens a member's form from the list of units. */
  async member(name) {
    await this.tab("台账");
    await this.page.getByRole("link", { name: /A1党组织/ }).click();
    await this.page.getByRole("link", { name: /党员花名册/ }).click();
    await this.page.getByRole("link", { name: new RegExp(name) }).click();
  }

  async tab(name) {
    await this.page.getByRole("tab", { name: new RegExp(name) }).click();
  }

  /** Answers the dialog that is open. */
  async answer(name) {
    await this.page.getByRole("dialog").getByRole("button", { name, exact: true }).click();
  }

  field(name) {
    return this.page.getByRole("textbox", { name: new RegExp(`^${name}`) });
  }

  /** Lies in a pocket for so many minutes, and is taken out again. */
  async isHidden(minutes) {
    await this.page.evaluate((milliseconds) => {
      let isHidden = true;
      Object.defineProperty(document, "hidden", { configurable: true, get: () => isHidden });
      document.dispatchEvent(new Event("visibilitychange"));
      const now = Date.now;
      Date.now = () => now() + milliseconds;
      isHidden = false;
      document.dispatchEvent(new Event("visibilitychange"));
    }, minutes * 60_000);
  }

  /** All that the browser keeps of the app, as text, whatever it is: what can be read there anybody can read. */
  async stored() {
    return this.page.evaluate(async () => {
      const texts = [];
      const say = (value) => {
        if (value instanceof ArrayBuffer || ArrayBuffer.isView(value)) {
          const bytes = value instanceof ArrayBuffer ? new Uint8Array(value) : new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
          texts.push(new TextDecoder("utf-8").decode(bytes), new TextDecoder("utf-16le").decode(bytes));
        } else if (value !== null && typeof value === "object") {
          for (const [key, part] of Object.entries(value)) {
            texts.push(key);
            say(part);
          }
        } else texts.push(String(value));
      };
      let values = 0;
      for (const { name } of await indexedDB.databases()) {
        const database = await new Promise((resolve, reject) => {
          const request = indexedDB.open(name);
          request.onsuccess = () => resolve(request.result);
          request.onerror = () => reject(request.error);
        });
        for (const store of database.objectStoreNames) {
          const all = await new Promise((resolve, reject) => {
            const request = database.transaction(store).objectStore(store).getAll();
            request.onsuccess = () => resolve(request.result);
            request.onerror = () => reject(request.error);
          });
          values += all.length;
          all.forEach(say);
        }
        database.close();
      }
      for (let at = 0; at < localStorage.length; at += 1) texts.push(localStorage.key(at), localStorage.getItem(localStorage.key(at)));
      for (let at = 0; at < sessionStorage.length; at += 1) texts.push(sessionStorage.key(at), sessionStorage.getItem(sessionStorage.key(at)));
      for (const name of await caches.keys()) {
        for (const request of await (await caches.open(name)).keys()) texts.push(request.url);
      }
      return { text: texts.join("\n"), values };
    });
  }

  async sync() {
    await this.tab("同步");
    await this.button("立即同步").click();
    // While it syncs, the button has another name.
    await this.button("立即同步").waitFor();
    await this.sees("已全部上传");
  }
}
