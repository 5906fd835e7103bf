//! Every input that ever broke something, again: `tests/fuzz/crashes/{target}/`.

#[path = "../../fuzz/targets.rs"]
mod targets;

use anyhow::Result;

#[test]
fn what_once_broke_something_is_answered() -> Result<()> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/crashes");
    let mut replayed = 0;
    for (name, _) in targets::TARGETS {
        let Ok(entries) = std::fs::read_dir(folder.join(name)) else { continue };
        for entry in entries {
            targets::run(name, &std::fs::read(entry?.path())?);
            replayed += 1;
        }
    }
    assert!(replayed > 0, "the corpus is gone");
    Ok(())
}
