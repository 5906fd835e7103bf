//! What each fuzz target does with its bytes. The test suite runs the same on every crash that was ever found.

use std::{io::Write, sync::LazyLock};

use importer::{
    Importer, Memory, ReadLimits, Register, UnitDocuments, Workbook, findings_book, review, rows,
    workbook::{
        biff, biff12,
        grid::{Cell, Merge, Sheet, Timestamp},
        ole, read, transfer,
    },
};
use sync_protocol::{
    Book, Document, Tenant, UnitId,
    bundle::{self, BundleReply, BundleRequest, Keys},
    catalogue::Catalogue,
    document::{GateLimits, admit},
    live,
    message::{self, ExchangeReply, ExchangeRequest},
    repo::{RepoSession, RepoTurn, Turned},
};

/// A target: its name and what it does.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 11] = [
    ("text", text),
    ("ods", ods),
    ("ole", ole_file),
    ("biff", biff_stream),
    ("biff12", biff12_sheet),
    ("transfer", transferred),
    ("tables", tables),
    ("exchange", exchange),
    ("repo", repo_frames),
    ("bundle", bundle_file),
    ("gate", gate),
];

/// Runs one of them.
pub fn run(name: &str, bytes: &[u8]) {
    let (_, target) = TARGETS.iter().find(|(known, _)| *known == name).expect("a target of this name");
    target(bytes);
}

static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(Catalogue::builtin);

const LIMITS: ReadLimits = ReadLimits {
    file_bytes_max: 1 << 20,
    inflated_bytes_max: 8 << 20,
    cells_max: 50_000,
    sheets_max: 50,
    merges_max: 1000,
};

/// CSV, SpreadsheetML 2003 and HTML: whatever the first bytes say.
pub fn text(bytes: &[u8]) {
    // Containers are other targets: their readers are other people's.
    if bytes.starts_with(b"PK") || bytes.starts_with(&[0xd0, 0xcf]) || bytes.starts_with(&[0x09]) {
        return;
    }
    if let Ok(workbook) = read::read(bytes, &LIMITS) {
        import(&workbook);
    }
}

/// The content of an .ods.
pub fn ods(content: &[u8]) {
    let parts = [("mimetype", b"application/vnd.oasis.opendocument.spreadsheet".as_slice()), ("content.xml", content)];
    if let Ok(workbook) = read::read(&zip(&parts), &LIMITS) {
        import(&workbook);
    }
}

/// A compound file as it comes.
pub fn ole_file(bytes: &[u8]) {
    drop(ole::check(bytes));
}

/// The stream of an .xls.
pub fn biff_stream(stream: &[u8]) {
    let Ok(mut file) = cfb::CompoundFile::create(std::io::Cursor::new(Vec::new())) else { return };
    let written = file.create_stream("/Workbook").and_then(|mut out| out.write_all(stream));
    if written.and_then(|()| file.flush()).is_ok() {
        drop(biff::check(&file.into_inner().into_inner(), &LIMITS));
    }
}

/// A sheet of an .xlsb.
pub fn biff12_sheet(sheet: &[u8]) {
    drop(biff12::check(&zip(&[("xl/worksheets/sheet1.bin", sheet)]), &LIMITS));
}

/// What the process that reads workbooks answers.
pub fn transferred(bytes: &[u8]) {
    if let Ok(workbook) = transfer::read(bytes) {
        import(&workbook);
    }
}

/// A grid of words that ledgers use.
pub fn tables(bytes: &[u8]) {
    import(&grid(bytes));
}

/// Both frames of the exchange.
pub fn exchange(bytes: &[u8]) {
    if let Ok(request) = message::decode::<ExchangeRequest>(bytes) {
        message::encode(&request);
    }
    if let Ok(reply) = message::decode::<ExchangeReply>(bytes) {
        message::encode(&reply);
    }
}

/// What an automerge-repo peer sends: frames one behind the other, each with its length in two bytes before it. The
/// documents that it opens are there.
pub fn repo_frames(mut bytes: &[u8]) {
    let mut session = RepoSession::new("server".into(), "store".into(), GateLimits::default());
    let mut document = Document::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<2>() {
        let (frame, rest) = rest.split_at(usize::from(u16::from_be_bytes(*length)).min(rest.len()));
        bytes = rest;
        if session.receive(frame, 0).is_err() {
            return;
        }
        while let Some(RepoTurn { document: id, state, message }) = session.next_turn() {
            let mut state = state.unwrap_or_default();
            for change in message.clone().map(|mut message| message.take_changes()).unwrap_or_default() {
                if let Ok(admitted) = admit(&change, Book::Unit, &CATALOGUE, &GateLimits::default()) {
                    drop(document.apply(vec![admitted]));
                }
            }
            if let Some(message) = message {
                document.receive_sync(&mut state, message).expect("noted");
            }
            let data = document.generate_sync(&mut state);
            session.turned(id, Turned::Here { state, data, is_progress: false });
        }
    }
}

