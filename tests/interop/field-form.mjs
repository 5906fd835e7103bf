// The forms of the field app in a real browser: what is added where something is already, and what is typed when the app is
// interrupted: loaded anew, killed, locked, updated.
// node field-form.mjs SERVER PARAMETERS: prints what it found as JSON; what went wrong stands there as a text.
import { spawn } from "node:child_process";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { asker, Line, looker, Phone, start } from "./phone.mjs";

const [server, file] = process.argv.slice(2);
const { cookie, cadres, shots, executable, profile } = JSON.parse(readFileSync(file, "utf8"));

const found = { violations: [], errors: [] };
const line = await Line.between(server);
const { origin } = line;
const api = asker(server, cookie);
const TIMEOUT = 30_000;

const report = looker({ shots, prefix: "form-", violations: found.violations });

/** Tries one thing: what it finds, or what went wrong. */
async function tells(what, work) {
  try {
    found[what] = await work();
  } catch (error) {
    found[what] = String(error.message ?? error).split("\n").slice(0, 4).join(" ");
    await a.page.screenshot({ path: join(shots, `form-failed-${what}.png`) }).catch(() => undefined);
    // Whatever is open there: the next one begins at the beginning.
    await a.page.reload();
    await a.unlock().catch(() => undefined);
    await a.sees("A1党组织").catch(() => undefined);
    for (let more = true; more; ) {
      await a.page.goto(`${origin}/#/tasks`);
      const draft = a.page.getByRole("link").filter({ hasText: /^(?!.*天).*:\d\d/ }).first();
      more = await draft.waitFor({ timeout: 1_000 }).then(() => draft.click()).then(() => a.button("丢弃").click()).then(() => a.answer("丢弃")).then(() => true, () => false);
    }
  }
}

const browser = await start(executable);
const settings = { origin, api, report, errors: found.errors };
const a = await Phone.make(browser, { name: "甲", ...settings });
const b = await Phone.make(browser, { name: "乙", ...settings });
for (const [at, phone] of [a, b].entries()) {
  await phone.enrol(cadres[at]);
  await phone.choosePin();
  await phone.page.getByRole("button", { name: "登记" }).click();
  await phone.sees("A1党组织");
  await phone.sees("已全部上传");
  phone.context.setDefaultTimeout(TIMEOUT);
}
await a.page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
// For the phone that is killed in the end: whoever invites is not signed in for long.
const { code } = await api("POST", "/api/devices/invitations", { person: cadres[0], name: "丙" });

/** Opens a list of the branch. */
async function list(phone, ledger) {
  await phone.page.goto(`${origin}/#/`);
  await phone.page.getByRole("link", { name: /A1党组织/ }).click();
  await phone.page.getByRole("link", { name: new RegExp(ledger) }).click();
  await phone.button("新增").waitFor();
}

/** Begins a record of a list: texts by their titles. */
async function begin(phone, ledger, texts, attended) {
  await list(phone, ledger);
  await phone.button("新增").click();
  for (const [title, text] of Object.entries(texts)) await phone.field(title).fill(text);
  if (attended !== undefined) await phone.page.getByRole("group", { name: /是否到课/ }).getByText(attended, { exact: true }).click();
}

const save = (phone) => phone.button("保存").click();
const attends = (name, attended, more = {}) => begin(a, "参训人员", { 培训班: "冬训班", 姓名: name, ...more }, attended);
const rows = (phone) => phone.page.locator("main").getByRole("link").allInnerTexts();
/** The lines of a list that name somebody, and what else they say. */
const of = async (phone, name) => (await rows(phone)).filter((text) => text.includes(name)).map((text) => text.split(/\s+/).join(" "));
const dialog = () => a.page.getByRole("dialog");
const saved = async (phone) => {
  await phone.sees("已保存在本机");
  await phone.button("新增").waitFor();
};

// Adding where something is.
await attends("何娟", "是");
await save(a);
await saved(a);

