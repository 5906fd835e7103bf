//! `taizhang bundle`: for devices and offices without a network.

use std::path::Path;

use anyhow::Context;

use crate::{
    Server,
    audit::{self, Event},
    bundle,
};

/// Takes a bundle and writes its answer; `false` when something was not taken.
pub async fn answer(server: &Server, file: &Path, to: &Path) -> anyhow::Result<bool> {
    let bytes = std::fs::read(file).with_context(|| file.display().to_string())?;
    let answer = bundle::answer(server, &bytes).await.with_context(|| file.display().to_string())?;
    let unit = Some(answer.device.unit);
    audit::note_console(server, "taizhang", Event::BundleAnswered, unit, answer.detail()).await?;
    super::write_whole(to, &answer.bytes)?;
    println!(
        "{}（{}）：收下 taken {}，未接收 refused {}，增改单位 units {}，未收单位 units refused {}；回复包 answer in {}",
        answer.device.name,
        answer.device.owner,
        answer.taken,
        answer.refused,
        answer.units.changed,
        answer.units.refused.len(),
        to.display()
    );
    super::print_refused_units(&answer.units.refused);
    Ok(answer.refused == 0 && answer.units.refused.is_empty())
}
