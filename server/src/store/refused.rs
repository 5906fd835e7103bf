//! Why a database is not opened: one sentence each, on what happened and what to do.

/// A database that is not, or not any more, the one that is meant. Nothing was written to it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is none.
    #[error(
        "这里没有数据库；若是新县，请先运行 init；若数据在别处，请用 --data 或 --config 指明 | there is no database here: `init` makes a new one; if it is elsewhere, name the folder by --data or --config"
    )]
    Missing,
    /// There was one.
    #[error(
        "数据库文件不见了，而这里曾有数据库（旁边留有 high-water.json 或 -wal）；请从备份放回，不要新建 | the database is gone, and there was one here (its high-water.json or -wal is left): put it back from a backup, do not make a new one"
    )]
    Gone,
    /// Its file is empty.
    #[error(
        "数据库文件是空的（0 字节），内容已丢失；请从备份放回 | the database file is empty (0 bytes), what it held is lost: put it back from a backup"
    )]
    Empty,
    /// Its file is something else.
    #[error("这个文件不是数据库；请从备份放回 | this file is no database: put the right one back from a backup")]
    NotADatabase,
    /// A part of its file is missing.
    #[error(
        "数据库文件不完整，应有 {expected} 字节，只有 {found} 字节；请从备份放回 | the database file is cut off, {found} of {expected} bytes are there: put it back from a backup"
    )]
    Truncated {
        /// Bytes that it should have.
        expected: u64,
        /// Bytes that it has.
        found: u64,
    },
    /// Its pages contradict one another.
    #[error(
        "数据库文件已损坏（{0}）；请保留原文件，从备份放回 | the database file is damaged ({0}): keep it as it is, and put the one of a backup in its place"
    )]
    Malformed(String),
    /// It was copied without its log, or its log is lost.
    #[error(
        "数据库缺少日志文件（-wal）：多半是运行中只拷了 .sqlite 文件，或 -wal 被删；最近的修改不在其中。请放回 -wal 或完整的备份；若只能用它，运行 doctor --accept-older，手机里有的会自动补回 | the database lacks its log (-wal): it was copied alone while in use, or the log was deleted, and the latest changes are not in it. Put the log or a whole backup back; if this is all there is, run `doctor --accept-older`: devices bring back what they hold"
    )]
    WithoutLog,
    /// It lacks what was acknowledged.
    #[error(
        "数据库比已确认的内容旧：已确认到修改 {acknowledged} 号、审计 {acknowledged_audit} 号，库中只到 {found} 号、{found_audit} 号；多半是日志（-wal）丢失或放回了旧备份。请放回最新的完整数据；若只能用它，运行 doctor --accept-older，手机里有的会自动补回 | the database is older than what was acknowledged: change {acknowledged} and audit line {acknowledged_audit} were, it ends at {found} and {found_audit}; its log (-wal) was lost, or an older backup put back. Put the newest whole data back; if this is all there is, run `doctor --accept-older`: devices bring back what they hold"
    )]
    Older {
        /// The newest change that was acknowledged.
        acknowledged: i64,
        /// The newest line of the audit log that was written.
        acknowledged_audit: i64,
        /// The newest change that is there.
        found: i64,
        /// The newest line of the audit log that is there.
        found_audit: i64,
    },
    /// Its history is another than the one that was acknowledged.
    #[error(
        "数据库中修改 {0} 号与已确认的不符：或放回旧备份后又用过，或数据已损坏；请运行 doctor 查看；若只能用它，运行 doctor --accept-older | change {0} in the database is not the one that was acknowledged: an older backup was in use meanwhile, or it is damaged; see `doctor`; if this is all there is, run `doctor --accept-older`"
    )]
    Diverged(i64),
    /// Another one stood here.
    #[error(
        "这不是原来在这里的数据库（安装编号不同）；请放回原来的文件；若确要改用它，请先移走旁边的 high-water.json | this is not the database that was here (it is of another installation): put the right one back; if this one is really meant, move high-water.json beside it away first"
    )]
    OtherInstallation,
    /// It is of another county.
    #[error(
        "数据库属于区划代码 {stored} 的县，而配置中 county_code 是 {configured}；请改正配置（是否缺 --config？）或数据目录 | the database is of the county {stored}, and county_code is {configured}: correct the configuration (is --config missing?) or the data folder"
    )]
    OtherCounty {
        /// Whose it is.
        stored: String,
        /// What the configuration says.
        configured: String,
    },
    /// Making it was interrupted before it had a county.
    #[error(
        "数据库里没有县；若刚才新建时中断，请移走这个文件，再运行 init | there is no county in the database: if making it was interrupted, move the file away and run `init` again"
    )]
    NoCounty,
    /// The file of its keys is not there.
    #[error(
        "密钥文件 keys.json 不见了，没有它不能使用这个数据库；请把另存的一份放回数据目录，切勿新建：记录编号会变 | the file of its keys, keys.json, is not there, and the database is of no use without it: put the copy that was kept back into the data folder; new keys would change the ids of records"
    )]
    NoKeys,
    /// The keys are of another installation.
    #[error(
        "密钥文件 keys.json 不是这个数据库的；请放回原来的那一份 | keys.json is not of this database: put the right one back"
    )]
    OtherKeys,
    /// The keys are of before a rotation.
    #[error(
        "密钥文件 keys.json 早于最近一次更换密钥；请放回更换之后另存的那一份 | keys.json is of before the keys were rotated last: put back the copy that was kept since"
    )]
    OlderKeys,
    /// The file of the keys makes no sense.
    #[error(
        "密钥文件 keys.json 无法读取（{0}）；请把另存的一份放回数据目录 | keys.json cannot be read ({0}): put the copy that was kept back into the data folder"
    )]
    KeysUnreadable(String),
    /// The file of the keys of its restricted documents is not there.
    #[error(
        "敏感信息的密钥文件 document-keys.bin 不见了，没有它读不出身份证号等敏感信息；请把最新另存的一份放回数据目录（同时放回 successors 文件夹），切勿新建 | the file of the keys of restricted documents, document-keys.bin, is not there, and identity numbers and the like cannot be read without it: put the newest copy that was kept, and the folder successors with it, back into the data folder"
    )]
    NoDocumentKeys,
    /// They are of another database.
    #[error(
        "document-keys.bin 不是这个数据库的；请放回原来的那一份 | document-keys.bin is not of this database: put the right one back"
    )]
    OtherDocumentKeys,
    /// The file makes no sense.
    #[error(
        "document-keys.bin 无法读取；请把最新另存的一份放回数据目录 | document-keys.bin cannot be read: put the newest copy that was kept back into the data folder"
    )]
    DocumentKeysUnreadable,
    /// A newer program wrote it.
    #[error(
        "数据库由更新版本的程序写成（结构 {0}）；请使用新版程序 | a newer version of this program wrote the database (schema {0}): use that version"
    )]
    Newer(i64),
    /// A database is there already.
    #[error(
        "这里已有数据库，没有新建；请直接使用，或换一个数据目录 | there is a database here already, nothing was made: use it, or choose another folder"
    )]
    Exists,
    /// Its file was moved away, or another put in its place, while it was in use.
    #[error(
        "数据库文件在运行中被移走或替换，已停止保存；请停止服务，放回正确的文件，再启动 | the database file was moved away or replaced while in use, nothing more is saved: stop the server, put the right file back, start again"
    )]
    Replaced,
    /// A server runs on this folder.
    #[error(
        "已有服务在使用这个数据目录，没有启动第二个 | a server runs on this data folder already: a second one was not started"
    )]
    Served,
}
