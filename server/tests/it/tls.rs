//! The county's own certificate, as a client that knows it sees it.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use server::clock;
use sync_protocol::client::{Device, DeviceConfig, DeviceError, Live, Trust, enrol};
use tests::{county, node};

#[tokio::test(flavor = "multi_thread")]
async fn the_county_makes_a_certificate_of_its_own_and_keeps_it() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let config = "data_dir = \"data\"\n[tls]\nmode = \"own-certificate\"\nnames = [\"127.0.0.1\", \"localhost\"]\n";
    std::fs::write(folder.path().join("taizhang.toml"), config)?;
    let begun = Command::new(env!("CARGO_BIN_EXE_taizhang")).arg("init").current_dir(folder.path()).output()?;
    ensure!(begun.status.success(), "{}", String::from_utf8_lossy(&begun.stderr));
    let mut fingerprints = Vec::new();
    for _ in 0..2 {
        let mut process = Command::new(env!("CARGO_BIN_EXE_taizhang"))
            .args(["serve", "--listen", "127.0.0.1:0"])
            .current_dir(folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut lines = BufReader::new(process.stdout.take().context("its output")?).lines();
        let address = lines.next().context("a line")??;
        let address = address.split_whitespace().find(|word| word.starts_with("https://")).context("https")?;
        let said = lines.next().context("a line")??;
        let fingerprint = said.split_whitespace().last().context("a fingerprint")?.to_owned();
        let certificate = folder.path().join("data/tls.crt");
        let seen = node::json("tls.mjs", &[Path::new(address), &certificate])?;
        enrols_and_syncs(folder.path(), address.trim_end_matches('/'), &certificate).await?;
        process.kill()?;
        process.wait()?;
        assert_eq!(seen["status"], 200, "{seen}");
        assert_eq!(seen["fingerprint"], fingerprint.as_str(), "people compare it: it is the one that browsers show");
        assert!(seen["hsts"].as_str().is_some_and(|value| value.starts_with("max-age=")), "{seen}");
        assert!(seen["stranger"].as_str().is_some_and(|code| code.contains("SELF_SIGNED")), "{seen}");
        fingerprints.push(fingerprint);
    }
    ensure!(fingerprints[0] == fingerprints[1], "the same certificate after a restart");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(folder.path().join("data/tls.key"))?.permissions().mode();
        ensure!(mode.trailing_zeros() >= 6, "only its owner reads the key: {mode:o}");
    }
    Ok(())
}

/// A field program enrols and syncs by TLS, over both ways; one that does not know the certificate does not.
async fn enrols_and_syncs(folder: &Path, url: &str, certificate: &Path) -> Result<()> {
    let taizhang = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_taizhang")).current_dir(folder).args(arguments).output()?;
        Ok::<_, anyhow::Error>(String::from_utf8(output.stdout)?.trim().to_owned())
    };
    // The second time there is such a person.
    taizhang(&["person", "add", "zhang", "--full-name", "张三", "--role", "field-cadre"])?;
    let code = taizhang(&["person", "invite", "zhang"])?;
    let token = format!("{:032x}{:032x}", u128::from_be_bytes(clock::random()), u128::from_be_bytes(clock::random()));
    let stranger = enrol(url, &Trust::new(None)?, &code, ("secret", &token)).await;
    ensure!(matches!(stranger, Err(DeviceError::Offline(_))), "{stranger:?}");
    let pem = std::fs::read_to_string(certificate)?;
    let trust = Trust::new(Some(&pem))?;
    let secret = format!("secret {code}");
    let enrolled = enrol(url, &trust, &code, (&secret, &token)).await?;
    let config = DeviceConfig {
        path: folder.join(format!("{code}.sqlite")),
        server: url.to_owned(),
        certificate: Some(pem),
        server_key: Some(enrolled.server_keys()?.signing),
        token: token.clone(),
        secret: Some(secret),
        who: enrolled.owner,
        actor: sync_protocol::ActorId(clock::random()),
    };
    let server = county::open(&folder.join("elsewhere"), None).await?;
    let device = Device::open(config, server.catalogue.clone()).await?;
    ensure!(device.exchange(0).await?.requests == 1);
    Live::connect(url, &trust, &token).await?;
    Ok(())
}
