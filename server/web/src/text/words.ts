// What the screens say: Chinese first, English as the second language.

import { ref } from "vue";

export type Language = "zh" | "en";

const KEY = "taizhang-language";

export const language = ref<Language>(localStorage.getItem(KEY) === "en" ? "en" : "zh");

export function choose(chosen: Language): void {
  language.value = chosen;
  localStorage.setItem(KEY, chosen);
  document.documentElement.lang = chosen === "zh" ? "zh-CN" : "en";
}

const WORDS = {
  app: ["台账通", "Taizhang"],
  loading: ["正在打开…", "Opening…"],
  back: ["返回", "Back"],
  cancel: ["取消", "Cancel"],
  confirm: ["确定", "OK"],
  save: ["保存", "Save"],
  search: ["搜索", "Search"],
  none: ["（未填）", "(empty)"],
  yes: ["是", "Yes"],
  no: ["否", "No"],
  nothing: ["没有内容", "Nothing here"],

  insecureTitle: ["这个地址不能离线使用", "This address cannot work offline"],
  insecureText: [
    "浏览器只允许加密的地址（https）保存数据。请用管理员给的 https 地址打开。",
    "The browser stores data only for encrypted addresses (https). Open the https address that your administrator gave you.",
  ],
  noRoomTitle: ["浏览器不能保存数据", "The browser keeps nothing"],
  noRoomText: [
    "可能是无痕模式，或手机空间已满。请退出无痕模式、清理空间后再打开；未保存的内容不会被当作已保存。",
    "Perhaps this is a private window, or the phone is full. Leave private browsing or make room, then open it again.",
  ],
  elsewhereTitle: ["台账通已在另一个窗口打开", "Open in another window"],
  elsewhereText: ["为防止两处同时修改，只能在一个窗口中使用。", "Only one window may write at a time."],
  useHere: ["在这里使用", "Use it here"],
  erasedTitle: ["本机已停用", "This device was revoked"],
  erasedText: [
    "上级已停用本机，本机上的台账已清除；您填写的内容已交给服务器，由上级处理。需要继续使用时，请向管理员要新的二维码。",
    "This device was revoked and its records were erased; what you had written was handed to the server. Ask your administrator for a new code to go on.",
  ],
  startAgain: ["重新登记", "Enrol again"],

  welcomeTitle: ["欢迎使用台账通", "Welcome to Taizhang"],
  welcomeText: [
    "没有信号也能填台账；有信号时自动上传。先为本机设一个密码，再用管理员给的二维码登记。",
    "Fill in ledgers without a signal; they are sent when there is one. Choose a PIN first, then enrol with the code from your administrator.",
  ],
  pinNew: ["设置密码（至少6位数字）", "Choose a PIN (6 digits or more)"],
  pinAgain: ["再输一次", "Once more"],
  pinHelp: [
    "打开台账通时要输这个密码，它只在本机有效。不要用生日、电话等别人猜得到的数字。",
    "You need it whenever you open Taizhang; it is only for this phone. Take no birthday or telephone number.",
  ],
  pinShort: ["密码至少6位数字", "At least 6 digits"],
  pinDiffers: ["两次输入不一样", "The two are not the same"],
  pinWeak: ["太简单，请不要用相同或连续的数字", "Too easy: not all the same, not in a row"],
  next: ["下一步", "Next"],
  pin: ["密码", "PIN"],
  pinWrong: ["密码不对，请再试", "Wrong PIN, try again"],
  pinWait: ["试得太多，请等 {0} 秒", "Too many attempts: wait {0} s"],
  unlock: ["打开", "Open"],
  forgotten: ["忘记密码", "I forgot the PIN"],
  forgottenText: [
    "请管理员再给您一个新的登记码（二维码），在有信号的地方扫码或输入，再设一个新密码。本机上的内容都在，没上传的也不会丢。",
    "Ask your administrator for a new code, scan or type it where there is a signal, and choose a new PIN. Everything on this phone stays, whether it was sent or not.",
  ],
  forgottenOpen: ["用登记码打开", "Open with the code"],
  forgottenNot: [
    "服务器给的钥匙打不开本机的内容。请告知管理员；实在不行，只能清除后重新登记。",
    "What the server gave back does not open this phone. Tell your administrator; if all else fails, erase it and enrol anew.",
  ],
  startOver: ["清除本机，重新登记", "Erase this phone and enrol anew"],
  startOverNone: [
    "也可以清除本机再登记：本机没有待上传的内容，已上传的会重新下载。",
    "Or erase this phone and enrol it anew: nothing here is unsent, and what was sent comes down again.",
  ],
  startOverLost: [
    "如果清除本机再登记，{0} 处还没有上传的内容会永远丢失。",
    "If you erase this phone and enrol it anew, {0} entries that were not sent are lost for good.",
  ],
  startOverSure: ["{0} 处没上传的内容将丢失，不能恢复。确定吗？", "{0} unsent entries are lost and cannot be brought back. Are you sure?"],
  startOverYes: ["仍然清除", "Erase it all the same"],
  enrolTitle: ["登记本机", "Enrol this phone"],
  enrolText: [
    "用手机相机扫管理员给的二维码，会自动填好；也可以手工输入登记码。",
    "Scan the code from your administrator with the camera of the phone, or type it in.",
  ],
  code: ["登记码", "Code"],
  enrol: ["登记", "Enrol"],
  enrolling: ["正在登记…", "Enrolling…"],
  enrolOffline: ["连不上服务器。请到有信号的地方再试，已输入的不会丢。", "The server cannot be reached. Try again where there is a signal."],
  codeLength: ["登记码应为{0}位，现在是{1}位", "A code has {0} characters; this one has {1}"],
  codeRevoked: [
    "本机已停用，登记码打不开。记得密码的，点“返回”用密码打开并联网，没上传的内容会交给服务器，由管理员处理；不记得的，只能清除本机重新登记，没上传的内容会丢失。",
    "This phone was revoked: no code opens it. If you remember the PIN, go back and open it with that where there is a signal: what was not sent goes to the server, for your administrator to look at. If not, it can only be erased and enrolled anew, and what was not sent is lost.",
  ],
  unexpected: ["程序原因，请告知管理员", "A technical reason: tell your administrator"],
  enrolUnknown: ["登记码不对、已用过或已过期，请向管理员要新的。", "The code is wrong, used or expired: ask for a new one."],
  help: ["怎么用？", "How does it work?"],
  camera: ["相机画面", "What the camera sees"],
  cameraRefused: [
    "台账通不能用相机。请在手机设置或浏览器的网站设置中允许使用相机，再打开这一页。",
    "Taizhang may not use the camera. Allow it in the settings of the phone or of this site, then open this page again.",
  ],
  cameraMissing: ["没有找到能用的相机", "No camera was found"],
  scanInvitation: ["用相机扫码", "Scan the code"],
  scanNoInvitation: ["这不是登记用的二维码，请向管理员要", "This is no enrolment code: ask your administrator for one"],

  firstSync: ["首次下载台账：已收到 {0} 份", "First download: {0} documents"],

  tabUnits: ["台账", "Ledgers"],
  tabTasks: ["待办", "Tasks"],
  tabConflicts: ["冲突", "Conflicts"],
  tabSync: ["同步", "Sync"],

  savedHere: ["已保存在本机", "Saved on this phone"],
  toSend: ["{0} 处待上传", "{0} to send"],
  allSent: ["已全部上传", "All sent"],
  lastSync: ["上次同步 {0}", "Last sync {0}"],
  neverSynced: ["还没有同步过", "Never synced"],
  syncing: ["正在同步…", "Syncing…"],
  syncNow: ["立即同步", "Sync now"],
  confirmed: ["服务器已确认 {0}", "Confirmed by the server {0}"],
  notConfirmed: ["服务器还没有确认过", "Not confirmed by the server yet"],
  problem_offline: ["连不上服务器，填写照常，有信号时自动上传", "No connection: go on, it is sent later"],
  problem_unavailable: [
    "服务器现在不能保存，您填的内容都在本机，会自动再试。请告知管理员：{0}",
    "The server cannot save now. What you have typed is on this phone and is sent again by itself. Tell the administrator: {0}",
  ],
  problem_refused: ["服务器拒绝了本机：{0}", "The server refused this phone: {0}"],
  problem_protocol: ["同步出错，内容都在本机，请更新台账通或联系管理员：{0}", "Sync failed; everything is on this phone. Update the app or ask your administrator: {0}"],
  problem_forged: ["回执不是本县服务器签发的，已忽略，请联系管理员", "A receipt that the county's server has not signed was ignored: tell your administrator"],
  "problem_no-room": ["手机空间不足，新内容没有保存，请清理空间", "No room on the phone: make some, new entries were not stored"],
  refusedTitle: ["服务器没有接收的修改", "Changes the server has not taken"],
  refusedHelp: ["内容还在本机。请看原因，必要时重新填写或联系乡镇。", "They are still on this phone. Read why; fill them in again or ask your township."],
  clock: ["手机时间快了 {0} 分钟，请在系统设置中校准", "The phone's clock is {0} minutes ahead"],
  clockBehind: ["手机时间慢了 {0} 分钟，请在系统设置中校准", "The phone's clock is {0} minutes behind"],
  notKept: [
    "浏览器没有答应长期保存：空间不足时可能被清除。请把台账通“添加到主屏幕”，并尽快同步。",
    "The browser has not promised to keep the data. Add Taizhang to the home screen, and sync soon.",
  ],
  unsentTitle: ["待上传的修改", "Changes to send"],
  language: ["语言 Language", "Language 语言"],
  changePin: ["修改密码", "Change the PIN"],
  pinOld: ["原密码", "Old PIN"],
  pinChanged: ["密码已修改", "The PIN was changed"],
  lock: ["锁定", "Lock"],
  me: ["使用人", "Carried by"],
  updateReady: ["台账通有新版本，未上传的内容不受影响", "A new version is ready; unsent work stays"],
  updateTyping: [
    "您有正在填、还没保存的内容。现在更新会重新打开台账通；没保存的内容会留在本机，输密码后可以恢复。也可以先保存，再更新。",
    "You are in the middle of a form. Updating opens Taizhang anew; what is not saved stays on this phone and is offered after the PIN. You can also save first.",
  ],
  update: ["更新", "Update"],
  noNetwork: ["没有网络时", "Without any network"],
  exportBundle: ["导出数据包", "Export a bundle"],
  exported: [
    "已导出“{0}”，在手机的“下载”里。请把它交给单位里有台账通的电脑（微信或U盘都行），处理后把回复包拿回来，在这里点“导入回复包”。在此之前，内容仍算待上传。",
    "“{0}” is in the downloads of this phone. Hand it to the computer of your office that runs Taizhang, by chat or USB stick, and import its answer here. Until then its content counts as not sent.",
  ],
  importBundle: ["导入回复包", "Import the answer"],
  codesShow: ["出示二维码", "Show codes"],
  codesOwn: ["待上传的内容", "What is to be sent"],
  codesOwnHelp: [
    "请有台账通的同事打开“同步”，点“扫二维码”，对着这里，直到提示已收下。内容已加密，对方看不到。照片不在其中。",
    "Ask a colleague to open “Sync” and “Scan codes”, and to hold the camera here until it says that all was taken. It is encrypted: they cannot read it. Photos are not in it.",
  ],
  codesAnswer: ["给对方的回复", "The answer for its sender"],
  codesAnswerHelp: [
    "请对方打开“同步”，点“扫二维码”，对着这里，就知道服务器已确认。",
    "Ask the sender to open “Sync” and “Scan codes”, and to hold the camera here: it confirms what they wrote.",
  ],
  codesTooMany: ["内容太多，二维码放不下，请用“导出数据包”", "Too much for codes: export a bundle instead"],
  codeOf: ["第 {0} 张，共 {1} 张", "Code {0} of {1}"],
  pause: ["停在这一张", "Stop at this one"],
  resume: ["继续轮换", "Go on"],
  scan: ["扫二维码", "Scan codes"],
  scanHelp: ["对着对方屏幕上的二维码，保持不动", "Hold the camera to the codes on the other screen"],
  scanForeign: ["这不是台账通数据包的二维码", "This is no code of a bundle"],
  scanParts: ["已读到 {0} 张，共 {1} 张", "Read {0} of {1}"],
  carriedTitle: ["替别人带的数据包", "Bundles of others"],
  carriedTaken: ["已收下，有网络时自动上传", "Taken: it is sent when there is a network"],
  carriedOf: ["{0} 收下", "Taken {0}"],
  carriedWaits: ["等网络上传", "Waits for a network"],
  carriedAnswered: ["已上传，有回复", "Sent, with an answer"],
  carriedFailed: ["没有被接收", "Not taken"],
  carriedRefused: ["服务器没有接收：{0}。请对方改用“导出数据包”。", "The server has not taken it: {0}. Ask the sender to export a bundle."],
  carriedDrop: ["不再保留", "Keep it no longer"],
  bundleHelp: [
    "内容不多时，可以出示二维码，请有台账通的同事扫走代传；也可以导出数据包，把文件用微信或U盘交给乡镇，再在这里导入回复包。都已加密，只有本县服务器能打开。",
    "A little goes as codes that a colleague scans and sends for you; or hand a file to your township, by chat or USB stick, and import its answer here. Only the county's server can open either.",
  ],
  bundleTaken: ["回复包已导入：确认 {0} 处", "Answer imported: {0} confirmed"],
  bundleForeign: [
    "不是对本机所交数据包的回复，或文件不完整、版本太旧。请重新导出数据包，交乡镇处理后再导入回复",
    "No answer to a bundle of this phone, not whole, or of an older version. Export a bundle anew, and import its answer",
  ],

  units: ["我的单位", "My units"],
  unitsEmpty: ["还没有下载到单位。请在有信号的地方点“同步”。", "No units yet: sync where there is a signal."],
  records: ["{0} 条", "{0} records"],
  missing: ["{0} 条缺项", "{0} incomplete"],
  add: ["新增", "Add"],
  all: ["全部", "All"],
  filterMissing: ["缺项", "Incomplete"],
  filterDue: ["到期", "Due"],
  filterUnsent: ["待上传", "Unsent"],
  filterRemoved: ["已删除", "Removed"],
  rowsEmpty: ["还没有记录", "No records yet"],
  readOnly: ["这种台账由上级填写，本机只能查看", "Kept by those above: read only here"],
  notHere: ["姓名等敏感内容不存手机，本机不能填写，请交专人", "What names its records is not kept on phones: hand it to whoever is in charge"],
  draft: ["草稿", "Draft"],
  removed: ["已删除", "Removed"],
  disputed: ["有冲突", "In dispute"],
  disputedHere: ["这一项有不同填写，去处理", "Several values: decide which one is right"],
  proposedOwn: ["您填的“{0}”须由上级决定，已作为建议上报，还没有采纳", "“{0}”, as you typed it, is not yours to decide: it was handed up as a proposal, and is not accepted so far"],
  proposed: ["“{0}”（{1}填）须由上级决定，已作为建议上报，还没有采纳", "“{0}”, typed by {1}, was handed up as a proposal, and is not accepted so far"],
  disputedMark: ["这条记录的状态有冲突，去处理", "The state of this record is in dispute: decide"],
  requiredMissing: ["必填项没有填", "Required"],
  incompleteTitle: ["还有 {0} 处没填好", "{0} not right yet"],
  incompleteText: ["可以先存为草稿，以后补全。草稿不计入报表。", "It can be kept as a draft, and completed later. Drafts are not counted."],
  incompleteKnown: ["可以先保存，以后补全。", "It can be saved now, and completed later."],
  doubts: ["请核对", "Please check"],
  doubtsTitle: ["有 {0} 处请核对", "{0} to be checked"],
  saveAnyway: ["先保存", "Save now"],
  saveDraft: ["存为草稿", "Keep as a draft"],
  goOn: ["继续填写", "Go on"],
  saved: ["已保存在本机", "Saved on this phone"],
  unchanged: ["没有改动", "Nothing changed"],
  notSaved: ["没有保存成功：{0}", "Not saved: {0}"],
  leaveTitle: ["改动还没有保存", "Not saved yet"],
  leaveText: [
    "要离开吗？没保存的内容会留在本机，下次打开这里时可以恢复。",
    "Leave? What was not saved stays on this phone, and is offered here again.",
  ],
  leave: ["离开", "Leave"],
  stay: ["留下", "Stay"],
  remove: ["删除这条记录", "Remove this record"],
  removeText: ["删除后可以在“已删除”中恢复。", "It can be restored from “Removed”."],
  removeTyped: [
    "这里还有没保存的改动，会一起丢弃。删除后可以在“已删除”中恢复原来的记录。",
    "What is not saved here goes with it. The record as it was can be restored from “Removed”.",
  ],
  restore: ["恢复这条记录", "Restore this record"],

  metSame: ["已有这条记录：{0}", "This record exists: {0}"],
  metRemoved: ["这条记录已删除：{0}", "This record was removed: {0}"],
  metPerson: ["可能是同一人：{0}", "Perhaps the same person: {0}"],
  metLikely: ["可能是同一条记录：{0}", "Perhaps the same record: {0}"],
  metHelp: ["还没有保存，已有的记录没有改动。", "Nothing was saved, and the record that exists is as it was."],
  metRemovedHelp: [
    "还没有保存。可以恢复这条记录，再把刚填的内容补进去。",
    "Nothing was saved. The record can be restored, and take what you have typed.",
  ],
  metEqual: ["刚填的内容，已有的记录里都有。", "The record says all that you have typed."],
  metDiffers: ["有 {0} 处不同，请选要留下的：", "{0} differ: choose what is to stand:"],
  metThere: ["已有", "There"],
  metTyped: ["刚填的", "Typed"],
  metOpen: ["打开已有", "Open that record"],
  metRestore: ["恢复并打开", "Restore and open it"],
  metNext: ["看下一条（第 {0} 条，共 {1} 条）", "Next ({0} of {1})"],
  metAdd: ["仍然新增", "Add it all the same"],
  metKeep: ["仍然保存", "Save it all the same"],
  metCarried: ["已带入：{0}。还没有保存，请核对后保存。", "Taken over: {0}. Not saved yet: check it, then save."],
  goBack: ["返回修改", "Back to the form"],

  draftOffer: ["上次没保存的内容", "Not saved last time"],
  draftRestore: ["恢复", "Give it back"],
  draftDiscard: ["丢弃", "Throw it away"],
  draftDiscardText: ["丢弃后不能恢复。", "It cannot be brought back."],
  draftAnother: ["先留着，另填一条", "Leave it, fill in another"],
  draftMoved: ["您填写期间，别人改了：{0}。保存后两种填写都会留下，列在“冲突”里。", "Others have changed meanwhile: {0}. Once saved both stay, under “Conflicts”."],
  draftMovedItem: ["{0}，现在是{1}", "{0}, now {1}"],
  draftUnkept: [
    "手机空间不足，正在填的内容还没有存下。请先清理空间，不要关闭台账通。",
    "No room on the phone: what you are typing is not stored. Make some before you close Taizhang.",
  ],
  draftsWait: ["有 {0} 份没保存的内容", "{0} not saved"],
  draftsLook: ["去看看", "Look"],
  draftsTitle: ["没保存的内容", "Not saved"],
  newRecord: ["新记录", "New record"],

  history: ["修改历史", "History"],
  historyEmpty: ["还没有人填过", "Nobody has filled it in"],
  cleared: ["（已清空）", "(cleared)"],
  photos: ["照片", "Photos"],
  photoAdd: ["拍照或选照片", "Take or choose a photo"],
  photoLater: ["先保存记录，再添加照片", "Save the record first, then add photos"],
  photoOf: ["照片 {0}", "Photo {0}"],
  photoAway: ["照片不在本机，有信号时可查看", "Not on this phone: to be seen where there is a signal"],
  photoBad: ["这个文件不是照片", "This is no picture"],
  photoRemove: ["移除这张照片", "Remove this photo"],
  photoRemoveText: ["移除后，这条记录里就看不到这张照片了。", "It will not be seen in this record any more."],
  photoRefused: ["服务器没有接收这张照片：{0}", "The server has not taken this photo: {0}"],
  photosRefused: ["{0} 张照片没有被接收", "{0} photos not taken"],
  photosRefusedTitle: ["服务器没有接收的照片", "Photos the server has not taken"],
  photosRefusedHelp: ["照片还在本机，其他内容照常上传。", "They are still on this phone; everything else is sent."],
  photoAgain: ["再试一次", "Try again"],
  photosToSend: ["{0} 张照片待上传", "{0} photos to send"],
  other: ["表中其他内容", "Other content"],
  rangeHint: ["{0} 到 {1} 之间", "Between {0} and {1}"],
  dateHint: ["年-月-日，只知道年或年月也可以", "Year-month-day; the year or month alone will do"],
  dateHintWhole: ["年-月-日，如 2012-03-15", "Year-month-day"],

  conflictsTitle: ["冲突：同一处有不同填写", "Conflicts: one cell, several values"],
  conflictsEmpty: ["没有冲突", "No conflicts"],
  conflictsHelp: ["请选一个正确的，或写上正确的内容。没有选中的会留在修改历史里。", "Choose the right one, or type it. The others stay in the history."],
  typeOther: ["填写正确内容", "Type the right value"],
  inForce: ["目前采用", "In force"],
  settled: ["已处理", "Settled"],
  settleTitle: ["采用“{0}”？", "Take “{0}”?"],
  settleText: ["{0}：采用“{1}”，不采用{2}。没有采用的留在修改历史里。", "{0}: “{1}” stands, {2} does not; it stays in the history."],
  settleOther: ["“{0}”（{1}）", "“{0}” ({1})"],
  stateOfRecord: ["记录状态", "State of the record"],
  removal: ["删除", "Removal"],
  notRemoved: ["没有删除", "Not removed"],

  tasksTitle: ["待办事项", "Tasks"],
  tasksEmpty: ["没有待办", "Nothing to do"],
  overdue: ["已超期 {0} 天", "{0} days overdue"],
  dueToday: ["今天到期", "Due today"],
  dueIn: ["还有 {0} 天", "Due in {0} days"],
  noDue: ["没有期限", "No deadline"],

  how_form: ["填写", "typed"],
  how_import: ["导入", "imported"],
  how_return: ["表格交回", "from a returned workbook"],
  how_resolve: ["处理冲突", "settled"],
  how_undo: ["撤销导入", "import undone"],
  how_keep: ["保持原值", "kept as it was"],
  how_carry: ["上年结转", "carried over from the year before"],
  yearShown: ["查看和填写的年度", "The year that is shown and filled in"],
  ofYear: ["{0}年度", "{0}"],
  yearSealed: ["已封存，只能查看", "sealed: to be looked at only"],
} as const satisfies Record<string, readonly [string, string]>;

export type Word = keyof typeof WORDS;

/** A text in the chosen language, `{0}` filled in. */
export function t(word: Word, ...values: (string | number)[]): string {
  const text: string = WORDS[word][language.value === "zh" ? 0 : 1];
  return values.reduce<string>((filled, value, at) => filled.replace(`{${at}}`, String(value)), text);
}

/** What the server has said, in this language: it says everything twice, Chinese first. What is in another one only is not shown. */
export function said(sentence: string): string {
  const [chinese = "", english] = sentence.split(" | ");
  if (language.value === "en" && english !== undefined) return english;
  const isChinese = /\p{Script=Han}/u.test(chinese);
  return chinese === "" || isChinese === (language.value === "zh") ? chinese : t("unexpected");
}

/** Date and time of an instant as this phone has it. */
export function when(milliseconds: number): string {
  const at = new Date(milliseconds);
  const two = (part: number) => String(part).padStart(2, "0");
  const time = `${two(at.getHours())}:${two(at.getMinutes())}`;
  const isToday = at.toDateString() === new Date().toDateString();
  return isToday ? time : `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${time}`;
}
