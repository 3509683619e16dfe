//! One dialect of imports: a file has one `use` for each crate. (rustfmt's `imports_granularity` is not stable.)

use crate::{PACKAGES, repository, sources};
use std::{collections::BTreeSet, fs};

#[test]
fn a_file_imports_from_a_crate_in_one_place() {
    for folder in PACKAGES.map(|package| repository().join(package)) {
        let folders = [folder.join("src"), folder.join("tests")];
        for file in folders.iter().filter(|folder| folder.is_dir()).flat_map(|folder| sources(folder)) {
            let source = fs::read_to_string(&file).unwrap();
            let mut seen = BTreeSet::new();
            for root in source.lines().filter_map(|line| line.strip_prefix("use ")?.split([':', ';']).next())
            {
                assert!(seen.insert(root), "{}: merge the imports from {root}", file.display());
            }
        }
    }
}
