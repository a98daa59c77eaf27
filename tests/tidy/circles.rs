//! The rule that no files name each other in a circle. It reads the code's paths, as the rule on rooms does, and follows
//! each name through `use` and re-exports to the file that defines it, so that handing a name on hides no arrow. It does
//! not see methods: what `self.x()` calls may stand in any file with an `impl` of the type.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Delimiter, TokenTree};

use super::Breach;
use super::code::{Source, follows_colons, is_colons, without_tests};

/// A module's path from the top of the crate, such as `["load", "lane"]`.
type Module = Vec<String>;

/// How often a name may be handed on before the search for its home is given up.
const HANDS_MAX: usize = 16;

/// What one module says that matters to whoever names things by it.
#[derive(Default)]
struct Scope {
    /// Which of the sources it stands in.
    file: usize,
    /// Names brought in by `use`, as whole paths.
    brought: BTreeMap<String, Module>,
    /// Modules of which it brings in everything.
    globs: Vec<Module>,
    /// Names that it hands on (`pub use`). They tie the file only where its own code names them.
    handed_on: BTreeSet<String>,
    /// Names of what it defines itself.
    defined: BTreeSet<String>,
}

/// Paths as they stand in the code of a module, each with the first line that has it.
type Mentions = BTreeMap<Module, BTreeMap<Module, usize>>;

/// `from` names what `to` defines; both are places in the list of sources.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Clone)]
struct Arrow {
    from: usize,
    to: usize,
    name: String,
    line: usize,
}

/// One breach for each group of files that reach each other.
pub fn circles(sources: &[Source]) -> Vec<Breach> {
    let sources: Vec<&Source> = sources.iter().filter(|source| !source.is_test && source.path != "src/main.rs").collect();
    let all = arrows(&sources);
    groups(sources.len(), &all).iter().map(|group| breach(&sources, &all, group)).collect()
}

fn breach(sources: &[&Source], arrows: &[Arrow], group: &[usize]) -> Breach {
    let inside: Vec<&Arrow> = arrows.iter().filter(|arrow| group.contains(&arrow.from) && group.contains(&arrow.to)).collect();
    let mut ties: BTreeMap<(usize, usize), (usize, BTreeSet<&str>)> = BTreeMap::new();
    for arrow in &inside {
        let (line, names) = ties.entry((arrow.from, arrow.to)).or_default();
        *line = if names.is_empty() { arrow.line } else { arrow.line.min(*line) };
        names.insert(&arrow.name);
    }
    let told = ties.iter().map(|((from, to), (line, names))| {
        let names: Vec<&str> = names.iter().copied().collect();
        format!("\n    {}:{line} -> {}: {}", sources[*from].path, sources[*to].path, names.join(", "))
    });
    Breach {
        path: sources[group[0]].path.clone(),
        line: ties.values().next().map_or(1, |(line, _)| *line),
        rule: format!("{} files name each other in a circle:{}", group.len(), told.collect::<String>()),
        way_out: "move what both need into a file below them, or hand it in as a value or a trait",
    }
}

/// Who names whom among `sources`, without those who name themselves.
fn arrows(sources: &[&Source]) -> Vec<Arrow> {
    let mut scopes = BTreeMap::from([(Module::new(), Scope::default())]);
    let mut mentions = Vec::new();
    for (file, source) in sources.iter().enumerate() {
        let tokens: Vec<TokenTree> = without_tests(source.tokens()).into_iter().collect();
        let mut reader = Reader { file, scopes: &mut scopes, mentions: Mentions::new() };
        reader.scopes.entry(source.module()).or_default().file = file;
        reader.read(&tokens, &source.module());
        mentions.push((file, reader.mentions));
    }
    let mut found = BTreeSet::new();
    for (file, mentions) in mentions {
        for (module, paths) in &mentions {
            for (path, line) in paths {
                if let Some((to, name)) = home(&scopes, module, path)
                    && to != file
                {
                    found.insert(Arrow { from: file, to, name, line: *line });
                }
            }
        }
    }
    found.into_iter().collect()
}