await tells("overExisting", async () => {
  await attends("何娟", "否", { 职务: "组长" });
  await save(a);
  await a.sees("已有这条记录：何娟");
  await a.screen("same");
  await a.answer("返回修改");
  const kept = await a.field("职务").inputValue();
  await save(a);
  await dialog().getByRole("radio", { name: /刚填的/ }).last().click();
  await a.answer("打开已有");
  await a.button("删除这条记录").waitFor();
  await a.screen("carried");
  await a.sees("已带入：职务、是否到课");
  const carried = await a.field("职务").inputValue();
  await save(a);
  await saved(a);
  return [kept, carried, ...(await of(a, "何娟"))];
});

await tells("overRemoved", async () => {
  await attends("张洋", "是");
  await save(a);
  await saved(a);
  await a.page.getByRole("link", { name: /张洋/ }).click();
  await a.button("删除这条记录").click();
  await a.answer("确定");
  await a.button("新增").waitFor();
  await attends("张洋", "否");
  await save(a);
  await a.sees("这条记录已删除：张洋");
  await a.screen("removed");
  await dialog().getByRole("radio", { name: /刚填的/ }).last().click();
  // What comes in meanwhile changes nothing of what was chosen.
  const news = a.page.waitForResponse("**/sync/exchange");
  await a.page.evaluate(() => window.dispatchEvent(new Event("online")));
  await news;
  await a.answer("恢复并打开");
  await a.button("删除这条记录").waitFor();
  await a.screen("brought-back");
  await save(a);
  await saved(a);
  return of(a, "张洋");
});

await tells("incompleteOver", async () => {
  await attends("赵刚", "是");
  await save(a);
  await saved(a);
  await attends("赵刚", undefined, { 备注: "请假" });
  await save(a);
  await a.sees("已有这条记录：赵刚");
  await a.answer("打开已有");
  await a.button("删除这条记录").waitFor();
  await save(a);
  await saved(a);
  return of(a, "赵刚");
});

await tells("duplicate", async () => {
  await begin(a, "党员花名册", { 姓名: "李四", 出生日期: "1980-03-15" });
  await save(a);
  await a.sees("可能是同一人：李四");
  await a.screen("likely");
  await a.answer("仍然新增");
  await a.answer("存为草稿");
  await saved(a);
  return (await of(a, "李四")).length;
});

await tells("keyChanged", async () => {
  await attends("何绢", "是");
  await save(a);
  await saved(a);
  await a.page.getByRole("link", { name: /何绢/ }).click();
  await a.field("姓名").fill("何娟");
  await save(a);
  await a.sees("已有这条记录：何娟");
  await a.screen("key-changed");
  await a.answer("打开已有");
  await a.button("删除这条记录").waitFor();
  await a.page.goto(`${origin}/#/tasks`);
  await a.sees("没保存的内容");
  await a.page.getByRole("link", { name: /参训人员/ }).first().click();
  await a.button("丢弃").click();
  await a.answer("丢弃");
  await list(a, "参训人员");
  return [(await of(a, "何娟")).length, (await of(a, "何绢")).length];
});

// Interrupted in the middle of typing.
const typing = async (phone, name) => {
  await begin(phone, "党员花名册", { 姓名: name, 出生日期: "1990-05-01" });
  // As somebody who stops for a moment.
  await phone.page.waitForTimeout(700);
};
const givenBack = async (phone) => {
  await phone.unlock();
  await phone.sees("上次没保存的内容");
  await phone.button("恢复").click();
  return phone.field("姓名").inputValue();
};
const discard = async (phone) => {
  await phone.field("姓名").fill("");
  await phone.field("出生日期").fill("");
  await list(phone, "党员花名册");
};

