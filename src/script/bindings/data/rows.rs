//! The rows of one file: how many there are and where each stands. Strings are made when a row is asked for.
//!
//! One place is kept for four rows, so that a million rows cost two megabytes beside the file itself.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use super::records::{Dialect, Fault, Field, likely_delimiter, next_csv, next_element, next_line};
use crate::script::bindings::json::reader;

/// How a file is to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Form {
    /// A record a line, or over several within quotes.
    Csv {
        /// Found in the first record where it is `None`.
        delimiter: Option<u8>,
        quote: Option<u8>,
        header: Header,
    },
    /// One array, with a row in each element.
    Json,
    /// A value a line.
    JsonLines,
    /// A text a line.
    Lines,
}

/// Where the names of columns come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Header {
    /// The first record of the file.
    First,
    /// There are none: rows are lists.
    Absent,
    /// Whoever reads the file.
    Given(Vec<String>),
}

/// The rows of a file.
#[derive(Debug)]
pub(crate) struct Rows {
    bytes: Arc<Vec<u8>>,
    kind: Kind,
    /// The names of the columns; none where rows are no records with names.
    columns: Vec<String>,
    /// Where each fourth row begins.
    places: Vec<u64>,
    count: usize,
    /// Some record of CSV has a line's end within quotes: only its fields show where it ends.
    has_broken_lines: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Csv(Dialect),
    Json,
    JsonLines,
    Lines,
}

