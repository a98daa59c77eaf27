//! The rule on what documentation says. A doc comment is an attribute among the tokens, so that strings and plain comments do not count.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use super::Breach;
use super::code::Source;

/// A doc text has so many words, or names something of the code, which can say as much as words do.
pub fn short_docs(source: &Source, words_min: usize) -> Vec<Breach> {
    let mut texts = Vec::new();
    doc_texts(source.tokens(), &mut texts);
    let words = |text: &str| text.split_whitespace().filter(|word| word.contains(char::is_alphanumeric)).count();
    texts
        .into_iter()
        .filter(|(_, text)| !text.contains('`') && words(text) < words_min)
        .map(|(line, text)| Breach {
            path: source.path.clone(),
            line,
            rule: format!("the documentation `{}` has fewer than {words_min} words", text.trim()),
            way_out: "say what name and type do not: unit, range, who sets it, what absent means; or make the name say it and leave it out",
        })
        .collect()
}

/// First line and text of each run of `///`, inside macros too.
fn doc_texts(tokens: TokenStream, texts: &mut Vec<(usize, String)>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let (mut at, mut goes_on) = (0, false);
    while at < tokens.len() {
        let text = tokens.get(at..at + 2).and_then(doc_line);
        match (&tokens[at], text) {
            (mark, Some(text)) => {
                match texts.last_mut().filter(|_| goes_on) {
                    Some((_, whole)) => *whole += &text,
                    None => texts.push((mark.span().start().line, text)),
                }
                at += 1;
                goes_on = true;
            }
            (TokenTree::Group(group), None) => {
                doc_texts(group.stream(), texts);
                goes_on = false;
            }
            (_, None) => goes_on = false,
        }
        at += 1;
    }
}

/// The text of `#[doc = "..."]`, which is how the compiler reads `///`.
fn doc_line(pair: &[TokenTree]) -> Option<String> {
    let [TokenTree::Punct(mark), TokenTree::Group(group)] = pair else { return None };
    if mark.as_char() != '#' || group.delimiter() != Delimiter::Bracket {
        return None;
    }
    let inside: Vec<TokenTree> = group.stream().into_iter().collect();
    match &inside[..] {
        [TokenTree::Ident(name), TokenTree::Punct(_), TokenTree::Literal(text)] if name == "doc" => {
            Some(syn::parse_str::<syn::LitStr>(&text.to_string()).expect("what documents is a string").value())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<usize> {
        short_docs(&Source::new("src/load/pacer.rs", text), 4).into_iter().map(|breach| breach.line).collect()
    }

    #[test]
    fn a_doc_text_of_three_words_is_found_in_an_item_a_field_and_a_macro() {
        let text = "/// One two three.\nstruct A {\n    /// Which.\n    b: u8,\n}\nrows! {\n    /// The file.\n    c: u8;\n}\n";
        assert_eq!(lines(text), [1, 3, 7]);
    }

    #[test]
    fn lines_that_belong_together_are_one_text() {
        assert_eq!(lines("/// One two\n/// three four.\nstruct A;\n/// One\n///\n/// two.\nstruct B;\n"), [4]);
        assert_eq!(lines("enum A {\n    /// One two.\n    B,\n    /// Three four.\n    C,\n}\n"), [2, 4]);
    }

    #[test]
    fn what_names_code_may_be_short_and_other_comments_are_free() {
        assert_eq!(lines("/// See [`B`].\nstruct A;\n// Short.\nconst C: &str = \"/// Short.\";\n"), Vec::<usize>::new());
    }

    #[test]
    fn signs_are_no_words() {
        assert_eq!(lines("/// One - two - three.\nstruct A;\n"), [1]);
    }
}
