//! Holds the code to the floors that `docs/architecture.md` draws: imports run downstairs only.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Each module of the crate, and its floor.
fn floors() -> BTreeMap<String, u32> {
    let page = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let plan = page
        .split("```text floors\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .expect("docs/architecture.md draws the floors");
    let mut floors = BTreeMap::new();
    for line in plan.lines() {
        let (floor, rest) = line.split_once(' ').unwrap();
        let modules = rest.trim_start().split("  ").next().unwrap();
        for module in modules.split(" · ") {
            floors.insert(module.trim().to_owned(), floor.parse().unwrap());
        }
    }
    floors
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|it| it == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The module of the crate that a file belongs to: its name, or that of its outermost folder.
fn module(file: &Path) -> String {
    let inside = file.strip_prefix(root().join("src")).unwrap();
    let first = inside.components().next().unwrap();
    Path::new(&first)
        .file_stem()
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned()
}

/// The modules of the crate that a text names.
fn imports<'a>(text: &'a str, prefix: &'a str) -> impl Iterator<Item = String> + 'a {
    text.match_indices(prefix).map(move |(at, _)| {
        let rest = &text[at + prefix.len()..];
        let end = rest.find(|it: char| !it.is_alphanumeric() && it != '_');
        rest[..end.unwrap_or(rest.len())].to_owned()
    })
}

#[test]
fn every_module_has_a_floor() {
    let floors = floors();
    for file in sources(&root().join("src")) {
        let module = module(&file);
        assert!(
            module == "lib" || floors.contains_key(&module),
            "docs/architecture.md does not say on which floor `{module}` lives"
        );
    }
    for module in floors.keys() {
        let stands = ["rs", ""].iter().any(|extension| {
            root()
                .join("src")
                .join(module)
                .with_extension(extension)
                .exists()
        });
        assert!(
            stands,
            "docs/architecture.md names a module `{module}` that is not there"
        );
    }
}

#[test]
fn imports_run_downstairs() {
    let floors = floors();
    let mut climbing = Vec::new();
    for file in sources(&root().join("src")) {
        let importer = module(&file);
        let Some(&floor) = floors.get(&importer) else {
            continue;
        };
        // Unit tests may look around.
        let text = fs::read_to_string(&file).unwrap();
        let text = text.split("#[cfg(test)]").next().unwrap();
        for imported in imports(text, "crate::") {
            if let Some(&below) = floors.get(&imported)
                && imported != importer
                && below >= floor
            {
                climbing.push(format!(
                    "{} (floor {floor}) imports {imported} (floor {below})",
                    file.display()
                ));
            }
        }
    }
    assert!(climbing.is_empty(), "{}", climbing.join("\n"));
}

#[test]
fn the_ledger_alone_names_its_tables() {
    for file in sources(&root().join("src")) {
        let text = fs::read_to_string(&file).unwrap();
        let tables = [
            "_changeover_changes",
            "_changeover_history",
            "_changeover_cursor",
            "_changeover_deployments",
            "_changeover_old_writes",
            "_changeover_runs",
            "_changeover_instances",
            "_changeover_texts",
        ];
        let names_one = tables.iter().any(|table| text.contains(table));
        assert!(
            !names_one || module(&file) == "ledger",
            "{} names a table of the ledger",
            file.display()
        );
    }
}

/// What each file of a folder imports of the files beside it.
fn neighbours(folder: &Path) -> BTreeMap<String, BTreeSet<String>> {
    let files = fs::read_dir(folder).unwrap().map(|it| it.unwrap().path());
    let files = files.filter(|it| it.extension().is_some_and(|it| it == "rs"));
    let name = |file: &Path| file.file_stem().unwrap().to_str().unwrap().to_owned();
    let imported = |file: PathBuf| {
        let text = fs::read_to_string(&file).unwrap();
        let text = text.split("#[cfg(test)]").next().unwrap();
        let mut found: BTreeSet<String> = imports(text, "use super::").collect();
        for list in text.split("use super::{").skip(1) {
            let list = list.split('}').next().unwrap().split(',');
            let first = |it: &str| it.trim().split("::").next().unwrap().to_owned();
            found.extend(list.map(first));
        }
        found.retain(|it| folder.join(it).with_extension("rs").exists());
        (name(&file), found)
    };
    files.map(imported).collect()
}

#[test]
fn files_of_a_folder_do_not_import_each_other_in_circles() {
    let files = sources(&root().join("src"));
    let folders: BTreeSet<&Path> = files.iter().filter_map(|it| it.parent()).collect();
    for folder in folders {
        let mut left = neighbours(folder);
        assert!(!left.is_empty());
        // Who imports none of those that are left goes, until nobody does but those in circles.
        loop {
            let before: BTreeSet<String> = left.keys().cloned().collect();
            left.retain(|_, imported| !imported.is_disjoint(&before));
            if left.len() == before.len() {
                break;
            }
        }
        assert!(left.is_empty(), "{}: {left:#?}", folder.display());
    }
}