/// What a row is made of.
#[derive(Debug, PartialEq)]
pub(super) enum Row<'a> {
    /// One text for each column.
    Fields(Vec<Cow<'a, [u8]>>),
    /// A row's own text of JSON.
    Json(&'a [u8]),
    Text(&'a [u8]),
}

impl Rows {
    /// Finds the rows, and judges each of them.
    ///
    /// # Errors
    /// What is wrong, with the line.
    pub(crate) fn of(bytes: Arc<Vec<u8>>, form: &Form) -> Result<Self, String> {
        if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
            return Err("it is UTF-16: save it as UTF-8".to_owned());
        }
        let first = if bytes.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        let (kind, at) = match form {
            Form::Csv { delimiter, quote, .. } => {
                let delimiter = delimiter.unwrap_or_else(|| likely_delimiter(&bytes[first..], *quote));
                (Kind::Csv(Dialect { delimiter, quote: *quote }), first)
            }
            Form::Json => (Kind::Json, begin_of_array(&bytes, first)?),
            Form::JsonLines => (Kind::JsonLines, first),
            Form::Lines => (Kind::Lines, first),
        };
        let mut rows = Self { bytes, kind, columns: Vec::new(), places: Vec::new(), count: 0, has_broken_lines: false };
        let mut at = at;
        let mut width = None;
        if let (Kind::Csv(dialect), Form::Csv { header, .. }) = (kind, form) {
            match header {
                Header::Absent => {}
                Header::Given(names) => rows.columns.clone_from(names),
                Header::First => at = rows.read_header(at, dialect)?,
            }
            width = (!rows.columns.is_empty()).then_some(rows.columns.len());
        }
        rows.find_all(at, width)?;
        rows.places.shrink_to_fit();
        Ok(rows)
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// The names of the columns; empty where rows have none.
    pub(super) fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The row at `index`, 0-based.
    pub(super) fn row(&self, index: usize) -> Option<Row<'_>> {
        if index >= self.count {
            return None;
        }
        let mut at = usize::try_from(*self.places.get(index / STRIDE)?).ok()?;
        for _ in 0..index % STRIDE {
            at = self.behind(at)?;
        }
        let mut fields = Vec::with_capacity(self.columns.len());
        let (range, _) = self.next(at, |field| fields.push(field)).ok()??;
        let bytes = self.bytes.as_slice();
        Some(match self.kind {
            Kind::Csv(dialect) => Row::Fields(fields.into_iter().map(|field| text_of(bytes, &field, dialect)).collect()),
            Kind::Json | Kind::JsonLines => Row::Json(&bytes[range]),
            Kind::Lines => Row::Text(&bytes[range]),
        })
    }

    /// Where the record behind the one at `at` begins, or could.
    fn behind(&self, at: usize) -> Option<usize> {
        if matches!(self.kind, Kind::Csv(_)) && !self.has_broken_lines {
            return next_line(&self.bytes, at).map(|(_, next)| next);
        }
        self.next(at, |_| {}).ok()?.map(|(_, next)| next)
    }

    /// The record at or behind `at`: where it stands, without its line's end where that is known, and where the next one begins.
    fn next(&self, at: usize, on_field: impl FnMut(Field)) -> Result<Option<(Range<usize>, usize)>, Fault> {
        let bytes = self.bytes.as_slice();
        Ok(match self.kind {
            Kind::Csv(dialect) => next_csv(bytes, at, dialect, on_field)?.map(|(begin, next)| (begin..next, next)),
            Kind::Json => next_element(bytes, at),
            Kind::JsonLines | Kind::Lines => next_line(bytes, at),
        })
    }

    fn find_all(&mut self, mut at: usize, mut width: Option<usize>) -> Result<(), String> {
        let bytes = Arc::clone(&self.bytes);
        loop {
            let mut fields = 0_usize;
            let found = self.next(at, |_| fields += 1).map_err(|fault| format!("line {}: {}", line_at(&bytes, fault.at), fault.what))?;
            let Some((range, next)) = found else { return Ok(()) };
            match self.kind {
                Kind::Csv(_) => {
                    self.has_broken_lines |= next_line(&bytes, range.start).map(|(_, end)| end) != Some(next);
                    let expected = *width.get_or_insert(fields);
                    if fields != expected {
                        let whose = if self.columns.is_empty() { "the first row" } else { "the header" };
                        return Err(format!("line {}: {fields} {}, where {whose} has {expected}", line_at(&bytes, range.start), plural(fields)));
                    }
                }
                Kind::JsonLines => {
                    reader::judge(&bytes[range.clone()]).map_err(|why| format!("line {}: {why}", line_at(&bytes, range.start)))?;
                }
                Kind::Json | Kind::Lines => {}
            }
            if self.count.is_multiple_of(STRIDE) {
                self.places.push(range.start as u64);
            }
            self.count += 1;
            at = next;
        }
    }

    fn read_header(&mut self, at: usize, dialect: Dialect) -> Result<usize, String> {
        let bytes = Arc::clone(&self.bytes);
        let mut fields = Vec::new();
        let found = next_csv(&bytes, at, dialect, |field| fields.push(field));
        let found = found.map_err(|fault| format!("line {}: {}", line_at(&bytes, fault.at), fault.what))?;
        let Some((begin, next)) = found else { return Err("it is empty: the first line names the columns, unless `header` says otherwise".to_owned()) };
        for field in &fields {
            let name = String::from_utf8_lossy(&text_of(&bytes, field, dialect)).trim().to_owned();
            self.columns.push(name);
        }
        judge_columns(&self.columns).map_err(|why| format!("line {}: {why}", line_at(&bytes, begin)))?;
        Ok(next)
    }
}

/// Whether these can be the names of columns.
///
/// # Errors
/// Which cannot.
pub(super) fn judge_columns(columns: &[String]) -> Result<(), String> {
    for (at, name) in columns.iter().enumerate() {
        if name.is_empty() {
            return Err(format!("column {} has no name; without a header line it is `header = false`", at + 1));
        }
        if columns[..at].contains(name) {
            return Err(format!("two columns are called `{name}`; without a header line it is `header = false`"));
        }
    }
    Ok(())
}

fn plural(fields: usize) -> &'static str {
    if fields == 1 { "field" } else { "fields" }
}

