// What the field app costs over a slow line on which requests get lost: the app itself, the first sync, one edit, catching up.
// node slow-line.mjs SERVER PARAMETERS: prints JSON.
import { readFileSync } from "node:fs";
import { asker, Line, Phone, start } from "./phone.mjs";

const [server, file] = process.argv.slice(2);
const { cookie, cadres, executable, units } = JSON.parse(readFileSync(file, "utf8"));
/** 2G as WebPageTest has it: 280 and 256 kbit/s, 800 ms there and back. */
const SPEED = { down: 35_000, up: 32_000, rtt: 800 };

const api = asker(server, cookie);

const browser = await start(executable);
const found = [];

/** Edits a member of a unit; the form is saved when this returns. */
async function edit(phone, unit, number) {
  await phone.tab("台账");
  await phone.page.getByRole("link", { name: unit }).click();
  await phone.page.getByRole("link", { name: /党员花名册/ }).click();
  await phone.page.waitForURL(/\/members$/);
  await phone.page.locator('[role="link"]').first().click();
  await phone.page.waitForURL(/\/members\/.+/);
  await phone.page.getByRole("textbox", { name: /^联系电话/ }).fill(number);
  await phone.button("保存").click();
  // Back at the list, perhaps after a question about what is missing.
  const anyway = phone.page.getByRole("dialog").getByRole("button", { name: "先保存" });
  const isSaved = phone.page.waitForURL(/\/members$/);
  void anyway.click().catch(() => undefined);
  await isSaved;
}

for (const [index, loss] of [0, 30].entries()) {
  const line = await Line.between(server);
  const options = { origin: line.origin, api, report: () => undefined, errors: [] };
  const phone = await Phone.make(browser, { name: `慢${loss}`, ...options });
  phone.context.setDefaultTimeout(300_000);
  const other = await Phone.make(browser, { name: `快${loss}`, ...options, origin: server });
  await phone.page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
  const steps = { loss, app: line.taken() };
  const measure = async (name, work) => {
    line.taken();
    const begun = performance.now();
    await work();
    steps[name] = { seconds: (performance.now() - begun) / 1000, ...line.taken() };
  };
  await phone.enrol(cadres[index * 2]);
  await phone.choosePin();
  await other.enrol(cadres[index * 2 + 1]);
  await other.choosePin();
  await other.page.getByRole("button", { name: "登记" }).click();
  await other.sees("已全部上传");
  await other.sees("上次同步");
  line.speed = SPEED;
  line.loss = loss;
  const enrolment = phone.page.getByRole("button", { name: "登记" });
  await measure("first", async () => {
    await enrolment.click();
    // Where its answer got lost, the same code and token are sent again.
    for (let tries = 0; tries < 50 && (await enrolment.isVisible()); tries += 1) {
      await phone.page.waitForTimeout(500);
      if (await phone.page.getByText("连不上服务器").isVisible()) await enrolment.click().catch(() => undefined);
    }
    await phone.sees("上次同步");
  });
  steps.documents = units.length;
  steps.records = await phone.page.getByText(/^\d+ 条/).count();
  await phone.tab("同步");
  await phone.button("立即同步").waitFor();
  await measure("edit", async () => {
    await edit(phone, units[3], `139${index}0001111`);
    await phone.tab("同步");
    await phone.sees("已全部上传");
  });
  for (const unit of units.slice(0, 10)) await edit(other, unit, `139${index}000${2000 + units.indexOf(unit)}`);
  await other.tab("同步");
  await other.sees("已全部上传");
  await measure("catchUp", async () => {
    for (let tries = 0; tries < 50; tries += 1) {
      await phone.button("立即同步").click();
      await phone.button("立即同步").waitFor();
      if (!(await phone.page.getByText("连不上服务器").isVisible())) break;
    }
  });
  await measure("idle", async () => {
    for (let tries = 0; tries < 50; tries += 1) {
      await phone.button("立即同步").click();
      await phone.button("立即同步").waitFor();
      if (!(await phone.page.getByText("连不上服务器").isVisible())) break;
    }
  });
  // Nothing lost: what each has written is on the other, the disputed cell with both values.
  line.loss = 0;
  line.speed = undefined;
  await other.sync();
  await phone.sync();
  const texts = [];
  for (const one of [phone, other]) {
    await one.tab("冲突");
    await one.sees(`139${index}0001111`);
    await one.sees(`139${index}0002003`);
    await one.tab("台账");
    for (const unit of units.slice(0, 10)) {
      await one.page.getByRole("link", { name: unit }).click();
      await one.page.getByRole("link", { name: /党员花名册/ }).click();
      await one.page.waitForURL(/\/members$/);
      texts.push(await one.page.locator('[role="link"]').first().innerText());
      await one.tab("台账");
    }
  }
  steps.isSame = texts.slice(0, 10).join() === texts.slice(10).join();
  steps.errors = options.errors;
  found.push(steps);
  await phone.context.close();
  await other.context.close();
  line.close();
}
await browser.close();
console.log(JSON.stringify(found));