/// A file that somebody brings: as it comes, and as the content of a bundle that is well signed and sealed.
pub fn bundle_file(bytes: &[u8]) {
    static KEYS: LazyLock<Keys> = LazyLock::new(|| Keys::of(b"fuzz"));
    assert!(bundle::open::<BundleRequest>(bytes, &KEYS).is_err(), "nobody guesses the key");
    if let Ok(request) = message::decode::<BundleRequest>(bytes) {
        let (sealed, _) = bundle::seal(&request, None, &KEYS, &KEYS.public()).expect("sealed");
        bundle::open::<BundleRequest>(&sealed, &KEYS).expect("opened");
    }
    drop(message::decode::<BundleReply>(bytes));
    drop(live::unpack(bytes, 1 << 20));
}

/// A change from outside: the first byte chooses the book.
pub fn gate(bytes: &[u8]) {
    let Some((first, change)) = bytes.split_first() else { return };
    let book = if first & 1 == 0 { Book::Unit } else { Book::UnitRestricted };
    if let Ok(admitted) = admit(change, book, &CATALOGUE, &GateLimits::default()) {
        let mut document = Document::new();
        if document.apply(vec![admitted]).is_ok() {
            let saved = document.save();
            assert_eq!(Document::load(Some(&saved), &[]).expect("its own").heads(), document.heads());
        }
    }
}

/// Everything that is done with a workbook that was read.
fn import(workbook: &Workbook) {
    static IMPORTER: LazyLock<Importer<'static>> = LazyLock::new(|| importer(&CATALOGUE));
    let decided = review::read(workbook, &CATALOGUE);
    let mut memory = Memory::default();
    decided.teach(&mut memory);
    let knowing;
    let importer = if decided.mappings.is_empty() && decided.decisions.is_empty() {
        &*IMPORTER
    } else {
        knowing = importer(&CATALOGUE).with_memory(&memory);
        &knowing
    };
    let (tables, mut findings) = importer.detect(workbook);
    let mut register = Register::default();
    importer.define_units(workbook, &tables, &mut register);
    findings.extend(importer.group(workbook, &tables, &register).findings);
    let all = rows::all_rows(&tables);
    let plan = importer.plan(workbook, &tables, &all, &UnitDocuments::none(county()));
    findings.extend(plan.findings);
    // Drawing takes much longer than everything else: now and then is enough.
    if findings.len() % 16 == 15 {
        // Its names may be no sheet names: that is an answer.
        drop(findings_book::findings_workbook(workbook, &tables, &CATALOGUE, &findings, &plan.doubts));
    }
}

fn county() -> UnitId {
    UnitId::derive(&Tenant::new("340099"), None, "340099")
}

fn importer(catalogue: &Catalogue) -> Importer<'_> {
    Importer::new(catalogue, Tenant::new("340099"), county(), 2012, None)
}

fn zip(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, bytes) in parts {
        archive.start_file(*name, stored).expect("part");
        archive.write_all(bytes).expect("written");
    }
    archive.finish().expect("finished").into_inner()
}

/// A sheet out of bytes: where the next cell stands, what it holds.
fn grid(bytes: &[u8]) -> Workbook {
    static WORDS: LazyLock<Vec<String>> = LazyLock::new(|| {
        let ledgers = CATALOGUE.ledgers().iter();
        let headers = ledgers.flat_map(|l| {
            let columns = l.columns.iter().flat_map(|c| std::iter::once(&c.title).chain(&c.aliases));
            std::iter::once(&l.title).chain(columns).cloned()
        });
        let own = ["合计", "同上", "列对应", "疑似重复", "同一记录", "填报单位：青山镇", "2012.3", "张三", "1.5万", ""];
        headers.chain(own.map(str::to_owned)).collect()
    });
    let mut workbook = Workbook::default();
    let mut sheet = Sheet::new("表", false);
    let (mut row, mut column) = (0u32, 0u16);
    for step in bytes.chunks_exact(4).take(4096) {
        let number = u16::from_le_bytes([step[2], step[3]]);
        match step[0] & 15 {
            0 => (row, column) = (row + 1 + u32::from(step[1] & 7), 0),
            1 => {
                let (height, width) = (u32::from(step[1] & 7), u32::from(step[1] >> 4));
                let left = u32::from(column);
                sheet.merges.push(Merge { top: row, left, bottom: row + height, right: left + width });
            }
            2 => {
                workbook.sheets.push(std::mem::replace(&mut sheet, Sheet::new(word(&WORDS, number), false)));
                (row, column) = (0, 0);
            }
            kind => {
                let cell = match kind {
                    3 => Cell::Number { value: f64::from(number) / 10.0, percent: step[1] & 1 == 1 },
                    4 => Cell::Date(Timestamp { year: number, month: step[1], day: step[1] >> 3, minutes: number }),
                    5 => Cell::Bool(step[1] & 1 == 1),
                    6 => Cell::Error,
                    _ => Cell::Text(workbook.texts.intern(word(&WORDS, number))),
                };
                sheet.push(row, column, cell);
                column = column.saturating_add(1 + u16::from(step[1] & 3));
            }
        }
    }
    workbook.sheets.push(sheet);
    workbook
}

fn word(words: &'static [String], number: u16) -> &'static str {
    &words[usize::from(number) % words.len()]
}