/// The file that defines what the code of `module` calls `path`, and its name there; nothing where it is another crate's, or a module alone.
///
/// A name that stands alone says something only where the module hands it on: what it brings in for itself is told by its `use`.
fn home(scopes: &BTreeMap<Module, Scope>, module: &Module, path: &[String]) -> Option<(usize, String)> {
    let path = match path {
        [alone] => {
            let scope = scopes.get(module).filter(|scope| scope.handed_on.contains(alone))?;
            scope.brought.get(alone)?
        }
        path => path,
    };
    let path = anchored(scopes, module, path, 0)?;
    follow(scopes, &path, 0).filter(|(_, name)| !name.is_empty())
}

/// `path`, which begins as the code of `module` may begin one, as a path from the top of this crate.
fn anchored(scopes: &BTreeMap<Module, Scope>, module: &Module, path: &[String], hands: usize) -> Option<Module> {
    let (first, rest) = path.split_first()?;
    let below = |base: &[String]| Some([base, rest].concat());
    match first.as_str() {
        "crate" => Some(rest.to_vec()),
        "self" => anchored_here(scopes, module, rest, hands).or_else(|| below(module)),
        "super" => {
            let parent = module.split_last()?.1.to_vec();
            if rest.first().is_some_and(|next| next == "super") { anchored(scopes, &parent, rest, hands) } else { below(&parent) }
        }
        _ => anchored_here(scopes, module, path, hands),
    }
}

/// The same for a path that begins with a name of `module` itself.
fn anchored_here(scopes: &BTreeMap<Module, Scope>, module: &Module, path: &[String], hands: usize) -> Option<Module> {
    let (first, rest) = path.split_first()?;
    let scope = scopes.get(module)?;
    // `use time::time` brings a name in from a crate or a module of the same name.
    if let Some(brought) = scope.brought.get(first).filter(|brought| brought.first() != Some(first))
        && hands < HANDS_MAX
    {
        let whole = anchored(scopes, module, brought, hands + 1)?;
        return Some([whole.as_slice(), rest].concat());
    }
    let child = [module.as_slice(), std::slice::from_ref(first)].concat();
    (scopes.contains_key(&child) || scope.defined.contains(first)).then(|| [child.as_slice(), rest].concat())
}

/// Walks `path` down from the top to the first name that is no module, and that name to the file that defines it.
fn follow(scopes: &BTreeMap<Module, Scope>, path: &[String], hands: usize) -> Option<(usize, String)> {
    let mut module = Module::new();
    for (at, name) in path.iter().enumerate() {
        let child = [module.as_slice(), std::slice::from_ref(name)].concat();
        let scope = scopes.get(&module)?;
        let is_last = at + 1 == path.len();
        let brought = scope.brought.get(name).and_then(|brought| anchored(scopes, &module, brought, hands)).filter(|whole| *whole != child);
        if scopes.contains_key(&child) && !(is_last && (brought.is_some() || scope.defined.contains(name))) {
            module = child;
            continue;
        }
        if let Some(whole) = brought {
            return (hands < HANDS_MAX).then(|| follow(scopes, &[whole.as_slice(), &path[at + 1..]].concat(), hands + 1))?;
        }
        if !scope.defined.contains(name) {
            for glob in &scope.globs {
                let inside = anchored(scopes, &module, glob, hands).filter(|inside| has(scopes, inside, name));
                if let Some(inside) = inside.filter(|_| hands < HANDS_MAX) {
                    return follow(scopes, &[inside.as_slice(), &path[at..]].concat(), hands + 1);
                }
            }
        }
        return Some((scope.file, name.clone()));
    }
    scopes.get(&module).map(|scope| (scope.file, String::new()))
}

