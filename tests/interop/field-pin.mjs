// A forgotten PIN in a real browser: a new code opens what is on the phone, sent or not; and what somebody finds who has a copy of
// the browser's files.
// node field-pin.mjs SERVER PARAMETERS: prints what it found as JSON.
import { readFileSync } from "node:fs";
import { asker, Line, looker, Phone, start } from "./phone.mjs";

const [server, file] = process.argv.slice(2);
const { cookie, cadres, shots, executable } = JSON.parse(readFileSync(file, "utf8"));

const found = { violations: [], errors: [] };
const line = await Line.between(server);
const api = asker(server, cookie);

const report = looker({ shots, prefix: "pin-", violations: found.violations, fullPage: true });

const code = async (cadre) => (await api("POST", "/api/devices/invitations", { person: cadres[cadre], name: "甲" })).code;
const browser = await start(executable);
const a = await Phone.make(browser, { name: "甲", origin: line.origin, api, report, errors: found.errors });
const NEW = "825613";

/** Types a code and a new PIN, and says that they are to open it. */
async function opens(typed) {
  if (typed !== undefined) await a.page.getByLabel("登记码").fill(typed);
  await a.page.getByLabel("设置密码").fill(NEW);
  await a.page.getByLabel("再输一次").fill(NEW);
  await a.button("用登记码打开").click();
}

/** Somebody writes a number without a signal. */
async function writes(number) {
  line.isCut = true;
  await a.member("李四");
  await a.field("联系电话").fill(number);
  await a.button("保存").click();
  await a.button("先保存").click();
  await a.sees("1 处待上传");
}

await a.enrol(cadres[0]);
await a.choosePin();
await a.button("登记").click();
await a.sees("A1党组织");
await a.sees("已全部上传");
// The code is used: whoever locks is asked for the PIN, without the app having been opened anew.
await a.tab("同步");
await a.button("锁定").click();
await a.unlock();
await a.sees("已全部上传");

// What stands in the browser's files for whoever tries PINs.
const vault = await a.page.evaluate(
  () =>
    new Promise((resolve) => {
      const opening = indexedDB.open("taizhang");
      opening.onsuccess = () => {
        const reading = opening.result.transaction("meta").objectStore("meta").get("vault");
        reading.onsuccess = () => {
          const { memory, rounds, secret } = reading.result;
          opening.result.close();
          resolve({ memory, rounds, hasSecret: secret !== undefined });
        };
      };
    }),
);
found.vault = vault;

await writes("13900001111");
await a.page.reload();
await a.button("忘记密码").click();
await a.sees("1 处还没有上传的内容会永远丢失");
await a.screen("forgotten");
// Without a signal, with somebody else's code, with one that nobody has given.
await opens(await code(0));
await a.sees("连不上服务器");
line.isCut = false;
const foreign = await code(1);
// With the keyboard open hardly half of the screen is left: what is wrong is seen there, in one language.
await a.page.setViewportSize({ width: 360, height: 340 });
await opens(foreign);
await a.sees("登记码不是给这部手机的使用人的");
found.foreign = await a.page.evaluate(() => {
  const fault = document.querySelector(".van-field__error-message");
  const { top, bottom } = fault.getBoundingClientRect();
  return { isSeen: top >= 0 && bottom <= innerHeight, isAtCode: document.activeElement.id === "code", isEnglish: /[a-z]{3}/.test(fault.textContent) };
});
await a.page.setViewportSize({ width: 360, height: 740 });
await a.screen("foreign");
await opens("FB6L-Q");
await a.sees("登记码应为16位，现在是5位");
await opens("NOBODYSCODENOBOD");
await a.sees("登记码不对、已用过或已过期");
// The link of the new QR code leads there by itself.
const own = await code(0);
line.isCut = true;
await a.turnOff();
await a.turnOn(`/#enrol=${own}`);
await a.button("用登记码打开").waitFor();
found.isCodeInAddress = a.page.url().includes("enrol");
line.isCut = false;
// The answer is lost on its way: the same code is good for the same phone once more.
await a.page.route("**/api/enrol/recovery", async (route) => {
  found.lost = (await route.fetch()).status();
  await route.abort();
});
await opens();
await a.sees("连不上服务器");
await a.page.unroute("**/api/enrol/recovery");
await a.page.route("**/sync/exchange", (route) => route.abort());
await opens();
await a.sees("1 处待上传");
found.isUnsentKept = true;
await a.page.unroute("**/sync/exchange");
await a.sync();
await a.member("李四");
found.number = await a.field("联系电话").inputValue();
await a.page.reload();
await a.unlock();
await a.sees("密码不对");
await a.unlock(NEW);
await a.tab("台账");
await a.sees("已全部上传");
found.isNewPin = true;

// A code opens once.
await a.page.reload();
await a.button("忘记密码").click();
await a.sees("本机没有待上传的内容");
await opens(own);
await a.sees("登记码不对、已用过或已过期");
await a.button("返回").click();
await a.unlock(NEW);
await a.sees("已全部上传");

// Whoever has nobody to ask may begin anew, and is told what that costs.
await writes("13900002222");
await a.page.reload();
await a.button("忘记密码").click();
await a.sees("1 处还没有上传的内容会永远丢失");
await a.button("清除本机，重新登记").click();
await a.answer("清除本机，重新登记");
await a.sees("将丢失，不能恢复");
await a.screen("start-over");
await a.answer("取消");
await a.button("清除本机，重新登记").click();
await a.answer("清除本机，重新登记");
await a.answer("仍然清除");
await a.sees("欢迎使用台账通");
line.isCut = false;
await a.enrol(cadres[0]);
await a.choosePin();
await a.button("登记").click();
await a.sees("A1党组织");
await a.member("李四");
found.anew = await a.field("联系电话").inputValue();

// Whoever has a phone that was revoked is told what to do with it.
for (const { id, is_revoked } of await api("GET", "/api/devices")) if (!is_revoked) await api("POST", `/api/devices/${id}/revoke`);
await a.page.route("**/sync/exchange", (route) => route.abort());
await a.page.reload();
await a.button("忘记密码").click();
await opens(await code(0));
await a.sees("记得密码的，点“返回”用密码打开并联网");
await a.screen("revoked");

await browser.close();
line.close();
console.log(JSON.stringify(found));
