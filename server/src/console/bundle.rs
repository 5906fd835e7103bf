//! `taizhang bundle` and `keys`: for devices and offices without a network.

use std::path::Path;

use anyhow::Context;
use serde_json::json;

use crate::{
    Server,
    audit::{self, Event},
    bundle,
};

/// Takes a bundle and writes its answer; `false` when something was not taken.
pub async fn answer(server: &Server, file: &Path, to: &Path) -> anyhow::Result<bool> {
    let bytes = std::fs::read(file).with_context(|| file.display().to_string())?;
    let answer = bundle::answer(server, &bytes).await.with_context(|| file.display().to_string())?;
    let detail = json!({ "device": answer.device.name, "taken": answer.taken, "refused": answer.refused });
    audit::note_console(server, "taizhang", Event::BundleAnswered, Some(answer.device.unit), detail).await?;
    super::write_whole(to, &answer.bytes)?;
    println!(
        "{}（{}）：收下 taken {}，未接收 refused {}，新单位 units {}；回复包 answer in {}",
        answer.device.name,
        answer.device.owner,
        answer.taken,
        answer.refused,
        answer.units,
        to.display()
    );
    Ok(answer.refused == 0)
}

/// The public keys that bundles for this installation are made with.
pub fn keys(server: &Server) {
    println!("{}", server.keys.public());
}
