//! What the documents name is there: files that they link to, and subcommands.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// All pages: of the top, of `docs`, and beside the sources.
fn pages() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut pages = vec![root.join("README.md"), root.join("drivers/README.md")];
    pages.extend(fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path()));
    assert!(pages.len() > 5, "{pages:?}");
    let read = |page: PathBuf| {
        let text = fs::read_to_string(&page).unwrap();
        (page, text)
    };
    pages.into_iter().map(read).collect()
}

/// What stands between `begin` and the first of `end`, everywhere.
fn between<'a>(text: &'a str, begin: &'a str, end: &'a [char]) -> impl Iterator<Item = &'a str> {
    text.split(begin).skip(1).filter_map(move |rest| rest.split(end).next())
}

#[test]
fn links_lead_somewhere() {
    let mut links = 0;
    for (page, text) in pages() {
        for link in between(&text, "](", &[')']).filter(|link| !link.contains("://")) {
            let file = page.parent().unwrap().join(link.split('#').next().unwrap());
            assert!(file.exists(), "{}: {link}", page.display());
            links += 1;
        }
    }
    assert!(links > 10, "{links}");
}

#[test]
fn every_page_is_found_from_the_first() {
    let pages = pages();
    let readme = &pages[0].1;
    for (page, _) in &pages[2..] {
        let name = format!("](docs/{})", page.file_name().unwrap().to_str().unwrap());
        assert!(readme.contains(&name), "README.md has no {name}");
    }
}

#[test]
fn subcommands_that_are_named_exist() {
    let known: Vec<_> = xtask::commands::ALL.iter().map(|command| command.name).collect();
    let mut named = 0;
    for (page, text) in pages() {
        // A command may be broken over two lines.
        let text = text.replace('\n', " ");
        for name in between(&text, "cargo xtask ", &[' ', '`', ',', '.', ')']).filter(|name| !name.is_empty())
        {
            assert!(known.contains(&name), "{}: cargo xtask {name}", page.display());
            named += 1;
        }
    }
    assert!(named > 10, "{named}");
}