await tells("overReload", async () => {
  await typing(a, "王小明");
  await a.page.reload();
  await a.unlock();
  await a.sees("上次没保存的内容");
  await a.screen("offer");
  await a.page.goto(`${origin}/#/`);
  await a.sees("有 1 份没保存的内容");
  await a.screen("waiting");
  await a.page.getByRole("link", { name: /份没保存的内容/ }).click();
  await a.page.getByRole("link", { name: /王小明/ }).waitFor();
  await a.screen("tasks");
  const stored = await a.stored();
  if (stored.values < 10 || stored.text.includes("王小明") || stored.text.includes("1990-05-01")) return "readable by anybody";
  await a.page.getByRole("link", { name: /王小明/ }).click();
  await a.button("恢复").click();
  const name = await a.field("姓名").inputValue();
  await save(a);
  await a.answer("存为草稿");
  await saved(a);
  await a.page.goto(`${origin}/#/`);
  await a.sees("A1党组织");
  return [name, await a.page.getByText("没保存的内容").count()];
});

await tells("overLock", async () => {
  await typing(a, "王小红");
  await a.field("姓名").fill("王小花");
  // At once: what was typed a moment ago is sealed before the key goes.
  await a.isHidden(16);
  await a.page.getByLabel("密码").waitFor();
  const name = await givenBack(a);
  await discard(a);
  return name;
});

await tells("overLeaving", async () => {
  await typing(a, "王小兰");
  await a.tab("台账");
  await a.sees("下次打开这里时可以恢复");
  await a.screen("leave");
  await a.answer("离开");
  await a.sees("有 1 份没保存的内容");
  await list(a, "党员花名册");
  await a.button("新增").click();
  await a.button("先留着，另填一条").click();
  await a.field("姓名").fill("王小竹");
  await a.page.waitForTimeout(700);
  await a.page.reload();
  await a.unlock();
  await a.sees("王小兰");
  await a.sees("王小竹");
  const offers = await a.page.getByRole("button", { name: "恢复", exact: true }).count();
  for (const _ of [1, 2]) {
    await a.button("丢弃").click();
    await a.answer("丢弃");
  }
  await a.page.getByText("上次没保存的内容").first().waitFor({ state: "hidden" });
  return offers;
});

await tells("overUpdate", async () => {
  await typing(a, "王小强");
  line.version += "\n// the next version\n";
  await a.page.evaluate(() => navigator.serviceWorker.getRegistration().then((known) => known.update()).then(() => undefined));
  await a.page.getByText("台账通有新版本").waitFor({ timeout: 20_000 });
  await a.button("更新").click();
  await a.sees("还没保存的内容");
  await a.screen("update");
  await Promise.all([a.page.waitForEvent("load", { timeout: 20_000 }), a.answer("更新")]);
  const name = await givenBack(a);
  await discard(a);
  return name;
});

// The record has changed while what was typed waited.
await tells("movedMeanwhile", async () => {
  await a.sync();
  await b.sync();
  await a.member("张三");
  await a.field("联系电话").fill("13900001111");
  await a.page.waitForTimeout(700);
  await a.page.reload();
  await b.member("张三");
  await b.field("联系电话").fill("13900002222");
  await save(b);
  await b.answer("先保存");
  await saved(b);
  await b.sync();
  await a.unlock();
  await a.sync();
  await a.member("张三");
  const stands = await a.field("联系电话").inputValue();
  await a.button("恢复").click();
  await a.sees("您填写期间，别人改了：联系电话，现在是13900002222");
  await a.screen("moved");
  await save(a);
  await a.answer("先保存");
  await saved(a);
  await a.tab("冲突");
  await a.sees("13900001111");
  await a.sees("13900002222");
  await a.page.getByRole("button", { name: /13900001111/ }).click();
  await a.answer("确定");
  await a.sees("没有冲突");
  return stands;
});

// Two phones without a signal add the same person: one row, and what they disagree on is listed.
await tells("twoPhones", async () => {
  await a.sync();
  await b.sync();
  line.isCut = true;
  for (const [phone, number] of [[a, "13900003333"], [b, "13900004444"]]) {
    await begin(phone, "党员花名册", { 姓名: "孙同", 出生日期: "1985-06-07", 联系电话: number });
    await save(phone);
    await phone.answer("存为草稿");
    await saved(phone);
  }
  line.isCut = false;
  for (const phone of [a, b, a]) await phone.sync();
  await a.tab("冲突");
  await a.sees("13900003333");
  await a.sees("13900004444");
  await list(a, "党员花名册");
  return (await of(a, "孙同")).length;
});

