//! The fields of a form, as the HTML standard has them: whose they are, what they hold before anybody touches them, what is disabled.

use std::collections::HashSet;

use scraper::ElementRef;

use super::page::Page;
use crate::script::watchdog;

/// One field or button of a form.
#[derive(Debug, PartialEq)]
pub(super) struct Field {
    /// `text` for all that hold one text, else `hidden`, `checkbox`, `radio`, `select`, `file`, `submit` or `image`.
    pub(super) kind: &'static str,
    pub(super) name: String,
    pub(super) value: String,
    pub(super) is_checked: bool,
    pub(super) is_disabled: bool,
    pub(super) is_multiple: bool,
    pub(super) options: Vec<Choice>,
    /// The element's number in the document.
    pub(super) number: usize,
}

/// One option of a `select`.
#[derive(Debug, PartialEq)]
pub(super) struct Choice {
    pub(super) value: String,
    pub(super) is_selected: bool,
    pub(super) is_disabled: bool,
}

/// The fields and submit buttons of the form with this number, in the order of the document.
///
/// # Errors
/// The script's time is over before their end.
pub(super) fn fields_of(page: &Page, form: usize) -> Result<Vec<Field>, String> {
    // By its `form` attribute a field belongs to the first element of that id, if that is a form.
    let id = page.attribute(form, "id").filter(|id| (0..page.count()).find(|number| page.attribute(*number, "id") == Some(id)) == Some(form));
    let mut fields = Vec::new();
    for (number, element) in (0..page.count()).filter_map(|number| Some((number, page.element(number)?))) {
        if watchdog::is_struck() {
            return Err("it takes too long".to_owned());
        }
        if is_field(element) && is_owned(page, element, form, id) {
            fields.extend(field(page, number, element));
        }
    }
    one_radio_of_a_group(&mut fields);
    Ok(fields)
}

/// The form that an element is of or in.
pub(super) fn form_around(page: &Page, number: usize) -> Option<usize> {
    let element = page.element(number)?;
    page.owner(element).or_else(|| page.number(ancestors(element).find(|above| above.value().name() == "form")?))
}

fn is_field(element: ElementRef<'_>) -> bool {
    matches!(element.value().name(), "input" | "select" | "textarea" | "button")
}

/// By its `form` attribute, else as the parser says, else by the form around it.
fn is_owned(page: &Page, element: ElementRef<'_>, form: usize, id: Option<&str>) -> bool {
    if let Some(named) = element.attr("form") {
        return id == Some(named);
    }
    let around = || page.number(ancestors(element).find(|above| above.value().name() == "form")?);
    page.owner(element).or_else(around) == Some(form)
}

