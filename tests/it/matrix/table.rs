//! The table, as `docs/SECURITY.md` has it: who, and what, fares alike in all of it shares a row or a column.

use std::fmt::Write as _;
use std::path::Path;

#[derive(Default)]
pub struct Table {
    columns: Vec<&'static str>,
    rows: Vec<(String, Vec<String>)>,
}

impl Table {
    pub fn push(&mut self, who: &str, cells: Vec<(&'static str, String)>) {
        let (names, cells) = cells.into_iter().unzip();
        assert!(self.rows.is_empty() || self.columns == names, "everyone is asked the same");
        self.columns = names;
        self.rows.push((who.to_owned(), cells));
    }

    /// As Markdown.
    pub fn text(&self) -> String {
        let rows = alike(self.rows.iter().map(|(who, cells)| (&**who, cells.clone())));
        let column = |index: usize| rows.iter().map(|(_, cells)| cells[index].clone()).collect();
        let columns = alike(self.columns.iter().enumerate().map(|(index, name)| (*name, column(index))));
        let names: Vec<_> = columns.iter().map(|(names, _)| names.join("; ")).collect();
        let mut text = format!("| who | {} |\n|{}\n", names.join(" | "), " --- |".repeat(names.len() + 1));
        for (index, (who, _)) in rows.iter().enumerate() {
            let cells: Vec<_> = columns.iter().map(|(_, cells)| &*cells[index]).collect();
            writeln!(text, "| {} | {} |", who.join("; "), cells.join(" | ")).unwrap();
        }
        text
    }

    /// # Panics
    /// Where the page has another; with `UPDATE_DOCS` in the environment it is given this one.
    pub fn check(&self, page: &str) {
        const BEGIN: &str = "<!-- The table is written by tests/it/matrix.rs. -->\n";
        const END: &str = "<!-- The table ends here. -->";
        let (path, table) = (Path::new(env!("CARGO_MANIFEST_DIR")).join(page), self.text());
        let text = std::fs::read_to_string(&path).unwrap();
        let (before, rest) = text.split_once(BEGIN).expect("the page has the table's place");
        let (written, after) = rest.split_once(END).expect("the page has the table's end");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&path, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
        } else {
            assert!(written == table, "{page} is not what the service does; it does:\n{table}");
        }
    }
}

/// The names that have the same cells, together where the first of them stands.
fn alike<'a>(all: impl Iterator<Item = (&'a str, Vec<String>)>) -> Vec<(Vec<&'a str>, Vec<String>)> {
    let mut groups: Vec<(Vec<&str>, Vec<String>)> = Vec::new();
    for (name, cells) in all {
        match groups.iter_mut().find(|(_, others)| *others == cells) {
            Some((names, _)) => names.push(name),
            None => groups.push((vec![name], cells)),
        }
    }
    groups
}
