//! Rules on Rust code. They read tokens rather than text, so that words in comments and strings do not count, and
//! rather than a syntax tree, so that the insides of macros do.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::Visit;

use super::Breach;

/// A Rust file, read as tokens.
pub struct Source {
    /// From the top of the repository, such as `src/load/pacer.rs`.
    pub path: String,
    /// As it stands on the disk.
    pub text: String,
    tokens: TokenStream,
    /// Whether the file holds nothing but tests: it stands in `tests/`, or a parent declares it under `#[cfg(test)]`.
    pub is_test: bool,
}

impl Source {
    /// Panics where `text` is not Rust; the compiler has said so before.
    pub fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        let (path, text) = (path.into(), text.into());
        let tokens = text.parse().unwrap_or_else(|e| panic!("{path}: {e}"));
        let is_test = path.starts_with("tests/");
        Self { path, text, tokens, is_test }
    }

    /// The modules that this file declares under `#[cfg(test)]`, as paths without `.rs`, such as `src/load/lane/tests`.
    pub fn test_modules(&self) -> Vec<String> {
        let stem = self.path.trim_end_matches(".rs");
        let folder = stem.strip_suffix("/mod").or(stem.strip_suffix("/lib")).or(stem.strip_suffix("/main")).unwrap_or(stem);
        let file: syn::File = syn::parse2(self.tokens.clone()).unwrap_or_else(|e| panic!("{}: {e}", self.path));
        let modules = file.items.iter().filter_map(|item| match item {
            syn::Item::Mod(module) if module.content.is_none() && has_test_mark(&module.attrs) => Some(module.ident.to_string()),
            _ => None,
        });
        modules.map(|name| format!("{folder}/{name}")).collect()
    }

    /// Such as `["load", "pacer"]`; nothing for `lib.rs` and `main.rs`.
    pub fn module(&self) -> Vec<String> {
        let inside = self.path.strip_prefix("src/").unwrap_or(&self.path);
        let mut parts: Vec<String> = inside.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
        if parts.last().is_some_and(|last| matches!(last.as_str(), "mod" | "lib" | "main")) {
            parts.pop();
        }
        parts
    }

    /// Those of the whole file.
    pub fn tokens(&self) -> TokenStream {
        self.tokens.clone()
    }

    /// The first part of the path inside `src`, without an ending.
    fn room(&self) -> &str {
        let inside = self.path.strip_prefix("src/").unwrap_or(&self.path);
        inside.split('/').next().unwrap_or(inside).trim_end_matches(".rs")
    }

    fn breach(&self, line: usize, rule: String, way_out: &'static str) -> Breach {
        Breach { path: self.path.clone(), line, rule, way_out }
    }
}

/// A room names only rooms that the table gives it.
pub fn layers(source: &Source, rooms: &[(&str, &[&str])], wiring: &[&str]) -> Vec<Breach> {
    let room = source.room();
    if wiring.contains(&room) {
        return Vec::new();
    }
    let Some((_, may_name)) = rooms.iter().find(|(name, _)| *name == room) else {
        let rule = format!("`{room}` is no room of the house");
        return vec![source.breach(1, rule, "put the file into a room, or give the table in tests/tidy.rs a room more")];
    };
    let mut named = Vec::new();
    room_names(source.tokens.clone(), source.module().len(), &mut named);
    named
        .into_iter()
        .filter(|(name, _)| name != room && !may_name.contains(&name.as_str()))
        .filter(|(name, _)| rooms.iter().any(|(known, _)| known == name) || wiring.contains(&name.as_str()))
        .map(|(name, line)| {
            let rule = format!("`{room}` may not name `{name}`");
            source.breach(
                line,
                rule,
                "pass what is needed in from above, as a value or a trait; a new edge edits ROOMS in a commit of its own",
            )
        })
        .collect()
}