/// Behind the bracket of a valid array.
fn begin_of_array(bytes: &[u8], first: usize) -> Result<usize, String> {
    reader::judge(&bytes[first..])?;
    let at = first + (bytes[first..].len() - bytes[first..].trim_ascii_start().len());
    if bytes.get(at) != Some(&b'[') {
        return Err("it is no JSON array; a value a line is `data.jsonl`".to_owned());
    }
    Ok(at + 1)
}

fn text_of<'a>(bytes: &'a [u8], field: &Field, dialect: Dialect) -> Cow<'a, [u8]> {
    let text = &bytes[field.range.clone()];
    let (true, Some(quote)) = (field.has_pairs, dialect.quote) else { return Cow::Borrowed(text) };
    let mut whole = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(length) = memchr::memchr(quote, rest) {
        whole.extend_from_slice(&rest[..=length]);
        // The second of the pair.
        rest = rest.get(length + 2..).unwrap_or_default();
    }
    whole.extend_from_slice(rest);
    Cow::Owned(whole)
}

/// The line of a byte, from 1.
fn line_at(bytes: &[u8], at: usize) -> usize {
    let before = &bytes[..at.min(bytes.len())];
    let feeds = memchr::memchr_iter(b'\n', before).count();
    // Old Macs' line ends, where there are no others.
    if feeds > 0 { feeds + 1 } else { memchr::memchr_iter(b'\r', before).count() + 1 }
}