fn has(scopes: &BTreeMap<Module, Scope>, module: &Module, name: &str) -> bool {
    scopes.get(module).is_some_and(|scope| scope.defined.contains(name) || scope.handed_on.contains(name))
}

/// Reads one file's tokens into the scopes of its modules and the paths that it mentions.
struct Reader<'a> {
    file: usize,
    scopes: &'a mut BTreeMap<Module, Scope>,
    mentions: Mentions,
}

impl Reader<'_> {
    fn read(&mut self, tokens: &[TokenTree], module: &Module) {
        let mut at = 0;
        while at < tokens.len() {
            at = match &tokens[at] {
                TokenTree::Ident(word) if word == "mod" => self.read_mod(tokens, at, module),
                TokenTree::Ident(word) if word == "use" => self.read_use(tokens, at, module),
                TokenTree::Ident(word) if word == "pub" => at + 1 + usize::from(is_group(tokens.get(at + 1), Delimiter::Parenthesis)),
                TokenTree::Ident(_) => self.read_path(tokens, at, module),
                TokenTree::Group(group) => {
                    self.read(&group.stream().into_iter().collect::<Vec<_>>(), module);
                    at + 1
                }
                _ => at + 1,
            };
        }
    }

    fn mention(&mut self, module: &Module, path: Module, line: usize) {
        self.mentions.entry(module.clone()).or_default().entry(path).or_insert(line);
    }

    fn read_mod(&mut self, tokens: &[TokenTree], at: usize, module: &Module) -> usize {
        if let [TokenTree::Ident(name), TokenTree::Group(body), ..] = &tokens[at + 1..] {
            let inner = [module.as_slice(), &[name.to_string()]].concat();
            self.scopes.entry(inner.clone()).or_default().file = self.file;
            self.read(&body.stream().into_iter().collect::<Vec<_>>(), &inner);
            return at + 3;
        }
        at + 2
    }

    fn read_use(&mut self, tokens: &[TokenTree], at: usize, module: &Module) -> usize {
        let end = (at..tokens.len()).find(|end| is_punct(tokens.get(*end), ';')).unwrap_or(tokens.len());
        let is_handed_on = match at.checked_sub(1).map(|before| &tokens[before]) {
            Some(TokenTree::Ident(word)) => word == "pub",
            Some(TokenTree::Group(group)) => group.delimiter() == Delimiter::Parenthesis,
            _ => false,
        };
        let mut leaves = Vec::new();
        branch(&tokens[at + 1..end], &[], &mut leaves);
        for (path, local, line) in leaves {
            let scope = self.scopes.entry(module.clone()).or_default();
            let Some(local) = local else {
                scope.globs.push(path);
                continue;
            };
            if is_handed_on {
                scope.handed_on.insert(local.clone());
            } else {
                self.mention(module, path.clone(), line);
            }
            let scope = self.scopes.entry(module.clone()).or_default();
            scope.brought.insert(local, path);
        }
        end + 1
    }

    fn read_path(&mut self, tokens: &[TokenTree], at: usize, module: &Module) -> usize {
        let mut path = Vec::new();
        let mut next = at;
        while let Some(TokenTree::Ident(name)) = tokens.get(next) {
            path.push(name.to_string());
            if !is_colons(tokens, next + 1) {
                break;
            }
            next += 3;
        }
        let line = tokens[at].span().start().line;
        let defines = ["struct", "enum", "fn", "const", "static", "type", "trait", "union"];
        if path.len() == 1 && defines.contains(&path[0].as_str()) {
            if let Some(TokenTree::Ident(name)) = tokens.get(at + 1) {
                self.scopes.entry(module.clone()).or_default().defined.insert(name.to_string());
            }
        } else if !follows_colons(tokens, at)
            && !is_punct(at.checked_sub(1).and_then(|before| tokens.get(before)), '.')
            && (path.len() > 1 || may_be_handed_on(&path[0], tokens.get(at + 1)))
        {
            if path.len() > 1 {
                self.mention(module, vec![path[0].clone()], line);
            }
            self.mention(module, path, line);
        }
        next.max(at) + 1
    }
}

