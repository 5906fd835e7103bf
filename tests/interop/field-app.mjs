// The field app in a real browser, as two cadres use it: enrol, sync, work without a network, conflict, settle, update, be revoked.
// Between browser and server stands a line that can be cut, and that can bring a new version of the app.
// node field-app.mjs SERVER PARAMETERS: prints what it found as JSON.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { asker, Line, looker, Phone, start } from "./phone.mjs";

const [server, file] = process.argv.slice(2);
const parameters = JSON.parse(readFileSync(file, "utf8"));
const { cookie, cadres, secrets, shots, executable } = parameters;

const found = { screens: [], violations: [], errors: [] };
const line = await Line.between(server);
const { origin } = line;

const api = asker(server, cookie);

const browser = await start(executable);
const turnOn = (name) => Phone.make(browser, { name, origin, api, report, errors: found.errors });

const look = looker({ shots, violations: found.violations });

async function report(phone, name) {
  await look(phone, name);
  found.screens.push(name);
}

const a = await turnOn("甲");
await a.screen("welcome");
await a.page.getByLabel("设置密码").fill("123456");
await a.button("下一步").click();
await a.sees("太简单");
await a.enrol(cadres[0]);
await a.choosePin();
await a.screen("enrol");
found.isCodeInAddress = a.page.url().includes("enrol");
await a.page.getByRole("button", { name: "登记" }).click();
await a.sees("A1党组织");
await a.sees("已全部上传");
await a.screen("units");
await a.page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
await a.page.waitForFunction(() => navigator.serviceWorker.controller !== null || true);

// Days without a signal.
line.isCut = true;
await a.page.reload();
await a.screen("locked");
await a.unlock("000000");
await a.sees("密码不对");
await a.unlock();
await a.page.getByRole("link", { name: /A1党组织/ }).click();
await a.screen("ledgers");
await a.page.getByRole("link", { name: /党员花名册/ }).click();
await a.screen("rows");
await a.page.getByRole("link", { name: /张三/ }).click();
await a.screen("form");
await a.page.getByRole("textbox", { name: /^联系电话/ }).fill("13900");
await a.button("保存").click();
await a.sees("号码有误").catch(() => found.errors.push("a number that is none was taken"));
await a.page.getByRole("textbox", { name: /^联系电话/ }).fill("139 0000 2222");
await a.button("保存").click();
// What the ledger has never had is missing, which keeps nobody from putting right something else.
await a.sees("先保存，以后补全");
await a.screen("incomplete");
await a.button("先保存").click();
await a.sees("1 处待上传");
await a.button("待上传").click();
await a.page.getByRole("link", { name: /张三/ }).waitFor();
found.unsentRows = await a.page.getByRole("link").count();
await a.screen("saved");
await a.turnOff();
await a.turnOn();
await a.unlock();
await a.sees("1 处待上传");
found.isKeptOverDeath = true;
await a.tab("同步");
await a.sees("连不上服务器");
await a.screen("offline");
line.isCut = false;
await a.button("立即同步").click();
await a.sees("已全部上传");
await a.sees("服务器已确认");
await a.screen("sync");
await a.button("怎么用？").click();
await a.page.getByText("忘了密码怎么办？").click();
await a.sees("没上传的也不会丢");
await a.screen("help");
await a.page.getByRole("dialog").getByRole("button", { name: "返回" }).click();

// A record of one's own.
await a.tab("台账");
await a.page.getByRole("link", { name: /A1党组织/ }).click();
await a.page.getByRole("link", { name: /党员花名册/ }).click();
await a.button("新增").click();
await a.page.getByRole("textbox", { name: /^姓名/ }).fill("王小明");
await a.page.getByRole("combobox", { name: /^性别/ }).selectOption({ label: "男" });
await a.page.getByRole("textbox", { name: /^出生日期/ }).fill("1990年5月");
await a.button("保存").click();
await a.button("存为草稿").click();
await a.sees("王小明");
await a.tab("待办");
await a.sees("王小明");
await a.screen("tasks");
await a.sync();

