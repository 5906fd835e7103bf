//! Files that cannot be read are refused with a sentence that says what to do.

use importer::{ReadError, ReadLimits, read};

use crate::support::workbook;

#[test]
fn what_is_no_workbook_is_refused_in_words() {
    let xlsx = workbook(&[("s", "a|b", &[])]);
    let mut encrypted = vec![0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1];
    encrypted.resize(2048, 0);
    for (what, bytes, expected) in [
        ("nothing", vec![], "空文件"),
        ("some XML", b"<?xml version='1.0'?><list><item>1</item></list>".to_vec(), "XML 文件中没有工作表"),
        ("a PDF", b"%PDF-1.4 ...".to_vec(), "PDF 文件"),
        ("a program", b"MZ\x90\0\x03\0\0\0\x04".to_vec(), "文件头不符"),
        ("a workbook of Excel 4", b"\x09\x04\x06\0\0\0\x10\0\0\0".to_vec(), "Excel 2.0–4.0"),
        ("half a file", xlsx[..xlsx.len() / 2].to_vec(), "已损坏"),
        ("an empty container", encrypted, "已损坏"),
        ("a zip of something else", b"PK\x03\x04nothing of the kind".to_vec(), "已损坏"),
    ] {
        let error = read(&bytes, &ReadLimits::default()).expect_err(what).to_string();
        assert!(error.contains(expected), "{what}: {error}");
        assert!(error.contains(" | "), "in two languages: {error}");
    }
}

#[test]
fn limits_hold() {
    let bytes = workbook(&[("s", "a|b|c\nd|e|f", &[(0, 0, 0, 1)]), ("t", "a", &[])]);
    let limits = ReadLimits::default();
    for (limits, fits) in [
        (limits, true),
        (ReadLimits { cells_max: 6, ..limits }, true),
        (ReadLimits { cells_max: 5, ..limits }, false),
        (ReadLimits { sheets_max: 1, ..limits }, false),
        (ReadLimits { merges_max: 0, ..limits }, false),
        (ReadLimits { inflated_bytes_max: 1000, ..limits }, false),
        (ReadLimits { file_bytes_max: 10, ..limits }, false),
    ] {
        let read = read(&bytes, &limits);
        assert_eq!(read.is_ok(), fits, "{limits:?}");
        assert!(fits || matches!(read, Err(ReadError::TooLarge { .. })), "{limits:?}");
    }
}

#[test]
fn a_zip_bomb_is_refused_before_it_inflates() {
    use std::io::Write;
    let mut bomb = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
    bomb.start_file("xl/worksheets/sheet1.xml", options).expect("part");
    for _ in 0..64 {
        bomb.write_all(&vec![b' '; 1 << 20]).expect("written");
    }
    let bytes = bomb.finish().expect("finished").into_inner();
    assert!(bytes.len() < 1 << 20, "it is a bomb");
    assert!(matches!(read(&bytes, &ReadLimits::default()), Err(ReadError::Bomb)));
}