fn ancestors(element: ElementRef<'_>) -> impl Iterator<Item = ElementRef<'_>> {
    element.ancestors().filter_map(ElementRef::wrap)
}

fn field(page: &Page, number: usize, element: ElementRef<'_>) -> Option<Field> {
    if ancestors(element).any(|above| above.value().name() == "datalist") {
        return None;
    }
    let attribute = |name| element.attr(name);
    let mut field = Field {
        kind: "text",
        name: attribute("name").unwrap_or_default().to_owned(),
        value: attribute("value").unwrap_or_default().to_owned(),
        is_checked: false,
        is_disabled: is_disabled(element),
        is_multiple: attribute("multiple").is_some(),
        options: Vec::new(),
        number,
    };
    match element.value().name() {
        "textarea" => field.value = element.text().collect(),
        "select" => {
            field.kind = "select";
            field.options = choices(page, element, field.is_multiple);
        }
        "button" => match attribute("type").map(str::to_ascii_lowercase).as_deref() {
            Some("button" | "reset") => return None,
            _ => field.kind = "submit",
        },
        _ => return input(element, field),
    }
    Some(field)
}

fn input(element: ElementRef<'_>, mut field: Field) -> Option<Field> {
    let kind = element.attr("type").map(str::to_ascii_lowercase).unwrap_or_default();
    match kind.as_str() {
        "button" | "reset" => return None,
        "submit" => {
            field.kind = "submit";
            if element.attr("value").is_none() {
                // What Chromium writes on it and sends.
                "Submit".clone_into(&mut field.value);
            }
        }
        "image" => field.kind = "image",
        "hidden" => {
            field.kind = "hidden";
            if field.name.eq_ignore_ascii_case("_charset_") {
                "UTF-8".clone_into(&mut field.value);
            }
        }
        "checkbox" | "radio" => {
            field.kind = if kind == "radio" { "radio" } else { "checkbox" };
            field.is_checked = element.attr("checked").is_some();
            if element.attr("value").is_none() {
                "on".clone_into(&mut field.value);
            }
        }
        "file" => {
            field.kind = "file";
            field.value.clear();
        }
        other => field.value = sanitised(other, &field.value, element),
    }
    Some(field)
}

/// The standard's "value sanitization", for the kinds where pages get it wrong.
fn sanitised(kind: &str, value: &str, element: ElementRef<'_>) -> String {
    let line: String = value.chars().filter(|letter| !matches!(letter, '\r' | '\n')).collect();
    let number = |name: &str| element.attr(name).and_then(|text| text.trim().parse::<f64>().ok()).filter(|number| number.is_finite());
    match kind {
        "email" | "url" => line.trim().to_owned(),
        "number" if value.parse::<f64>().is_err() => String::new(),
        "color" => {
            let is_colour = value.len() == 7 && value.starts_with('#') && value[1..].bytes().all(|digit| digit.is_ascii_hexdigit());
            if is_colour { value.to_ascii_lowercase() } else { "#000000".to_owned() }
        }
        "range" => {
            let least = number("min").unwrap_or(0.0);
            let most = number("max").unwrap_or(100.0).max(least);
            let middle = least + (most - least) / 2.0;
            number("value").unwrap_or(middle).clamp(least, most).to_string()
        }
        _ => line,
    }
}

/// Disabled itself, or in a disabled `fieldset` and not in its first `legend`.
fn is_disabled(element: ElementRef<'_>) -> bool {
    if element.attr("disabled").is_some() {
        return true;
    }
    let mut below = element;
    for above in ancestors(element) {
        if above.value().name() == "fieldset" && above.attr("disabled").is_some() {
            let first_legend = above.child_elements().find(|child| child.value().name() == "legend");
            if first_legend != Some(below) {
                return true;
            }
        }
        below = above;
    }
    false
}

fn choices(page: &Page, select: ElementRef<'_>, is_multiple: bool) -> Vec<Choice> {
    let mut choices: Vec<Choice> = select
        .descendent_elements()
        .filter(|element| element.value().name() == "option")
        .map(|option| {
            let text = || page.text(page.number(option));
            let in_disabled_group = ancestors(option)
                .take_while(|above| above.value().name() != "select")
                .any(|above| above.value().name() == "optgroup" && above.attr("disabled").is_some());
            Choice {
                value: option.attr("value").map_or_else(text, str::to_owned),
                is_selected: option.attr("selected").is_some(),
                is_disabled: option.attr("disabled").is_some() || in_disabled_group,
            }
        })
        .collect();
    if !is_multiple {
        // One at most: the last that says so; in a drop-down the first that can be chosen where none says so.
        let selected = choices.iter().rposition(|choice| choice.is_selected);
        let size = select.attr("size").and_then(|size| size.trim().parse::<u32>().ok()).unwrap_or(1);
        let chosen = selected.or_else(|| if size <= 1 { choices.iter().position(|choice| !choice.is_disabled) } else { None });
        for (at, choice) in choices.iter_mut().enumerate() {
            choice.is_selected = Some(at) == chosen;
        }
    }
    choices
}

/// Of several radio buttons of a name that say that they are checked, the last one is.
fn one_radio_of_a_group(fields: &mut [Field]) {
    let mut decided = HashSet::new();
    for field in fields.iter_mut().rev().filter(|field| field.kind == "radio" && field.is_checked && !field.name.is_empty()) {
        field.is_checked = decided.insert(field.name.clone());
    }
}
