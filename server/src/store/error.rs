//! What can go wrong below a store.

use super::{Refused, units::UnitFault};

/// What can go wrong below.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The database itself.
    #[error("database: {0}")]
    Database(String),
    /// No room is left on the disk.
    #[error(
        "磁盘已满，未能保存；请清理磁盘空间，之后会自动恢复，无需重启 | the disk is full, nothing was saved: free some space, and saving goes on by itself"
    )]
    Full,
    /// The disk did not do what it was asked to.
    #[error(
        "磁盘读写出错，未能保存；请检查磁盘空间、磁盘和权限 | the disk failed, nothing was saved: check its free space, the disk itself, and the permissions of the data folder"
    )]
    Disk(String),
    /// Somebody else has kept the database for longer than we wait.
    #[error(
        "数据库正被另一程序占用，未能保存，请稍后再试 | another program keeps the database busy, nothing was saved: try again"
    )]
    Busy,
    /// Stored bytes that cannot be what was stored.
    #[error("damaged record: {0}; run `taizhang doctor`")]
    Damaged(String),
    /// What is stored of a restricted document is sealed with a key that is not there.
    #[error(
        "敏感信息的密钥已不在 document-keys.bin 中，无法读取；请运行 taizhang doctor | the key of a restricted document is not in document-keys.bin, what is stored of it cannot be read: run `taizhang doctor`"
    )]
    KeyGone,
    /// The year is sealed: nothing is written to it any more.
    #[error(
        "{0}年度已封存，不能再修改；确需修改的，由系统管理员启封（taizhang period unseal {0}）后再办 | the year {0} is sealed, nothing was written: an administrator can take the seal off (`taizhang period unseal {0}`)"
    )]
    Sealed(String),
    /// The writer has stopped.
    #[error("the store is shutting down")]
    Closed,
    /// A unit would not fit into the tree; nothing was written.
    #[error(transparent)]
    Unit(#[from] UnitFault),
    /// It is not the database that is meant.
    #[error(transparent)]
    Refused(#[from] Refused),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        if matches!(error, sqlx::Error::PoolTimedOut) {
            return StoreError::Busy;
        }
        if matches!(error, sqlx::Error::PoolClosed) {
            return StoreError::Closed;
        }
        // The low byte of SQLite's extended code says what kind it is: 5 and 6 busy, 8 read-only, 10 input or output, 13 full.
        let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
        let code = code.and_then(|code| code.parse::<i32>().ok());
        // What is asked before each commit has said no: see `sqlite/guard.rs`.
        if code == Some(531) {
            return Refused::Replaced.into();
        }
        match code.map(|code| code & 0xff) {
            Some(5 | 6) => StoreError::Busy,
            Some(13) => StoreError::Full,
            Some(8 | 10 | 14) => StoreError::Disk(error.to_string()),
            _ => StoreError::Database(error.to_string()),
        }
    }
}

impl StoreError {
    /// Whether it cannot be written, or read, for now, for a reason outside of this program.
    pub fn is_outside(&self) -> bool {
        matches!(
            self,
            StoreError::Full | StoreError::Disk(_) | StoreError::Busy | StoreError::Refused(_) | StoreError::KeyGone
        )
    }
}