// Two phones, one cell.
const b = await turnOn("乙");
await b.choosePin();
const { code, qr } = await api("POST", "/api/devices/invitations", { person: cadres[1], name: "乙" });
await b.hasCamera();
await b.button("用相机扫码").click();
await b.page.getByLabel("相机画面").waitFor();
await b.show("image/svg+xml", Buffer.from(qr));
await b.page.waitForFunction((text) => document.querySelector("#code").value === text, code);
await b.button("登记").click();
await b.sees("A1党组织");
await b.sees("已全部上传");
await b.member("王小明");
found.travelled = await b.page.getByRole("textbox", { name: /^出生日期/ }).inputValue();
line.isCut = true;
const anyway = async (phone) => {
  await phone.button("先保存").click();
  await phone.sees("1 处待上传");
};
for (const [phone, number] of [[a, "13900003333"], [b, "13900004444"]]) {
  await phone.member("李四");
  await phone.page.getByRole("textbox", { name: /^联系电话/ }).fill(number);
  await phone.button("保存").click();
  await anyway(phone);
}
line.isCut = false;
await a.sync();
await b.sync();
await b.tab("冲突");
await b.sees("13900003333");
await b.sees("13900004444");
await b.screen("conflicts");
// What is typed there is kept while somebody looks elsewhere, and goes when it is given up.
await b.button("填写正确内容").click();
await b.field("联系电话").fill("1390000");
await b.tab("待办");
await b.sees("没保存的内容");
await b.tab("冲突");
found.typedInConflict = await b.field("联系电话").inputValue();
await b.button("取消").click();
await b.button("填写正确内容").waitFor();
// The list leads to the field, and the field here.
await b.member("李四");
await b.page.getByRole("link", { name: "这一项有不同填写，去处理" }).waitFor();
found.isDisputedSeen = await b.field("联系电话").evaluate((field) => {
  const { top, bottom } = field.getBoundingClientRect();
  return top >= 0 && bottom <= innerHeight;
});
await b.screen("disputed");
await b.page.getByRole("link", { name: "这一项有不同填写，去处理" }).click();
await b.page.getByRole("button", { name: /13900003333/ }).click();
await b.sees("采用“13900003333”？");
await b.screen("settle");
await b.answer("取消");
await b.sees("13900004444");
await b.page.getByRole("button", { name: /13900003333/ }).click();
await b.answer("确定");
await b.sees("没有冲突");
await b.sync();
await a.sync();
await a.tab("冲突");
await a.sees("没有冲突");
await a.member("李四");
found.settled = await a.page.getByRole("textbox", { name: /^联系电话/ }).inputValue();
await a.page.getByRole("button", { name: "联系电话 修改历史" }).click();
await a.sees("13900004444");
await a.screen("history");
found.history = await a.page.locator(".versions li").count();
await a.page.getByRole("dialog").getByRole("button", { name: "返回" }).click();

// News come while a form is open: what both have typed stays, and somebody decides.
await a.page.getByRole("textbox", { name: /^联系电话/ }).fill("13900008888");
await b.member("李四");
await b.page.getByRole("textbox", { name: /^联系电话/ }).fill("13900009999");
await b.button("保存").click();
await anyway(b).catch(() => undefined);
await b.sync();
const news = a.page.waitForResponse("**/sync/exchange");
await a.page.evaluate(() => window.dispatchEvent(new Event("online")));
await news;
await a.page.waitForTimeout(500);
await a.button("保存").click();
await a.button("先保存").click();
await a.tab("冲突");
await a.sees("13900008888");
await a.sees("13900009999");
found.isOpenFormSafe = true;
await a.page.getByRole("button", { name: /13900008888/ }).click();
await a.answer("确定");
await a.sees("没有冲突");
await a.sync();
await a.member("李四");

