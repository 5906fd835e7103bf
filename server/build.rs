//! Builds the field app in `web` with Node, so that the program carries it.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// What the app is made of.
const SOURCES: [&str; 7] =
    ["src", "public", "index.html", "package.json", "package-lock.json", "tsconfig.json", "vite.config.ts"];

fn main() {
    let web = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo")).join("web");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("set by cargo")).join("web");
    println!("cargo::rerun-if-changed=openapi.json");
    for source in SOURCES {
        println!("cargo::rerun-if-changed={}", web.join(source).display());
    }
    let modified = |file: &str| web.join(file).metadata().and_then(|metadata| metadata.modified()).ok();
    // npm writes its own copy of the lock file when it is done: newer than ours, it is of ours.
    let installed = modified("node_modules/.package-lock.json");
    if installed.is_none() || installed < modified("package-lock.json") {
        run(&web, &["install", "--no-audit", "--no-fund", "--loglevel=error"], &out);
    }
    // A script of another build that is still there must not be served.
    if out.exists() {
        fs::remove_dir_all(&out).expect("the last build's files can be removed");
    }
    run(&web, &["run", "--silent", "build"], &out);
}

fn run(web: &Path, arguments: &[&str], out: &Path) {
    let npm = if cfg!(windows) { "npm.cmd" } else { "npm" };
    let output = Command::new(npm).args(arguments).current_dir(web).env("TAIZHANG_WEB_OUT", out).output();
    let output =
        output.unwrap_or_else(|error| panic!("Node 20.19 or newer with npm is needed to build the field app: {error}"));
    assert!(
        output.status.success(),
        "npm {} failed in {}:\n{}{}",
        arguments.join(" "),
        web.display(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
