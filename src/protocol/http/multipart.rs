//! `multipart/form-data` bodies (RFC 7578), encoded as browsers do.

/// One part of a form.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Part {
    /// Of the form's field.
    pub name: String,
    /// Makes the part a file.
    pub filename: Option<String>,
    /// Without one, a file is `application/octet-stream` and a field has none.
    pub content_type: Option<String>,
    /// As it goes out.
    pub body: Vec<u8>,
}

/// The body. `boundary` must not occur in any part, which 16 random characters see to.
#[must_use]
pub fn encode(parts: &[Part], boundary: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(parts.iter().map(|part| part.body.len() + 200).sum::<usize>() + boundary.len() + 8);
    for part in parts {
        out.extend_from_slice(format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"", escape(&part.name)).as_bytes());
        if let Some(filename) = &part.filename {
            out.extend_from_slice(format!("; filename=\"{}\"", escape(filename)).as_bytes());
        }
        let of_file = part.filename.as_ref().map(|_| "application/octet-stream");
        if let Some(content_type) = part.content_type.as_deref().or(of_file) {
            let content_type = content_type.replace(['\r', '\n'], " ");
            out.extend_from_slice(format!("\r\nContent-Type: {content_type}").as_bytes());
        }
        out.extend_from_slice(b"\r\n\r\n");
        out.extend_from_slice(&part.body);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    out
}

/// The value of `content-type` for a body with `boundary`.
#[must_use]
pub fn content_type(boundary: &str) -> String {
    format!("multipart/form-data; boundary={boundary}")
}

/// The boundary that a value of `content-type` names.
#[must_use]
pub fn boundary_of(content_type: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(content_type).ok()?;
    text.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let value = value.trim().trim_matches('"');
        (name.trim().eq_ignore_ascii_case("boundary") && !value.is_empty()).then(|| value.to_owned())
    })
}

/// The HTML standard's escapes: a quote or a line end would leave the quotes.
fn escape(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_and_files_stand_between_boundaries() {
        let parts = [
            Part { name: "a".into(), body: b"1".to_vec(), ..Part::default() },
            Part { name: "f".into(), filename: Some("x.bin".into()), body: vec![0, 255], ..Part::default() },
            Part { name: "t".into(), filename: Some("t.txt".into()), content_type: Some("text/plain".into()), body: b"hi".to_vec() },
        ];
        let expected = [
            &b"--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n"[..],
            b"--B\r\nContent-Disposition: form-data; name=\"f\"; filename=\"x.bin\"\r\nContent-Type: application/octet-stream\r\n\r\n\x00\xff\r\n",
            b"--B\r\nContent-Disposition: form-data; name=\"t\"; filename=\"t.txt\"\r\nContent-Type: text/plain\r\n\r\nhi\r\n",
            b"--B--\r\n",
        ]
        .concat();
        assert_eq!(encode(&parts, "B"), expected);
    }

    #[test]
    fn names_cannot_leave_their_quotes() {
        let part = Part { name: "a\"\r\nx: y".into(), ..Part::default() };
        assert!(encode(&[part], "B").starts_with(b"--B\r\nContent-Disposition: form-data; name=\"a%22%0D%0Ax: y\"\r\n\r\n"));
    }
}
