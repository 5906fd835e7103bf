// What a newcomer asks first, and the answers.

export type Bilingual = readonly [chinese: string, english: string];

export const HELP: readonly (readonly [question: Bilingual, answer: Bilingual])[] = [
  [
    ["没有信号能填吗？", "Can I work without a signal?"],
    [
      "能。填好点“保存”，内容就已存在本机；有信号时自动上传，也可以在“同步”里点“立即同步”。上面一行会写着还有几处待上传。",
      "Yes. What you save is on this phone at once, and is sent when there is a signal; “Sync now” sends it right away. The line at the top says how much is still to be sent.",
    ],
  ],
  [
    ["怎么知道上级收到了？", "How do I know that it has arrived?"],
    [
      "“待上传”变成“已全部上传”，并显示“服务器已确认”和时间，就是收到了。",
      "“To send” turns into “All sent”, with “Confirmed by the server” and the time.",
    ],
  ],
  [
    ["资料不全能先存吗？", "May I save what is incomplete?"],
    [
      "能。新记录可以存为草稿，草稿不计入报表；以后在列表里选“缺项”，补全后就算正式记录。只知道年或年月的日期，只填年或年月。",
      "Yes. A new record may be kept as a draft, which no return counts; “Incomplete” in the list finds it again. Of a date, the year or the month alone will do.",
    ],
  ],
  [
    ["填错了、删错了怎么办？", "What if I made a mistake?"],
    [
      "打开记录直接改正；删除的记录在“已删除”里可以恢复。每一格旁边的时钟可以看谁在什么时候填过什么。",
      "Open the record and put it right; a removed one can be restored from “Removed”. The clock beside a field shows who wrote what, and when.",
    ],
  ],
  [
    ["“冲突”是什么？", "What is a conflict?"],
    [
      "两个人都没有信号时改了同一格。两个内容都还在，谁的也没有丢；在“冲突”里点正确的那个，或写上正确的。",
      "Two people have changed the same field without a signal. Both values are kept; choose the right one under “Conflicts”, or type it.",
    ],
  ],
  [
    ["一直没有网络怎么上传？", "What if there is never a network?"],
    [
      "在“同步”里“出示二维码”，请有台账通的同事用“扫二维码”带走；或“导出数据包”，用微信、U盘交给乡镇。回复包扫回或导入后，就显示已确认。",
      "Under “Sync”, show your codes to a colleague who has Taizhang and takes them with “Scan codes”; or export a bundle and hand over the file. The answer, scanned or imported, confirms it.",
    ],
  ],
  [
    ["忘了密码怎么办？", "What if I forget the PIN?"],
    [
      "请管理员再给一个新的二维码，在打开时点“忘记密码”，扫码后设一个新密码。本机上的内容都在，没上传的也不会丢。",
      "Ask your administrator for a new code, choose “I forgot the PIN” when Taizhang asks for it, and scan the code. Then choose a new PIN. Everything on this phone stays, sent or not.",
    ],
  ],
  [
    ["换手机、丢手机怎么办？", "What if the phone is lost or replaced?"],
    [
      "请马上告诉管理员停用旧手机：旧手机一联网，里面的台账就会清除。新手机用新的二维码登记，已上传的内容会下载下来。",
      "Tell your administrator at once: a revoked phone erases its records as soon as it is online. Enrol the new phone with a new code; what was sent comes down to it.",
    ],
  ],
];