/// Collects each name that follows `crate::`, `lunamoth::`, or as many `super::` as lead from a module of `depth` to the top.
fn room_names(tokens: TokenStream, depth: usize, named: &mut Vec<(String, usize)>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut at = 0;
    while at < tokens.len() {
        if let [TokenTree::Ident(word), TokenTree::Ident(_), TokenTree::Group(body), ..] = &tokens[at..]
            && word == "mod"
        {
            room_names(body.stream(), depth + 1, named);
            at += 3;
            continue;
        }
        match &tokens[at] {
            TokenTree::Group(group) => room_names(group.stream(), depth, named),
            TokenTree::Ident(word) if !follows_colons(&tokens, at) => {
                let mut next = at;
                let mut climbed = 0;
                while matches!(&tokens.get(next), Some(TokenTree::Ident(word)) if word == "super") && is_colons(&tokens, next + 1) {
                    climbed += 1;
                    next += 3;
                }
                if (word == "crate" || word == "lunamoth") && is_colons(&tokens, at + 1) {
                    first_names(&tokens[at + 3..], named);
                } else if climbed > 0 && climbed == depth {
                    first_names(&tokens[next..], named);
                }
            }
            _ => {}
        }
        at += 1;
    }
}

/// The name that stands first, or the first name of each branch of `{a::b, c}`.
fn first_names(tokens: &[TokenTree], named: &mut Vec<(String, usize)>) {
    match tokens.first() {
        Some(TokenTree::Ident(name)) => named.push((name.to_string(), name.span().start().line)),
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
            let inside: Vec<TokenTree> = group.stream().into_iter().collect();
            for branch in inside.split(|token| matches!(token, TokenTree::Punct(comma) if comma.as_char() == ',')) {
                first_names(branch, named);
            }
        }
        _ => {}
    }
}

pub fn is_colons(tokens: &[TokenTree], at: usize) -> bool {
    let colon = |at: usize| matches!(tokens.get(at), Some(TokenTree::Punct(colon)) if colon.as_char() == ':');
    colon(at) && colon(at + 1)
}

pub fn follows_colons(tokens: &[TokenTree], at: usize) -> bool {
    at >= 2 && is_colons(tokens, at - 2)
}

/// An outside crate is named only at its home.
pub fn homes(source: &Source, homes: &[(&str, &[&str])]) -> Vec<Breach> {
    if source.is_test {
        return Vec::new();
    }
    let place = source.path.trim_start_matches("src/").trim_end_matches(".rs");
    let is_home = |home: &str| home == "*" || place == home || place.starts_with(&format!("{home}/"));
    let mut named = Vec::new();
    crate_names(without_tests(source.tokens.clone()), &mut named);
    // A module of the same name that this file declares or brings in is not the crate.
    let own: Vec<String> = own_names(&source.tokens);
    named
        .into_iter()
        .filter(|(name, _)| !own.contains(name))
        .filter_map(|(name, line)| homes.iter().find(|(known, _)| *known == name).map(|(_, places)| (name, line, places)))
        .filter(|(_, _, places)| !places.iter().any(|home| is_home(home)))
        .map(|(name, line, places)| {
            let rule = format!("`{name}` lives in {}, not here", places.join(", "));
            source.breach(line, rule, "ask that room for what is needed; a second home edits HOMES in tests/tidy.rs and says why")
        })
        .collect()
}

/// Every name that begins a path, and the one of `use name;`.
fn crate_names(tokens: TokenStream, named: &mut Vec<(String, usize)>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    for (at, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Group(group) => crate_names(group.stream(), named),
            TokenTree::Ident(name) if is_colons(&tokens, at + 1) && !continues_a_path(&tokens, at) => {
                named.push((name.to_string(), name.span().start().line));
            }
            TokenTree::Ident(word) if word == "use" => {
                if let [TokenTree::Ident(name), TokenTree::Punct(end), ..] = &tokens[at + 1..]
                    && end.as_char() == ';'
                {
                    named.push((name.to_string(), name.span().start().line));
                }
            }
            _ => {}
        }
    }
}

/// Whether the name at `at` stands behind `x::` or `X<T>::`. A `::` behind anything else begins a path.
fn continues_a_path(tokens: &[TokenTree], at: usize) -> bool {
    let before = at.checked_sub(3).and_then(|at| tokens.get(at));
    let goes_on = match before {
        Some(TokenTree::Ident(_)) => true,
        Some(TokenTree::Punct(end)) => end.as_char() == '>',
        _ => false,
    };
    follows_colons(tokens, at) && goes_on
}

