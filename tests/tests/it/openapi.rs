//! The server against its own OpenAPI document: schemathesis (PyPI) sends what the document allows and what it does not.

use std::{path::Path, process::Command};

use anyhow::{Result, ensure};
use server::auth::Role;
use tests::{county, people, process::program};

#[tokio::test(flavor = "multi_thread")]
async fn no_request_makes_the_server_fail_or_answer_what_is_not_written_down() -> Result<()> {
    let Some(schemathesis) = program("schemathesis")? else { return Ok(()) };
    let (folder, server) = county::with_branches(2).await?;
    let url = county::serve(&server).await?;
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../server/openapi.json").canonicalize()?;
    let mut runs = Vec::new();
    for (name, role, is_handler) in [
        ("boss", Role::Administrator, false),
        ("handler", Role::OfficeClerk, true),
        ("officer", Role::TownshipOfficer, false),
    ] {
        let person = people::add(&server, name, role, server.county, is_handler, "correct horse battery").await?;
        runs.push((name, format!("Cookie: {}", people::cookie(&server, &person).await?)));
    }
    for (name, header) in runs {
        let mut command = Command::new(&schemathesis);
        command
            .current_dir(folder.path())
            .arg("run")
            .arg(&document)
            .args(["--url", &url, "--header", &header, "--no-color", "--seed", "2012", "--max-examples", "8"])
            .args(["--phases", "examples,coverage,fuzzing", "--continue-on-failure"])
            .args(["--checks", "not_a_server_error,status_code_conformance,content_type_conformance"])
            .args(["--checks", "response_schema_conformance"])
            // Sockets and CBOR are sent by others; a session that has ended answers nothing else.
            .args(["--exclude-path-regex", "^/sync/", "--exclude-operation-id", "delete_api_session"]);
        let output = tokio::task::spawn_blocking(move || command.output()).await??;
        let said = String::from_utf8_lossy(&output.stdout);
        ensure!(output.status.success(), "{name}: {said}\n{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}
