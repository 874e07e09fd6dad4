//! Which file needs which: a file that names something needs the file that defines it, through however many
//! re-exports the name goes. Files that need each other stand in a circle.

use std::collections::{BTreeMap, BTreeSet};

use super::scanner::{Named, Role, Source, named};

/// By file: the files that it needs.
pub(crate) type Needs<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

/// Where a name leads.
enum Found<'a> {
    Module(&'a [String]),
    /// Something that this file defines.
    Item(&'a str),
}

/// The modules of a crate, and the names that each has by `use`.
struct Modules<'a> {
    files: BTreeMap<&'a [String], &'a str>,
    imports: BTreeMap<&'a [String], Vec<Named>>,
}

/// A longer chain of re-exports is one that goes round.
const LONGEST_CHAIN: u32 = 20;

impl<'a> Modules<'a> {
    fn of(sources: &'a [Source]) -> Self {
        let (mut files, mut imports) = (BTreeMap::new(), BTreeMap::new());
        for source in sources {
            let module = module_of(source);
            files.insert(module, source.file.as_str());
            let mut all = named(module, &source.tokens_outside_tests());
            all.retain(|it| it.alias.is_some());
            imports.insert(module, all);
        }
        Self { files, imports }
    }

    /// What this path leads to; `None` if it is of another crate, or of the file that names it.
    fn find(&self, module: &[String], path: &Named, depth: u32) -> Option<Found<'a>> {
        if path.relative {
            // The first name is a module's below this one, or one that `use` gave it.
            let known =
                path.parts.get(..=module.len()).is_some_and(|it| self.files.contains_key(it));
            if !known
                && self.import(module, path.parts.get(module.len())?).is_none_or(|it| it == path)
            {
                return None;
            }
            let (module, _) = self.files.get_key_value(module)?;
            return self.walk(module, path.parts.get(module.len()..)?, depth);
        }
        let (root, _) = self.files.get_key_value([].as_slice())?;
        self.walk(root, &path.parts, depth)
    }

    fn walk(&self, mut module: &'a [String], mut rest: &[String], depth: u32) -> Option<Found<'a>> {
        while let Some((name, behind)) = rest.split_first() {
            let below = [module, std::slice::from_ref(name)].concat();
            let below = self.files.get_key_value(below.as_slice()).map(|(module, _)| *module);
            if let Some(below) = below.filter(|_| !behind.is_empty()) {
                (module, rest) = (below, behind);
                continue;
            }
            // The end of the modules on the way: an import, a module as a whole, or an item.
            let import = self.import(module, name).filter(|_| depth < LONGEST_CHAIN);
            let found = import.and_then(|it| self.find(module, it, depth + 1));
            return match (found, below) {
                (Some(Found::Module(module)), _) => self.walk(module, behind, depth + 1),
                (Some(item), _) => Some(item),
                (None, Some(below)) => Some(Found::Module(below)),
                // Also a name of another crate that the module imports: to take it from here needs this file.
                (None, None) => self.files.get(module).map(|file| Found::Item(file)),
            };
        }
        Some(Found::Module(module))
    }

    /// Whether the file is a part of this module.
    fn is_below(&self, module: &[String], file: &str) -> bool {
        self.files.iter().any(|(it, its)| *its == file && it.starts_with(module))
    }

    fn import(&self, module: &[String], name: &str) -> Option<&Named> {
        self.imports.get(module)?.iter().find(|it| it.alias.as_deref() == Some(name))
    }
}

fn module_of(source: &Source) -> &[String] {
    if source.module == ["lib"] { &[] } else { &source.module }
}

/// The files that each file needs, outside of tests. A re-export alone needs nothing.
pub(crate) fn needs(sources: &[Source]) -> Needs<'_> {
    let modules = Modules::of(sources);
    let mut needs = Needs::new();
    for source in sources.iter().filter(|it| !it.test_only && it.file != "main.rs") {
        let module = module_of(source);
        let below = needs.entry(source.file.as_str()).or_default();
        for path in named(module, &source.tokens_outside_tests()) {
            if path.role == Role::Reexport {
                continue;
            }
            if let Some(Found::Item(file)) = modules.find(module, &path, 0) {
                let own_part = modules.is_below(module, file);
                below.extend((file != source.file && !own_part).then_some(file));
            }
        }
    }
    needs
}

/// The circles: each a list of files that need each other.
pub(crate) fn circles<'a>(needs: &Needs<'a>) -> Vec<Vec<&'a str>> {
    let reach = |from: &'a str| {
        let mut found = BTreeSet::new();
        let mut left = vec![from];
        while let Some(file) = left.pop() {
            for next in needs.get(file).into_iter().flatten() {
                if found.insert(*next) {
                    left.push(next);
                }
            }
        }
        found
    };
    let reached: BTreeMap<&str, BTreeSet<&str>> = needs.keys().map(|it| (*it, reach(it))).collect();
    let mut circles = BTreeSet::new();
    for (file, below) in &reached {
        let mutual =
            below.iter().filter(|it| reached.get(**it).is_some_and(|its| its.contains(file)));
        let circle: Vec<&str> = mutual.copied().collect();
        if !circle.is_empty() {
            circles.insert(circle);
        }
    }
    circles.into_iter().collect()
}