/// Rows for each place that is kept.
const STRIDE: usize = 4;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn csv(text: &str, header: Header) -> Result<Rows, String> {
        Rows::of(Arc::new(text.as_bytes().to_vec()), &Form::Csv { delimiter: None, quote: Some(b'"'), header })
    }

    fn texts(rows: &Rows) -> Vec<Vec<String>> {
        (0..rows.count())
            .map(|index| match rows.row(index).unwrap() {
                Row::Fields(fields) => fields.iter().map(|field| String::from_utf8(field.to_vec()).unwrap()).collect(),
                Row::Json(text) | Row::Text(text) => vec![String::from_utf8(text.to_vec()).unwrap()],
            })
            .collect()
    }

    #[test]
    fn csv_is_read_as_people_have_it() {
        for text in [
            "user,password\nada,1\nbob,2\n",
            "user,password\r\nada,1\r\nbob,2",
            "\u{feff}user,password\nada,1\n\n\nbob,2\n\n",
            "user;password\nada;1\nbob;2\n",
            "user\tpassword\nada\t1\nbob\t2\n",
            "user|password\rada|1\rbob|2\r",
            "\"user\",\"password\"\n\"ada\",\"1\"\nbob,\"2\"",
            "\n user , password \nada,1\nbob,2\n",
        ] {
            let rows = csv(text, Header::First).unwrap();
            assert_eq!(rows.columns(), ["user", "password"], "{text:?}");
            assert_eq!(texts(&rows), [["ada", "1"], ["bob", "2"]], "{text:?}");
        }
        let rows = csv("id,text\n007,\"a \"\"b\"\", c\nd\"\n, \n", Header::First).unwrap();
        assert_eq!(texts(&rows), [["007", "a \"b\", c\nd"], ["", " "]]);
        assert_eq!(texts(&csv("a,b\nc,d\n", Header::Absent).unwrap()), [["a", "b"], ["c", "d"]]);
        assert_eq!(csv("a,b\n", Header::Given(vec!["x".into(), "y".into()])).unwrap().count(), 1);
        assert_eq!(csv("a,b\n", Header::First).unwrap().count(), 0);
        assert_eq!(csv("", Header::Absent).unwrap().count(), 0);
        // One column: nothing separates anything.
        assert_eq!(texts(&csv("name\nO'Neil 5\" pipe\n", Header::First).unwrap()), [["O'Neil 5\" pipe"]]);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (text, why) in [
            ("a,b\n1,2\n3\n", "line 3: 1 field, where the header has 2"),
            ("a,b\r\n1,2\r\n\r\n3,4,5\r\n", "line 4: 3 fields, where the header has 2"),
            ("a,b\n\"x\ny\",1\n1,2,3\n", "line 4: 3 fields"),
            ("a,b\n1,\"2\n3,4\n", "line 2: a quote is opened and never closed"),
            ("a,b\n1,\"2\"3\n", "line 2: there is text behind a closing quote"),
            ("a,a\n1,2\n", "line 1: two columns are called `a`"),
            ("a,,c\n1,2,3\n", "line 1: column 2 has no name"),
            ("", "it is empty: the first line names the columns"),
            ("\n\n", "it is empty"),
        ] {
            let said = csv(text, Header::First).unwrap_err();
            assert!(said.contains(why), "{text:?}: {said}");
        }
        assert!(csv("1,2\n3\n", Header::Absent).unwrap_err().contains("line 2: 1 field, where the first row has 2"));
        let utf_16: Vec<u8> = "\u{feff}a,b".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert!(Rows::of(Arc::new(utf_16), &Form::Lines).unwrap_err().contains("UTF-16"));
    }

    #[test]
    fn json_is_taken_apart_into_its_elements() {
        let rows = |text: &str, form: &Form| Rows::of(Arc::new(text.as_bytes().to_vec()), form);
        let array = rows(" [ {\"a\": [1, \"],\\\"\"]} ,2,\n\"x\\\\\", null , [] ] ", &Form::Json).unwrap();
        assert_eq!(texts(&array), [["{\"a\": [1, \"],\\\"\"]}"], ["2"], ["\"x\\\\\""], ["null"], ["[]"]]);
        assert_eq!(rows("[]", &Form::Json).unwrap().count(), 0);
        assert!(rows("{}", &Form::Json).unwrap_err().contains("no JSON array"));
        assert!(rows("[1,", &Form::Json).unwrap_err().contains("line 1"));
        let lines = rows("{\"id\":1}\r\n\r\n{\"id\":2}", &Form::JsonLines).unwrap();
        assert_eq!(texts(&lines), [["{\"id\":1}"], ["{\"id\":2}"]]);
        assert!(rows("1\n\n{\n", &Form::JsonLines).unwrap_err().starts_with("line 3: "));
        assert_eq!(texts(&rows("\u{feff}one\n two \r\n\r\nthree", &Form::Lines).unwrap()), [["one"], [" two "], ["three"]]);
    }

    proptest! {
        /// Goal: whatever was written by the rules of RFC 4180 is read as it was, in whichever order rows are asked for.
        #[test]
        fn what_was_written_is_read(table in prop::collection::vec(prop::collection::vec("[a,;\"\r\n é]{0,6}", 3), 0..40), is_crlf: bool) {
            let mut text = "x,y,z".to_owned();
            for row in &table {
                text += if is_crlf { "\r\n" } else { "\n" };
                text += &row.iter().map(|field| format!("\"{}\"", field.replace('"', "\"\""))).collect::<Vec<_>>().join(",");
            }
            let rows = csv(&text, Header::First).unwrap();
            prop_assert_eq!(rows.count(), table.len());
            for index in (0..table.len()).rev() {
                let Some(Row::Fields(fields)) = rows.row(index) else { panic!("row {index} is no record") };
                let fields: Vec<_> = fields.iter().map(|field| String::from_utf8(field.to_vec()).unwrap()).collect();
                prop_assert_eq!(&fields, &table[index]);
            }
            prop_assert!(rows.row(table.len()).is_none());
        }

        #[test]
        fn no_bytes_are_a_panic(bytes in prop::collection::vec(prop::sample::select(b"a,;\"\n\r[]{}1 \\\xef\xbb\xbf".to_vec()), 0..60)) {
            for form in [Form::Csv { delimiter: None, quote: Some(b'"'), header: Header::First }, Form::Csv { delimiter: Some(b';'), quote: None, header: Header::Absent }, Form::Json, Form::JsonLines, Form::Lines] {
                if let Ok(rows) = Rows::of(Arc::new(bytes.clone()), &form) {
                    prop_assert!((0..rows.count()).all(|index| rows.row(index).is_some()));
                }
            }
        }
    }
}
