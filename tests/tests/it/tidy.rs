//! The rules of the house, as tests.

use std::path::{Path, PathBuf};

/// Lines of a source file, at most.
const LINES_MAX: usize = 500;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

/// Every file that git would carry, with its text.
fn files(extensions: &[&str]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("folder").flatten() {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            if path.is_dir() {
                if !matches!(name.as_str(), "target" | "node_modules" | ".git" | "demo" | "dist" | "generated")
                    || path.ends_with("src/demo")
                {
                    folders.push(path);
                }
            } else if extensions.iter().any(|extension| name.ends_with(&format!(".{extension}"))) {
                let relative = path.strip_prefix(root()).expect("inside").to_string_lossy().into_owned();
                found.push((relative, std::fs::read_to_string(&path).expect("text")));
            }
        }
    }
    assert!(!found.is_empty());
    found
}

/// Files that contain a word, outside the places where it belongs.
fn outside(word: &str, allowed: &[&str]) -> Vec<String> {
    files(&["rs"])
        .into_iter()
        .filter(|(path, text)| text.contains(word) && !allowed.iter().any(|place| path.starts_with(place)))
        .map(|(path, _)| path)
        .collect()
}

#[test]
fn each_library_has_one_room() {
    for (word, allowed) in [
        ("calamine::", &["importer/src/workbook/excel.rs", "tests/benches/", "tests/src/forge.rs"][..]),
        ("scraper::", &["importer/src/workbook/html.rs"]),
        ("csv::", &["importer/src/workbook/delimited.rs"]),
        ("quick_xml::", &["importer/src/workbook/"]),
        ("encoding_rs::", &["importer/src/workbook/sniff.rs", "importer/tests/", "server/src/demo/"]),
        ("rust_xlsxwriter::", &["importer/src/workbook/write.rs", "tests/benches/"]),
        ("automerge::", &["sync-protocol/src/document/", "sync-protocol/tests/", "tests/src/repo.rs"]),
        ("sqlx::", &["server/src/store/", "sync-protocol/src/client/", "tests/src/oracle/figures.rs"]),
        ("axum::", &["server/src/http/"]),
        ("ed25519_dalek::", &["sync-protocol/src/bundle.rs", "sync-protocol/src/bundle/"]),
        ("ct_merkle::", &["server/src/audit/tree.rs", "server/tests/it/witnesses.rs"]),
        ("argon2::", &["server/src/auth/password.rs"]),
        ("zxcvbn::", &["server/src/auth/password.rs"]),
        (
            "totp_rs::",
            &[
                "server/src/auth/sign_in.rs",
                "tests/tests/it/attacks_signin.rs",
                "tests/tests/it/people.rs",
                "server/tests/it/keys.rs",
            ],
        ),
        ("ipnet::", &["server/src/tls.rs"]),
        ("rustix::", &["server/src/console/mod.rs", "importer/src/isolate.rs"]),
        ("rcgen::", &["server/src/tls.rs"]),
        ("rustls::", &["server/src/tls.rs", "server/src/http/listen.rs", "sync-protocol/src/client/"]),
        ("bech32::", &["sync-protocol/src/bundle.rs"]),
        ("Timestamp::now", &["server/src/clock.rs"]),
        ("SystemTime::now", &[]),
        ("rand::rng(", &["server/src/clock.rs"]),
    ] {
        let mut elsewhere = outside(word, allowed);
        elsewhere.retain(|path| path != "tests/tests/it/tidy.rs");
        assert!(elsewhere.is_empty(), "`{word}` belongs into {allowed:?}, not {elsewhere:?}");
    }
}

#[test]
fn the_core_has_no_runtime_files_or_network() {
    let core = files(&["rs"]);
    let core = core
        .iter()
        .filter(|(path, _)| path.starts_with("sync-protocol/src/") && !path.starts_with("sync-protocol/src/client/"));
    for (path, text) in core {
        for word in ["tokio::", "std::fs", "std::net", "std::time::Instant", "reqwest::"] {
            assert!(!text.contains(word), "{path} names {word}");
        }
    }
}

