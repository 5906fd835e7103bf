//! The JSON Schema that editors use says of every catalogue file what the loader says.

use std::path::Path;

use anyhow::Result;
use serde_json::{Map, Value};
use sync_protocol::catalogue::Catalogue;
use tests::node;

#[test]
fn the_schema_accepts_the_catalogue_and_refuses_mistakes() -> Result<()> {
    let mut files = Map::new();
    for source in Catalogue::builtin_sources() {
        let document: Value = toml::from_str(&source.text)?;
        files.insert(source.name, document);
    }
    let wrong = [
        (
            "no such type",
            "[[column]]\nkey = \"a\"\ntitle = \"a\"\ntype = \"txt\"\nrequired = \"optional\"\nsensitivity = \"S0\"",
        ),
        ("no such key", "[[measure]]\nid = \"a\"\ntitle = \"a\"\nledger = \"members\"\nwhen = \"x\""),
        (
            "two demands",
            "[[rule]]\nid = \"members.x\"\nweight = \"E\"\ncheck = \"a\"\nat_most = 1\ntext = \"a\"\ntext_en = \"a\"",
        ),
        ("a list without labels", "[[list]]\nid = \"a\"\ntitle = \"a\"\ncodes = [[\"a\"]]"),
    ];
    for (name, text) in wrong {
        files.insert(name.to_owned(), toml::from_str(text)?);
    }
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("files.json");
    std::fs::write(&path, serde_json::to_string(&files)?)?;
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/catalogue.schema.json").canonicalize()?;
    let errors = node::json("check-schema.mjs", &[&schema, &path])?;
    for (name, errors) in errors.as_object().expect("an object") {
        let is_wrong = wrong.iter().any(|(wrong, _)| wrong == name);
        assert_eq!(errors.as_array().is_some_and(|e| !e.is_empty()), is_wrong, "{name}: {errors}");
    }
    Ok(())
}