/// Names of modules that a file declares (`mod http`) or takes from inside the house (`use crate::protocol::http`).
fn own_names(tokens: &TokenStream) -> Vec<String> {
    let mut names = Vec::new();
    let tokens: Vec<TokenTree> = tokens.clone().into_iter().collect();
    for (at, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Ident(word) if word == "mod" => names.extend(tokens.get(at + 1).map(ToString::to_string)),
            TokenTree::Ident(word) if word == "use" => {
                let path: Vec<&TokenTree> = tokens[at + 1..].iter().take_while(|token| token.to_string() != ";").collect();
                let is_ours = path.first().is_some_and(|first| matches!(first.to_string().as_str(), "crate" | "super" | "self"));
                if is_ours {
                    brought_in(path.into_iter().cloned().collect(), &mut names);
                }
            }
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => names.extend(own_names(&group.stream())),
            _ => {}
        }
    }
    names
}

/// The last name of each branch of a `use`.
fn brought_in(path: TokenStream, names: &mut Vec<String>) {
    let path: Vec<TokenTree> = path.into_iter().collect();
    for (at, token) in path.iter().enumerate() {
        match token {
            TokenTree::Group(group) => brought_in(group.stream(), names),
            TokenTree::Ident(name) if !is_colons(&path, at + 1) => names.push(name.to_string()),
            _ => {}
        }
    }
}

/// The first line is a `//!`.
pub fn header(source: &Source) -> Vec<Breach> {
    if source.text.starts_with("//! ") {
        return Vec::new();
    }
    vec![source.breach(1, "no `//!` header".into(), "begin the file with what it owns and what it deliberately does not")]
}

/// A file has so many lines before its tests, a function outside tests so many in all.
pub fn sizes(source: &Source, file_max: usize, function_max: usize) -> Vec<Breach> {
    let mut breaches = Vec::new();
    let lines = source.text.lines().take_while(|line| *line != "#[cfg(test)]").count();
    if lines > file_max {
        let rule = format!("{lines} lines before the tests; {file_max} are the limit");
        breaches.push(source.breach(file_max + 1, rule, "part it by what its halves own; each half gets a name of the user's"));
    }
    if source.is_test {
        return breaches;
    }
    let file: syn::File = syn::parse2(source.tokens.clone()).unwrap_or_else(|e| panic!("{}: {e}", source.path));
    let mut functions = Functions::default();
    functions.visit_file(&file);
    breaches.extend(functions.found.into_iter().filter(|(_, _, lines)| *lines > function_max).map(|(name, line, lines)| {
        let rule = format!("`{name}` has {lines} lines; {function_max} are the limit");
        source.breach(line, rule, "take the part out that has a name of its own; pure decisions first")
    }));
    breaches
}

/// Name, first line and length of each function, from `fn` to its closing brace.
#[derive(Default)]
struct Functions {
    found: Vec<(String, usize, usize)>,
}

impl Functions {
    fn add(&mut self, signature: &syn::Signature, end: proc_macro2::Span) {
        let first = signature.span().start().line;
        self.found.push((signature.ident.to_string(), first, end.end().line - first + 1));
    }
}

impl Visit<'_> for Functions {
    fn visit_item_mod(&mut self, item: &syn::ItemMod) {
        if !has_test_mark(&item.attrs) {
            syn::visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_fn(&mut self, item: &syn::ItemFn) {
        if has_test_mark(&item.attrs) {
            return;
        }
        self.add(&item.sig, item.block.brace_token.span.close());
        syn::visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &syn::ImplItemFn) {
        if has_test_mark(&item.attrs) {
            return;
        }
        self.add(&item.sig, item.block.brace_token.span.close());
        syn::visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.add(&item.sig, block.brace_token.span.close());
        }
        syn::visit::visit_trait_item_fn(self, item);
    }
}

/// No `.unwrap()` outside tests.
pub fn unwraps(source: &Source) -> Vec<Breach> {
    if source.is_test {
        return Vec::new();
    }
    let mut lines = Vec::new();
    each_level(without_tests(source.tokens.clone()), &mut |tokens| {
        for window in tokens.windows(3) {
            if let [TokenTree::Punct(dot), TokenTree::Ident(name), TokenTree::Group(arguments)] = window
                && dot.as_char() == '.'
                && name == "unwrap"
                && arguments.stream().is_empty()
            {
                lines.push(name.span().start().line);
            }
        }
    });
    let way_out = "return an error; or `expect` with the sentence that says why it cannot fail";
    lines.into_iter().map(|line| source.breach(line, "`unwrap()` outside tests".into(), way_out)).collect()
}

