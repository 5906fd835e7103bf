//! Reading workbooks in a process of its own: what a hostile file makes of a reader ends there.

use std::{
    io::{Read, Write},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use crate::{
    seal::{self, Examined, Key},
    workbook::{
        grid::Workbook,
        read::{ReadError, ReadLimits, read},
        transfer,
    },
};

/// Of a thread that gives way: it has a tenth of the processor beside one that wants all of it.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;
/// How the other process says that the file was refused; its sentence follows.
const REFUSED: u8 = 3;

/// Where workbooks are read.
#[derive(Debug, Clone)]
pub enum Isolation {
    /// In this process.
    None,
    /// In a process of its own.
    Process {
        /// A program and arguments that end in [`serve`].
        program: PathBuf,
        /// Its arguments.
        arguments: Vec<String>,
        /// How long it may take.
        time_max: Duration,
    },
}

/// What a process of its own does with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// Reads it.
    Read,
    /// Examines its seal.
    Examine,
    /// Examines its seal for somebody whom nobody knows: with little memory and time.
    ExamineForStranger,
}

impl Task {
    /// The task that arguments name.
    pub fn of(examine: bool, for_stranger: bool) -> Self {
        match (examine, for_stranger) {
            (_, true) => Task::ExamineForStranger,
            (true, _) => Task::Examine,
            _ => Task::Read,
        }
    }

    /// The argument by which the other process is told.
    const fn argument(self) -> Option<&'static str> {
        match self {
            Task::Read => None,
            Task::Examine => Some("--examine"),
            Task::ExamineForStranger => Some("--examine-for-stranger"),
        }
    }

    /// How much of a file it takes in.
    pub fn limits(self) -> ReadLimits {
        if self == Task::ExamineForStranger { ReadLimits::of_strangers() } else { ReadLimits::default() }
    }
}

/// Memory for a file of somebody whom nobody knows.
const STRANGER_MEMORY_MAX: u64 = 768 << 20;
/// Keys that are tried on a seal, the one in use first.
const KEYS_MAX: usize = 255;
/// Time for it.
const STRANGER_TIME_MAX: Duration = Duration::from_secs(10);

impl Isolation {
    /// Reads a workbook.
    pub fn read(&self, bytes: &[u8], limits: &ReadLimits) -> Result<Workbook, ReadError> {
        match self {
            Isolation::None => read(bytes, limits),
            Isolation::Process { .. } => {
                let answer = self.answer(bytes, Task::Read)?;
                transfer::read(&answer).map_err(|error| ReadError::Failed(error.to_string()))
            }
        }
    }

    /// Examines the seal of a workbook; nothing, if it bears none.
    pub fn examine(&self, bytes: &[u8], keys: &[Key], task: Task) -> Result<Option<Examined>, ReadError> {
        match self {
            Isolation::None => seal::examine(bytes, keys, &task.limits()),
            Isolation::Process { .. } => {
                // What is too large is not handed on.
                let limit = task.limits().file_bytes_max;
                if bytes.len() > limit {
                    return Err(ReadError::TooLarge { what: "字节 bytes", limit: limit as u64 });
                }
                // The keys go before the file.
                let keys = keys.get(..keys.len().min(KEYS_MAX)).unwrap_or_default();
                let mut question = vec![u8::try_from(keys.len()).unwrap_or_default()];
                question.extend(keys.iter().flat_map(|key| key.0));
                question.extend_from_slice(bytes);
                let answer = self.answer(&question, task)?;
                serde_json::from_slice(&answer).map_err(|error| ReadError::Failed(error.to_string()))
            }
        }
    }

    fn answer(&self, bytes: &[u8], task: Task) -> Result<Vec<u8>, ReadError> {
        let Isolation::Process { program, arguments, time_max } = self else {
            return Err(ReadError::Failed("no process".into()));
        };
        let child = Command::new(program)
            .args(arguments)
            .args(task.argument())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| ReadError::Failed(error.to_string()))?;
        let is_stranger = task == Task::ExamineForStranger;
        exchange(child, bytes, if is_stranger { STRANGER_TIME_MAX.min(*time_max) } else { *time_max })
    }
}