// Without any network: a file goes to the county and its answer comes back.
line.isCut = true;
await a.page.getByRole("textbox", { name: /^联系电话/ }).fill("13900007777");
await a.button("保存").click();
await anyway(a);
await a.tab("同步");
const saved = a.page.waitForEvent("download");
await a.button("导出数据包").click();
const bundle = readFileSync(await (await saved).path());
await a.sees(`已导出“${(await saved).suggestedFilename()}”`);
await a.sees("请把它交给单位里有台账通的电脑");
const carried = { method: "POST", headers: { cookie, "content-type": "application/octet-stream" }, body: bundle };
const answer = await fetch(`${server}/api/bundles`, carried);
if (!answer.ok) throw new Error(`the bundle: ${answer.status} ${await answer.text()}`);
const reply = { name: "answer.tzb", mimeType: "application/octet-stream", buffer: Buffer.from(await answer.arrayBuffer()) };
const choosing = a.page.waitForEvent("filechooser");
await a.button("导入回复包").click();
await (await choosing).setFiles({ ...reply, buffer: reply.buffer.subarray(1) });
await a.sees("不是对本机所交数据包的回复");
for (const _ of [1, 2]) {
  const again = a.page.waitForEvent("filechooser");
  await a.button("导入回复包").click();
  await (await again).setFiles(reply);
  await a.sees("回复包已导入");
}
await a.sees("已全部上传");
await a.screen("bundle");
line.isCut = false;

// Nor a cable: a colleague with a signal takes it off the screen, and brings the answer back the same way.
await a.context.setOffline(true);
await a.member("李四");
await a.page.getByRole("textbox", { name: /^联系电话/ }).fill("13900001234");
await a.button("保存").click();
await anyway(a);
await a.tab("同步");
await a.button("扫二维码").click();
await a.sees("没有找到能用的相机");
await a.screen("no-camera");
await a.tab("同步");
await a.button("出示二维码").click();
await a.sees("第 1 张");
await a.screen("codes");
await b.tab("同步");
await b.button("扫二维码").click();
await b.sees("对着对方屏幕上的二维码");
await b.screen("scan");
await b.showsUntil(a, "已收下");
await b.sees("已上传，有回复");
await b.screen("carried");
await b.page.getByRole("link", { name: /收下/ }).click();
await b.sees("第 1 张");
await a.tab("同步");
await a.hasCamera();
await a.button("扫二维码").click();
await a.showsUntil(b, "回复包已导入：确认 1 处");
await a.sees("已全部上传");
await a.context.setOffline(false);
await b.button("不再保留").click();
await b.page.getByRole("link", { name: /收下/ }).waitFor({ state: "hidden" });
await b.sync();
await b.member("李四");
found.scanned = await b.page.getByRole("textbox", { name: /^联系电话/ }).inputValue();
await a.member("李四");
await a.page.getByRole("textbox", { name: /^联系电话/ }).fill("13900007777");
await a.button("保存").click();
await anyway(a);
await a.sync();
await b.sync();
await b.member("李四");
found.carried = await b.page.getByRole("textbox", { name: /^联系电话/ }).inputValue();
await a.member("李四");

// A photo is taken without a signal, and sent in parts over a line that breaks.
line.isCut = true;
const picture = await a.page.evaluate(() => {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 600;
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(600, 600);
  for (let at = 0; at < pixels.data.length; at += 1) pixels.data[at] = at % 4 === 3 ? 255 : Math.random() * 255;
  context.putImageData(pixels, 0, 0);
  return canvas.toDataURL("image/png").split(",")[1];
});
const takes = a.page.waitForEvent("filechooser");
await a.button("拍照或选照片").click();
await (await takes).setFiles({ name: "公示栏.png", mimeType: "image/png", buffer: Buffer.from(picture, "base64") });
await a.page.getByRole("img", { name: "照片 1" }).waitFor();
await a.screen("photo");
await a.turnOff();
await a.turnOn();
await a.unlock();
await a.sees("1 张照片待上传");
let parts = 0;
await a.page.route("**/attachments/**", (route) => {
  parts += 1;
  return parts === 3 ? route.abort() : route.continue();
});
line.isCut = false;
await a.tab("同步");
await a.button("立即同步").click();
await a.page.getByText("张照片待上传").waitFor({ state: "hidden" });
found.parts = parts;
await b.sync();
await b.member("李四");
await b.page.getByRole("img", { name: "照片 1" }).waitFor();
found.photoWidth = await b.page.getByRole("img", { name: "照片 1" }).evaluate((image) => image.decode().then(() => image.naturalWidth));
await a.page.unroute("**/attachments/**");
await a.member("李四");

