//! Each part imports only what stands left of it.

use std::fs;
use std::path::{Path, PathBuf};

/// A part, and the parts that it may import.
const MAY_IMPORT: [(&str, &[&str]); 13] = [
    ("domain", &[]),
    ("config", &[]),
    ("schema", &[]),
    ("telemetry", &["domain", "config"]),
    ("access", &["domain", "config", "telemetry"]),
    ("store", &["domain", "config", "telemetry", "schema"]),
    ("bus", &["domain"]),
    ("actors", &["domain", "config", "telemetry", "access", "store", "bus"]),
    ("socket", &["domain", "config", "telemetry", "access", "store", "actors"]),
    ("http", &["domain", "config", "telemetry", "access", "store", "actors", "socket"]),
    ("cli", &["domain", "config", "access", "store"]),
    ("demo", &["config", "schema"]),
    ("shutdown", &["actors"]),
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            sources(&entry, found);
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            found.push(entry);
        }
    }
}

#[test]
fn imports_go_one_way() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut looked_at = 0;
    for file in files {
        let relative = file.strip_prefix(&root).unwrap();
        let part =
            relative.components().next().unwrap().as_os_str().to_str().unwrap().trim_end_matches(".rs").to_owned();
        let Some((_, allowed)) = MAY_IMPORT.iter().find(|(name, _)| *name == part) else {
            assert!(["lib", "main", "app", "fuzzing"].contains(&part.as_str()), "{part} has no place in the order");
            continue;
        };
        let text = fs::read_to_string(&file).unwrap();
        for line in text.lines().filter(|line| line.trim_start().starts_with("use crate::")) {
            looked_at += 1;
            let imported =
                line.trim_start().trim_start_matches("use crate::").split([':', ';', ' ', '{']).next().unwrap();
            let fine = imported == part || allowed.contains(&imported);
            assert!(fine, "{} imports {imported}: {line}", relative.display());
        }
    }
    assert!(looked_at > 50, "the test reads the sources");
}