/// Sends the file, takes the answer, and ends a process that takes too long.
fn exchange(mut child: Child, bytes: &[u8], time_max: Duration) -> Result<Vec<u8>, ReadError> {
    let failed = |what: &dyn std::fmt::Display| ReadError::Failed(what.to_string());
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let (Some(mut stdin), Some(mut stdout)) = (stdin, stdout) else { return Err(failed(&"no pipe")) };
    let child = Arc::new(Mutex::new(child));
    let (done, waits) = mpsc::channel::<()>();
    let guarded = child.clone();
    let guard = std::thread::spawn(move || {
        let late = waits.recv_timeout(time_max) == Err(mpsc::RecvTimeoutError::Timeout);
        // A process that has ended by itself cannot be ended: nothing to do then.
        if late && let Ok(mut child) = guarded.lock() {
            drop(child.kill());
        }
        late
    });
    // It reads everything before it answers. Whether it took all of it, its answer says.
    drop(stdin.write_all(bytes));
    drop(stdin);
    let mut answer = Vec::new();
    let taken = stdout.read_to_end(&mut answer);
    drop(done);
    let late = guard.join().unwrap_or(false);
    let status = child.lock().map_err(|e| failed(&e))?.wait().map_err(|e| failed(&e))?;
    taken.map_err(|e| failed(&e))?;
    match status.code() {
        Some(0) => Ok(answer),
        Some(code) if code == i32::from(REFUSED) => {
            Err(ReadError::Refused(String::from_utf8_lossy(&answer).into_owned()))
        }
        _ if late => Err(failed(&format!("超过 {} 秒 took longer", time_max.as_secs()))),
        _ => Err(failed(&status)),
    }
}

/// The other process: reads a file from standard input under a limit of memory and answers on standard output.
/// Returns the exit code.
pub fn serve(memory_max: u64, task: Task) -> u8 {
    let is_stranger = task == Task::ExamineForStranger;
    let memory_max = if is_stranger { memory_max.min(STRANGER_MEMORY_MAX) } else { memory_max };
    if is_stranger {
        give_way();
    }
    // Where the system has no such limit, the limits on cells still hold.
    drop(rlimit::setrlimit(rlimit::Resource::AS, memory_max, memory_max));
    let mut bytes = Vec::new();
    let mut stdout = std::io::stdout().lock();
    let answered = match std::io::stdin().lock().read_to_end(&mut bytes) {
        Ok(_) if task != Task::Read => match examine(&bytes, task) {
            Ok(examined) => return u8::from(serde_json::to_writer(&mut stdout, &examined).is_err()),
            Err(error) => stdout.write_all(error.to_string().as_bytes()),
        },
        Ok(_) => match read(&bytes, &task.limits()) {
            Ok(workbook) => {
                let mut buffered = std::io::BufWriter::with_capacity(1 << 20, &mut stdout);
                let written = transfer::write(&workbook, minicbor::encode::write::Writer::new(&mut buffered));
                return u8::from(written.is_err() || buffered.flush().is_err());
            }
            Err(error) => stdout.write_all(error.to_string().as_bytes()),
        },
        Err(error) => Err(error),
    };
    if answered.is_ok() { REFUSED } else { 1 }
}

/// Lets everybody else have the processor before this thread, where the system can do so for one thread.
pub fn give_way() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::nice(NICENESS);
}

/// Examines a file behind the keys that may open its seal, and their number.
fn examine(bytes: &[u8], task: Task) -> Result<Option<Examined>, ReadError> {
    let split = bytes.split_first();
    let split = split.and_then(|(count, rest)| rest.split_at_checked(usize::from(*count) * seal::KEY_BYTES));
    let (keys, file) = split.ok_or_else(|| ReadError::Failed("no keys".into()))?;
    let (keys, _) = keys.as_chunks();
    let keys: Vec<Key> = keys.iter().copied().map(Key).collect();
    seal::examine(file, &keys, &task.limits())
}