// A new version of the app arrives while work is unsent.
line.isCut = true;
await a.page.getByRole("textbox", { name: /^联系电话/ }).fill("13900005555");
await a.button("保存").click();
await anyway(a);
line.version = "\n// the next version\n";
line.isCut = false;
// Only the app itself gets through: what is unsent stays unsent.
await a.page.route("**/sync/exchange", (route) => route.abort());
await a.page.evaluate(() => navigator.serviceWorker.getRegistration().then((known) => known.update()).then(() => undefined));
await a.sees("台账通有新版本");
await a.screen("update");
await a.button("更新").click();
await Promise.all([a.page.waitForEvent("load"), a.page.getByRole("button", { name: "更新" }).last().click()]);
await a.unlock();
await a.sees("1 处待上传");
found.isKeptOverUpdate = true;
await a.page.unroute("**/sync/exchange");
await a.sync();

// A second window does not write beside the first.
const first = a.page;
await a.turnOn();
await a.sees("台账通已在另一个窗口打开");
await a.screen("elsewhere");
await a.button("在这里使用").click();
await a.unlock();
await a.sees("A1党组织");
await first.getByText("台账通已在另一个窗口打开").waitFor();
await first.close();

// What is stored says nothing.
const stored = await a.stored();
found.storedValues = stored.values;
found.told = secrets.filter((secret) => stored.text.includes(secret));
const shown = await a.page.evaluate(() => document.body.innerText);
found.isControlSound = shown.includes("A1党组织");

// What is doubtful is said, and keeps nobody from saving.
await b.member("李四");
await b.page.getByRole("textbox", { name: /^转正/ }).fill("2001-12-01");
await b.button("保存").click();
await anyway(b);
await b.member("李四");
await b.sees("请核对");
await b.screen("doubts");
await b.sync();

// English.
await a.tab("同步");
await a.page.getByText("English").click();
await a.sees("Sync now");
await a.screen("english");
await a.page.getByText("简体中文").click();

// Revoked: its last work is handed over, and nothing is left.
const devices = await api("GET", "/api/devices");
line.isCut = true;
await a.member("张三");
await a.page.getByRole("textbox", { name: /^联系电话/ }).fill("13900006666");
await a.button("保存").click();
await anyway(a);
await a.member("李四");
await a.field("姓名").fill("李四改");
await a.page.waitForTimeout(700);
await a.tab("待办");
await a.answer("离开");
await a.sees("没保存的内容");
await api("POST", `/api/devices/${devices.find((device) => device.name === "甲").id}/revoke`);
line.isCut = false;
await a.tab("同步").catch(() => undefined);
await a.button("立即同步").click().catch(() => undefined);
await a.sees("本机已停用");
await a.screen("erased");
found.left = await a.page.evaluate(async () => {
  let left = 0;
  for (const { name } of await indexedDB.databases()) {
    const database = await new Promise((resolve) => {
      const request = indexedDB.open(name);
      request.onsuccess = () => resolve(request.result);
    });
    for (const store of database.objectStoreNames) {
      left += await new Promise((resolve) => {
        const request = database.transaction(store).objectStore(store).count();
        request.onsuccess = () => resolve(request.result);
      });
    }
    database.close();
  }
  return left;
});
found.held = (await api("GET", "/api/quarantine")).length;

// A browser that keeps nothing.
const c = await browser.newContext({ viewport: { width: 360, height: 740 } });
await c.addInitScript(() => {
  Object.defineProperty(window, "indexedDB", { value: { open: () => { throw new DOMException("refused", "SecurityError"); } } });
});
const refused = await c.newPage();
await refused.goto(origin);
await refused.getByText("浏览器不能保存数据").waitFor({ timeout: 20_000 });
await refused.screenshot({ path: join(shots, "no-room.png") });
found.isRefusalSaid = true;

await browser.close();
line.close();
console.log(JSON.stringify(found));