#[test]
fn sql_stays_in_the_stores() {
    for (path, text) in files(&["rs"]) {
        // The oracle of the figures computes them its own way: SQL over plain rows.
        let may =
            ["server/src/store/", "sync-protocol/src/client/", "tests/src/oracle/figures.rs", "tests/tests/it/tidy.rs"];
        if may.iter().any(|place| path.starts_with(place)) {
            continue;
        }
        for word in ["SELECT ", "INSERT INTO ", "UPDATE ", "DELETE FROM "] {
            assert!(!text.contains(word), "{path} contains SQL: {word}");
        }
    }
}

#[test]
fn files_stay_small_and_finished() {
    for (path, text) in files(&["rs", "ts", "vue", "mjs"]) {
        let lines = text.lines().count();
        assert!(lines <= LINES_MAX, "{path} has {lines} lines, {LINES_MAX} at most");
        if path == "tests/tests/it/tidy.rs" {
            continue;
        }
        for word in ["todo!(", "unimplemented!(", "FIXME", "#[ignore", "#[allow(", "dbg!("] {
            assert!(!text.contains(word), "{path} contains {word}");
        }
        assert!(!text.contains('\t'), "{path} contains a tab");
    }
}

/// What the field app's folders may not name: documents and the exchange are pure, screens neither store nor sync.
#[test]
fn the_field_app_keeps_to_its_rooms() {
    let web = files(&["ts", "vue"]);
    let all = ["server/web/src/"];
    for (words, places, allowed) in [
        (&["@automerge/"][..], &all[..], &["server/web/src/document/automerge.ts", "server/web/src/main.ts"][..]),
        (&["\"idb\"", "indexedDB"], &all, &["server/web/src/store/database.ts"]),
        (&["fetch("], &all, &["server/web/src/device/transport.ts"]),
        (
            &["fetch(", "document.get", "navigator.", "localStorage", "setTimeout", "Date.now", "from \"vue\""],
            &["server/web/src/document/", "server/web/src/sync/", "server/web/src/catalogue/"],
            &[],
        ),
        (&["/store/", "/sync/"], &["server/web/src/views/"], &[]),
        (&["innerHTML", "v-html"], &all, &[]),
    ] {
        for (path, text) in &web {
            let is_there = places.iter().any(|place| path.starts_with(place)) && !allowed.contains(&path.as_str());
            for word in words.iter().filter(|_| is_there) {
                assert!(!text.contains(word), "{path} names {word}");
            }
        }
    }
}

#[test]
fn the_changelog_and_the_architecture_name_what_exists() {
    let architecture = std::fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    let is_path = |word: &&str| word.ends_with('/') || Path::new(word).extension().is_some_and(|e| e == "rs");
    for word in architecture.split('`').skip(1).step_by(2).filter(is_path) {
        assert!(root().join(word).exists(), "ARCHITECTURE.md names `{word}`, which does not exist");
    }
}

/// A fault that was found names the test that failed before it was mended, a threat the test that builds the attack.
#[test]
fn every_fault_and_every_threat_names_a_test_that_exists() {
    let mut rows = Vec::new();
    for file in ["docs/faults.md", "docs/threats.md"] {
        let text = std::fs::read_to_string(root().join(file)).expect("a table");
        // Behind its head and the line below it.
        let of_file = text.lines().filter(|line| line.starts_with('|')).skip(2).map(ToOwned::to_owned);
        let before = rows.len();
        rows.extend(of_file);
        assert!(rows.len() - before > 20, "{file}");
    }
    for row in &rows {
        let named: Vec<&str> = row.split('`').skip(1).step_by(2).filter(|word| word.contains("::")).collect();
        assert!(!named.is_empty(), "no test: {row}");
        for name in named {
            let (file, test) = name.split_once("::").expect("a file and a test");
            let source = std::fs::read_to_string(root().join(file)).unwrap_or_default();
            let is_there = source.contains(&format!("fn {test}(")) || source.contains(&format!("(\"{test}\","));
            assert!(is_there, "{file} has no test `{test}`: {row}");
        }
    }
}