/// The leaves of a `use`: path, local name (none for `*`), line.
fn branch(tokens: &[TokenTree], stem: &[String], leaves: &mut Vec<(Module, Option<String>, usize)>) {
    let mut path = stem.to_vec();
    let mut at = 0;
    let mut line = 0;
    while let Some(token) = tokens.get(at) {
        match token {
            TokenTree::Ident(word) if word == "as" => {
                if let Some(TokenTree::Ident(name)) = tokens.get(at + 1) {
                    leaves.push((path, Some(name.to_string()), line));
                }
                return;
            }
            TokenTree::Ident(word) => {
                line = word.span().start().line;
                if word != "self" || path.is_empty() {
                    path.push(word.to_string());
                }
            }
            TokenTree::Punct(star) if star.as_char() == '*' => {
                leaves.push((path, None, line));
                return;
            }
            TokenTree::Group(group) => {
                let inside: Vec<TokenTree> = group.stream().into_iter().collect();
                for part in inside.split(|token| is_punct(Some(token), ',')).filter(|part| !part.is_empty()) {
                    branch(part, &path, leaves);
                }
                return;
            }
            _ => {}
        }
        at += 1;
    }
    let local = path.last().cloned();
    leaves.push((path, local, line));
}

/// Whether a name that stands alone may be one that the file hands on: `name:` is a field's or an argument's, and small letters that are not
/// called are a value's.
fn may_be_handed_on(name: &str, next: Option<&TokenTree>) -> bool {
    let is_value = name.starts_with(|first: char| first.is_lowercase()) && !is_group(next, Delimiter::Parenthesis);
    !is_value && !is_punct(next, ':')
}

fn is_punct(token: Option<&TokenTree>, wanted: char) -> bool {
    matches!(token, Some(TokenTree::Punct(found)) if found.as_char() == wanted)
}

fn is_group(token: Option<&TokenTree>, wanted: Delimiter) -> bool {
    matches!(token, Some(TokenTree::Group(group)) if group.delimiter() == wanted)
}

/// The groups of two and more of `count` places that reach each other along `arrows` (Tarjan's algorithm).
fn groups(count: usize, arrows: &[Arrow]) -> Vec<Vec<usize>> {
    let mut next: Vec<Vec<usize>> = vec![Vec::new(); count];
    for arrow in arrows {
        next[arrow.from].push(arrow.to);
    }
    let mut search = Search { next, order: vec![None; count], low: vec![0; count], open: Vec::new(), seen: 0, found: Vec::new() };
    for place in 0..count {
        if search.order[place].is_none() {
            search.visit(place);
        }
    }
    search.found.sort();
    search.found
}

struct Search {
    next: Vec<Vec<usize>>,
    order: Vec<Option<usize>>,
    low: Vec<usize>,
    open: Vec<usize>,
    seen: usize,
    found: Vec<Vec<usize>>,
}

impl Search {
    fn visit(&mut self, place: usize) {
        let order = self.seen;
        self.seen += 1;
        self.order[place] = Some(order);
        self.low[place] = order;
        self.open.push(place);
        for next in self.next[place].clone() {
            match self.order[next] {
                None => {
                    self.visit(next);
                    self.low[place] = self.low[place].min(self.low[next]);
                }
                Some(order) if self.open.contains(&next) => self.low[place] = self.low[place].min(order),
                Some(_) => {}
            }
        }
        if self.low[place] == order {
            let first = self.open.iter().position(|open| *open == place).expect("it was opened above");
            let mut group = self.open.split_off(first);
            group.sort_unstable();
            self.found.extend((group.len() > 1).then_some(group));
        }
    }
}

#[cfg(test)]
#[path = "circles_tests.rs"]
mod tests;
