//! Reading workbooks in a process of its own: what a hostile file makes of a reader ends there.

use std::{
    io::{Read, Write},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use crate::workbook::{
    grid::Workbook,
    read::{ReadError, ReadLimits, read},
    transfer,
};

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

impl Isolation {
    /// Reads a workbook.
    pub fn read(&self, bytes: &[u8], limits: &ReadLimits) -> Result<Workbook, ReadError> {
        match self {
            Isolation::None => read(bytes, limits),
            Isolation::Process { program, arguments, time_max } => {
                let child = Command::new(program)
                    .args(arguments)
                    .stdin(Stdio::piped())
                    .stdout(Stdio::piped())
                    .stderr(Stdio::null())
                    .spawn()
                    .map_err(|error| ReadError::Failed(error.to_string()))?;
                exchange(child, bytes, *time_max)
            }
        }
    }
}

/// Sends the file, takes the answer, and ends a process that takes too long.
fn exchange(mut child: Child, bytes: &[u8], time_max: Duration) -> Result<Workbook, ReadError> {
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
        Some(0) => transfer::read(&answer).map_err(|e| failed(&e)),
        Some(code) if code == i32::from(REFUSED) => {
            Err(ReadError::Refused(String::from_utf8_lossy(&answer).into_owned()))
        }
        _ if late => Err(failed(&format!("超过 {} 秒 took longer", time_max.as_secs()))),
        _ => Err(failed(&status)),
    }
}

/// The other process: reads a file from standard input under a limit of memory and answers on standard output.
/// Returns the exit code.
pub fn serve(memory_max: u64, limits: &ReadLimits) -> u8 {
    // Where the system has no such limit, the limits on cells still hold.
    drop(rlimit::setrlimit(rlimit::Resource::AS, memory_max, memory_max));
    let mut bytes = Vec::new();
    let mut stdout = std::io::stdout().lock();
    let answered = match std::io::stdin().lock().read_to_end(&mut bytes) {
        Ok(_) => match read(&bytes, limits) {
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
