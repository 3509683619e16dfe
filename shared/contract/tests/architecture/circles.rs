//! No circle between the files of a package: modules of one parent use one another in one direction.

use crate::{Module, PACKAGES, modules};
use regex::Regex;
use std::collections::BTreeSet;

/// A module, and another one of the same parent that it uses.
type Use = (Vec<String>, Vec<String>);

/// The paths that begin where `code` begins; with braces several. `code` goes on behind them.
fn paths<'a>(code: &mut &'a str) -> Vec<Vec<&'a str>> {
    *code = code.trim_start_matches([' ', '\n', ',']);
    if let Some(rest) = code.strip_prefix('{') {
        *code = rest;
        let mut all = Vec::new();
        loop {
            *code = code.trim_start_matches([' ', '\n', ',']);
            if let Some(rest) = code.strip_prefix('}') {
                *code = rest;
                return all;
            }
            all.extend(paths(code));
        }
    }
    let end = code.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '*')).unwrap_or(code.len());
    assert!(end > 0, "no path: {}", code.lines().next().unwrap_or_default());
    let (name, rest) = code.split_at(end);
    *code = rest;
    match code
        .strip_prefix("::")
        .filter(|rest| rest.starts_with(|c: char| c == '{' || c == '*' || c.is_alphanumeric()))
    {
        Some(rest) => {
            *code = rest;
            paths(code).into_iter().map(|path| [&[name][..], &path].concat()).collect()
        }
        None => vec![vec![name]],
    }
}

/// What the modules of a package use of their siblings, and of the siblings of those that they are in.
fn uses(modules: &[Module]) -> BTreeSet<Use> {
    let begin = Regex::new(r"(?:^|[^\w:$])((?:super::)*super|crate)::").unwrap();
    let known: BTreeSet<_> = modules.iter().map(|module| &module.path[..]).chain([&[][..]]).collect();
    let mut uses = BTreeSet::new();
    for Module { path: from, code } in modules {
        for found in begin.captures_iter(code) {
            let (root, all) = (found.get(1).unwrap(), found.get(0).unwrap());
            // `pub(in crate::http)`
            if code[..root.start()].ends_with("(in ") {
                continue;
            }
            let base = match root.as_str() {
                "crate" => &[][..],
                supers => &from[..from.len() - supers.matches("super").count()],
            };
            for path in paths(&mut &code[all.end()..]) {
                let mut to = base.to_vec();
                to.extend(path.iter().map(|name| (*name).to_owned()));
                while !known.contains(&to[..]) {
                    to.pop();
                }
                // What `lib.rs` exports would hide the module.
                assert!(!to.is_empty(), "{}: name the module of {}", from.join("::"), path.join("::"));
                let common = from.iter().zip(&to).take_while(|(from, to)| from == to).count();
                // Otherwise one of the two is inside the other.
                if from.len() > common && to.len() > common {
                    uses.insert((from[..=common].to_vec(), to[..=common].to_vec()));
                }
            }
        }
    }
    uses
}

/// What is left when modules that use no other, or that no other uses, are taken away, again and again.
fn circle(mut uses: BTreeSet<Use>) -> BTreeSet<Use> {
    loop {
        let count = uses.len();
        let (from, to): (BTreeSet<_>, BTreeSet<_>) = uses.iter().cloned().unzip();
        uses.retain(|(user, used)| from.contains(used) && to.contains(user));
        if uses.len() == count {
            return uses;
        }
    }
}

#[test]
fn no_two_modules_use_each_other_not_even_through_others() {
    for package in PACKAGES {
        let circle = circle(uses(&modules(package)));
        let circle: Vec<_> =
            circle.iter().map(|(from, to)| format!("{} uses {}", from.join("::"), to.join("::"))).collect();
        assert!(circle.is_empty(), "a circle in {package}: {circle:#?}");
    }
}

#[test]
fn a_circle_is_found_through_braces_and_from_inside() {
    let module = |path: &str, code: &str| Module {
        path: path.split("::").map(str::to_owned).collect(),
        code: code.to_owned(),
    };
    let modules = [
        module("a", "use crate::{\n    b::{self, X},\n    c::Y,\n};\n"),
        module("b", "pub(in crate::a) struct X;\n"),
        module("b::inner", "fn f() { super::super::c::g() }\n"),
        module("c", "use super::d::{e as f, *};\n"),
        module("d", "use crate::b::X;\n"),
    ];
    let circle: Vec<_> =
        circle(uses(&modules)).into_iter().map(|(from, to)| from.concat() + &to.concat()).collect();
    assert_eq!(circle, ["bc", "cd", "db"]);
}