/// No `allow` in an attribute, not inside `cfg_attr` either.
pub fn allows(source: &Source) -> Vec<Breach> {
    let mut lines = Vec::new();
    each_level(source.tokens.clone(), &mut |tokens| {
        for (at, token) in tokens.iter().enumerate() {
            if let TokenTree::Group(attribute) = token
                && is_attribute(tokens, at)
                && has_allow(attribute)
            {
                lines.push(attribute.span_open().start().line);
            }
        }
    });
    let way_out = "mend what the lint says; or `#[expect(…, reason = \"…\")]`, which tells when it is no longer needed";
    lines.into_iter().map(|line| source.breach(line, "a lint silenced by `allow`".into(), way_out)).collect()
}

fn is_attribute(tokens: &[TokenTree], at: usize) -> bool {
    let is = |back: usize, wanted: char| {
        at.checked_sub(back).is_some_and(|at| matches!(&tokens[at], TokenTree::Punct(found) if found.as_char() == wanted))
    };
    matches!(&tokens[at], TokenTree::Group(group) if group.delimiter() == Delimiter::Bracket) && (is(1, '#') || (is(1, '!') && is(2, '#')))
}

fn has_allow(attribute: &Group) -> bool {
    let tokens: Vec<TokenTree> = attribute.stream().into_iter().collect();
    match tokens.as_slice() {
        [TokenTree::Ident(name), TokenTree::Group(_), ..] if name == "allow" => true,
        [TokenTree::Ident(name), TokenTree::Group(inside), ..] if name == "cfg_attr" => {
            inside.stream().into_iter().any(|token| matches!(&token, TokenTree::Ident(name) if name == "allow"))
        }
        _ => false,
    }
}

/// No `todo!`, `unimplemented!` or `dbg!`.
pub fn stubs(source: &Source) -> Vec<Breach> {
    let mut found = Vec::new();
    each_level(source.tokens.clone(), &mut |tokens| {
        for window in tokens.windows(3) {
            if let [TokenTree::Ident(name), TokenTree::Punct(bang), TokenTree::Group(_)] = window
                && bang.as_char() == '!'
                && ["todo", "unimplemented", "dbg"].iter().any(|stub| name == stub)
            {
                found.push((name.to_string(), name.span().start().line));
            }
        }
    });
    let way_out = "write it, or answer with an error that says that this version does not have it";
    found.into_iter().map(|(name, line)| source.breach(line, format!("`{name}!` left in the code"), way_out)).collect()
}

/// Shows `look` the tokens of every level, from the outside in.
fn each_level(tokens: TokenStream, look: &mut impl FnMut(&[TokenTree])) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    look(&tokens);
    for token in tokens {
        if let TokenTree::Group(group) = token {
            each_level(group.stream(), look);
        }
    }
}

/// The same tokens without each item that stands under `#[cfg(test)]` or `#[test]`.
pub fn without_tests(tokens: TokenStream) -> TokenStream {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if let TokenTree::Group(attribute) = &tokens[at]
            && is_attribute(&tokens, at)
            && marks_a_test(attribute)
            && !matches!(&tokens[at - 1], TokenTree::Punct(bang) if bang.as_char() == '!')
        {
            kept.pop(); // The `#` before it.
            while at < tokens.len() && !ends_an_item(&tokens[at]) {
                at += 1;
            }
        } else if let TokenTree::Group(group) = &tokens[at] {
            let mut inside = Group::new(group.delimiter(), without_tests(group.stream()));
            inside.set_span(group.span());
            kept.push(TokenTree::Group(inside));
        } else {
            kept.push(tokens[at].clone());
        }
        at += 1;
    }
    kept.into_iter().collect()
}

fn ends_an_item(token: &TokenTree) -> bool {
    match token {
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        TokenTree::Punct(end) => end.as_char() == ';',
        _ => false,
    }
}

fn marks_a_test(attribute: &Group) -> bool {
    is_test_mark(&attribute.stream().to_string())
}

fn has_test_mark(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        syn::Meta::Path(path) => path.is_ident("test"),
        syn::Meta::List(list) => list.path.is_ident("cfg") && is_test_mark(&format!("cfg({})", list.tokens)),
        syn::Meta::NameValue(_) => false,
    })
}

fn is_test_mark(attribute: &str) -> bool {
    let text: String = attribute.split_whitespace().collect();
    let is_cfg = ["cfg(test", "cfg(all(test", "cfg(any(test"].iter().any(|start| text.starts_with(start));
    is_cfg || text == "test" || text.starts_with("tokio::test")
}

#[cfg(test)]
#[path = "code_tests.rs"]
mod tests;
