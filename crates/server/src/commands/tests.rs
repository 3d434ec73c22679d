//! Laws of the server's rows.

use super::*;
use kevy_command::Run;

/// All rows of the family, subcommands included.
fn rows() -> impl Iterator<Item = &'static Row> {
    SERVER.iter().copied().flat_map(|row| {
        let children: &[&Row] = match row.run {
            Run::Container(children) => children,
            _ => &[],
        };
        std::iter::once(row).chain(children.iter().copied())
    })
}

#[test]
fn names_are_unique() {
    let table = table().unwrap();
    assert!(table.len() > rows().count());
}

#[test]
fn rows_are_well_formed() {
    for row in rows() {
        assert_eq!(row.name, row.name.to_lowercase());
        assert!(row.doc.summary.ends_with('.'), "{}", row.name);
        if let Err(error) = kevy_command::syntax::parse(row.doc.syntax) {
            panic!("{}: {error:?}", row.name);
        }
        for spec in row.keys {
            let Run::Keys(_) = row.run else { panic!("{} has keys", row.name) };
            let kevy_command::row::Begin::Index(first) = spec.begin else { continue };
            assert!(i32::from(first) < i32::from(row.arity.abs()) + 1, "{}", row.name);
        }
    }
}