// A photo that is refused is said, and a photo is not removed by one tap.
await tells("photo", async () => {
  await a.page.route("**/attachments/**", (route) => route.fulfill({ status: 413, json: { detail: "照片太大" } }));
  await a.member("张三");
  const picture = await a.page.screenshot();
  const takes = a.page.waitForEvent("filechooser");
  await a.button("拍照或选照片").click();
  await (await takes).setFiles({ name: "公示栏.png", mimeType: "image/png", buffer: picture });
  await a.page.getByRole("img", { name: "照片 1" }).waitFor();
  await a.tab("同步");
  await a.button("立即同步").click();
  await a.sees("服务器没有接收的照片");
  await a.screen("photo-refused");
  const problem = await a.page.getByText("服务器拒绝了本机").count();
  await a.page.unroute("**/attachments/**");
  await a.button("再试一次").click();
  await a.page.getByText("服务器没有接收的照片").waitFor({ state: "hidden" });
  await a.member("张三");
  await a.page.getByRole("button", { name: "移除这张照片" }).click();
  await a.screen("photo-remove");
  await a.answer("取消");
  const photos = await a.page.getByRole("img", { name: "照片 1" }).count();
  return [problem, photos];
});

await a.context.close();
await b.context.close();
await browser.close();

/** A browser of its own, with a profile that outlives it. */
async function own() {
  const port = join(profile, "DevToolsActivePort");
  const options = ["--no-sandbox", "--headless=new", "--remote-debugging-port=0", "--no-first-run", `--user-data-dir=${profile}`];
  const process = spawn(executable, [...options, "about:blank"], { stdio: "ignore", detached: true });
  const until = Date.now() + 20_000;
  while (!existsSync(port) && Date.now() < until) await new Promise((resolve) => setTimeout(resolve, 50));
  const [number] = readFileSync(port, "utf8").split("\n");
  const connected = await chromium.connectOverCDP(`http://127.0.0.1:${number}`);
  const phone = Object.assign(new Phone(), { name: "丙", ...settings, context: connected.contexts()[0] });
  phone.context.setDefaultTimeout(TIMEOUT);
  await phone.turnOn();
  await phone.page.setViewportSize({ width: 360, height: 740 });
  return { phone, process, port };
}

await (async () => {
  const first = await own();
  await first.phone.turnOff();
  await first.phone.turnOn(`/#enrol=${code}`);
  await first.phone.choosePin();
  await first.phone.page.getByRole("button", { name: "登记" }).click();
  await first.phone.page.getByText("已全部上传").first().waitFor({ timeout: 20_000 });
  await typing(first.phone, "王小军");
  const gone = new Promise((resolve) => first.process.once("exit", resolve));
  process.kill(-first.process.pid, "SIGKILL");
  await gone;
  rmSync(first.port, { force: true });
  for (const name of ["SingletonLock", "SingletonCookie", "SingletonSocket"]) rmSync(join(profile, name), { force: true });
  const second = await own();
  await second.phone.unlock();
  await second.phone.sees("有 1 份没保存的内容");
  await second.phone.page.getByRole("link", { name: /份没保存的内容/ }).click();
  await second.phone.page.getByRole("link", { name: /王小军/ }).click();
  await second.phone.button("恢复").click();
  found.overKill = await second.phone.field("姓名").inputValue();
  const ended = new Promise((resolve) => second.process.once("exit", resolve));
  process.kill(-second.process.pid, "SIGKILL");
  await ended;
})().catch((error) => {
  found.overKill ??= String(error.message ?? error).split("\n").slice(0, 4).join(" ");
});

line.close();
console.log(JSON.stringify(found));
process.exit(0);
